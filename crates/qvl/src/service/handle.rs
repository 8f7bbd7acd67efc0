use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use qvl_checkpoint::Config;
use qvl_processor::Processor;

use super::inbox::{Inbox, Ticket};
use super::job::{Event, Job};
use super::options::ServiceOptions;
use super::scheduler::Scheduler;
use super::statistics::Statistics;
use super::submit_error::SubmitError;
use crate::cached_prompt::PromptLayout;
use crate::error::Error;
use crate::generation::{GenerationConfig, GenerationConfigError};
use crate::pipeline::{Pipeline, answer_limit};

/// A handle to the thread that answers.
///
/// Clones are handles to the same thread. When the last one is dropped, the thread finishes what it took and ends.
#[derive(Clone)]
pub struct Service(Arc<Handle>);

struct Handle {
    inbox: Arc<Inbox>,
    processor: Arc<Processor>,
    defaults: GenerationConfig,
    config: Config,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Service").field(&self.statistics()).finish()
    }
}

impl Service {
    /// Starts the thread, which takes the pipeline over.
    ///
    /// # Errors
    /// If the thread does not start.
    pub fn start(pipeline: Pipeline, options: ServiceOptions) -> Result<Self, Error> {
        let handle = Handle {
            inbox: Arc::new(Inbox::new(options.max_queue)),
            processor: Arc::clone(&pipeline.processor),
            defaults: pipeline.generation_config().clone(),
            config: pipeline.config().clone(),
        };
        let inbox = Arc::clone(&handle.inbox);
        let thread = thread::Builder::new().name("qvl-service".to_owned());
        thread.spawn(move || run(pipeline, options, &inbox)).map_err(Error::ServiceThread)?;
        Ok(Self(Arc::new(handle)))
    }

    /// Prepares prompts; for use on the caller's own thread, since pictures take a while.
    pub fn processor(&self) -> &Processor {
        &self.0.processor
    }

    /// The settings of the package's `generation_config.json`.
    pub fn generation_config(&self) -> &GenerationConfig {
        &self.0.defaults
    }

    /// The model's dimensions.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Puts a job into the queue and returns at once.
    ///
    /// # Errors
    /// If the queue is full, the service is stopping, or the job can have no answer: a setting is out of range or the
    /// prompt leaves no room in the model's context. The job's events are dropped then; none came.
    pub fn submit(&self, job: Job) -> Result<(), SubmitError> {
        job.generation.validate().map_err(Error::from)?;
        if job.generation.beams.is_some() {
            return Err(Error::from(GenerationConfigError::BeamsOfService).into());
        }
        let limit = answer_limit(&self.0.config, &job.prompt, job.generation.max_new_tokens)?;
        let layout = PromptLayout::new(&job.prompt, &self.0.config).map_err(Error::from)?;
        self.0.inbox.push(Ticket { job, layout, limit })
    }

    /// What the service does and has done.
    pub fn statistics(&self) -> Statistics {
        self.0.inbox.statistics()
    }

    /// Whether the thread has ended: after [`stop`](Self::stop), or because it failed, which the log tells.
    pub fn has_ended(&self) -> bool {
        self.0.inbox.has_ended()
    }

    /// Takes no more jobs, finishes those that it took, and returns when the model is closed.
    ///
    /// Jobs that shall not be waited for have to be cancelled. It must not be called from a job's events.
    pub fn stop(&self) {
        self.0.inbox.stop();
        self.0.inbox.wait_for_end();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}

/// The thread. Should it panic, which would be a defect, everyone who waits is told.
fn run(pipeline: Pipeline, options: ServiceOptions, inbox: &Inbox) {
    let mut scheduler = Scheduler::new(pipeline, options, inbox);
    let outcome = catch_unwind(AssertUnwindSafe(|| scheduler.run()));
    if outcome.is_err() {
        let _ = catch_unwind(AssertUnwindSafe(|| scheduler.abandon()));
    }
    drop(scheduler);
    for mut ticket in inbox.end() {
        let _ = catch_unwind(AssertUnwindSafe(|| (ticket.job.on_event)(Event::Failed(Error::ServiceEnded))));
    }
}
