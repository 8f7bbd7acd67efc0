//! The answers to one request, while they come.

use std::sync::Arc;
use std::time::Instant;

use qvl::service::{Event, Job, SubmitError};
use qvl::{CancelFlag, GenerationConfig, Grammar, Prompt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::app::App;
use crate::error::ApiError;
use crate::media::Room;
use crate::metrics::Pace;
use crate::prepare::failed;

/// One answer that is wanted.
pub(crate) struct Wanted {
    pub(crate) prompt: Prompt,
    pub(crate) generation: GenerationConfig,
    pub(crate) logprobs: Option<usize>,
    pub(crate) grammar: Option<Arc<Grammar>>,
}

/// The answers to one request. Dropping them, as happens when the client leaves, cancels what is not finished.
pub(crate) struct Answers {
    app: Arc<App>,
    /// Not bounded, since the model's thread must not wait for a client; a whole answer is small, and the time that a
    /// client may leave it unread is limited.
    events: UnboundedReceiver<(usize, Event)>,
    cancels: Vec<CancelFlag>,
    paces: Vec<Pace>,
    unfinished: usize,
    _admission: OwnedSemaphorePermit,
}

impl Answers {
    /// Puts the wanted answers into the queue. The question's `admission` is let go of with them, the `room` for its pictures as
    /// soon as the model has seen them, whoever reads the answers how slowly.
    ///
    /// # Errors
    /// If the queue has no place for all of them, or one cannot be answered.
    pub(crate) fn submit(
        app: &Arc<App>,
        wanted: Vec<Wanted>,
        (admission, room): (OwnedSemaphorePermit, Option<Room>),
        asked: Instant,
    ) -> Result<Self, ApiError> {
        let (sender, events) = unbounded_channel();
        let count = wanted.len();
        let mut answers = Self {
            app: Arc::clone(app),
            events,
            cancels: Vec::with_capacity(count),
            paces: vec![Pace::since(asked); count],
            unfinished: 0,
            _admission: admission,
        };
        let room = room.map(Arc::new);
        for (index, wanted) in wanted.into_iter().enumerate() {
            let cancel = CancelFlag::default();
            let job = job(index, wanted, cancel.clone(), room.clone(), sender.clone());
            app.service.submit(job).map_err(|error| refused(&error))?;
            answers.cancels.push(cancel);
            answers.unfinished += 1;
        }
        Ok(answers)
    }

    /// The next thing that happens, and to which of the answers; none when all of them are finished.
    ///
    /// # Errors
    /// If one of them fails; the others are of no use then.
    pub(crate) async fn next(&mut self) -> Option<Result<(usize, Event), ApiError>> {
        if self.unfinished == 0 {
            return None;
        }
        let Some((index, event)) = self.events.recv().await else {
            return Some(Err(ApiError::internal()));
        };
        match &event {
            Event::Token { .. } => self.app.metrics.token(&mut self.paces[index]),
            Event::Finished(_) => self.unfinished -= 1,
            Event::Failed(error) => return Some(Err(failed(error))),
            Event::Started { .. } => {}
        }
        Some(Ok((index, event)))
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        // To cancel a finished answer changes nothing.
        self.cancels.iter().for_each(CancelFlag::cancel);
    }
}

fn job(
    index: usize,
    wanted: Wanted,
    cancel: CancelFlag,
    mut room: Option<Arc<Room>>,
    sender: UnboundedSender<(usize, Event)>,
) -> Job {
    let leaves = cancel.clone();
    let on_event = move |event| {
        // What comes after the start comes after the prompt, whose pictures are gone then.
        if !matches!(event, Event::Started { .. }) {
            drop(room.take());
        }
        if sender.send((index, event)).is_err() {
            leaves.cancel();
        }
    };
    Job {
        prompt: wanted.prompt,
        generation: wanted.generation,
        logprobs: wanted.logprobs,
        grammar: wanted.grammar,
        cancel,
        on_event: Box::new(on_event),
    }
}

fn refused(error: &SubmitError) -> ApiError {
    match error {
        SubmitError::Full { .. } | SubmitError::Stopping => ApiError::busy(error.to_string()),
        SubmitError::Invalid(error) => failed(error),
    }
}
