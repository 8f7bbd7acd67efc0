//! The thread's loop, seen by an engine that counts, halts and fails.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod ends;
mod refused;
mod sharing;

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use qvl_processor::{Message, Prompt, PromptOptions, Role};

use super::*;
use crate::answer::Answer;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::generation::GenerationConfig;
use crate::pipeline::Request;
use crate::test_engine::{Watch, pipeline};

const TOKENS: usize = 12;

fn greedy() -> GenerationConfig {
    GenerationConfig { max_new_tokens: TOKENS, ignore_eos: true, ..GenerationConfig::default() }
}

fn question(text: &str) -> [Message; 1] {
    [Message::text(Role::User, text)]
}

fn prompt(service: &Service, text: &str) -> Prompt {
    service.processor().prepare(&question(text), &[], &PromptOptions::default()).unwrap()
}

fn alone(text: &str) -> Answer {
    let (mut pipeline, _) = pipeline(512);
    let request = Request {
        messages: &question(text),
        media: &[],
        prompt: &PromptOptions::default(),
        generation: &greedy(),
        cancel: &CancelFlag::default(),
    };
    pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// What becomes of a job.
struct Asked {
    events: Receiver<Event>,
    cancel: CancelFlag,
}

impl Asked {
    /// Waits for the end; returns it with the tokens of the prompt that were cached and the text of the tokens' events.
    fn end(&self) -> (Result<Answer, Error>, Option<usize>, String) {
        let (mut cached, mut text) = (None, String::new());
        loop {
            match self.events.recv().unwrap() {
                Event::Started { cached_tokens } => assert_eq!(cached.replace(cached_tokens), None),
                Event::Token { text: piece, .. } => text.push_str(&piece),
                Event::Finished(answer) => return (Ok(answer), cached, text),
                Event::Failed(error) => return (Err(error), cached, text),
            }
        }
    }

    fn answer(&self) -> Answer {
        let (answer, _, text) = self.end();
        let answer = answer.unwrap();
        assert_eq!(answer.text, text);
        answer
    }
}

fn job(prompt: Prompt, generation: GenerationConfig) -> (Job, Asked) {
    let (sender, events) = channel();
    let cancel = CancelFlag::default();
    let on_event = Box::new(move |event| sender.send(event).unwrap_or_default());
    let job = Job { prompt, generation, logprobs: None, grammar: None, cancel: cancel.clone(), on_event };
    (job, Asked { events, cancel })
}

fn ask(service: &Service, prompt: Prompt) -> Asked {
    let (job, asked) = job(prompt, greedy());
    service.submit(job).unwrap();
    asked
}

fn start(options: ServiceOptions) -> (Service, Watch) {
    let (pipeline, watch) = pipeline(512);
    (Service::start(pipeline, options).unwrap(), watch)
}

fn wait_for(service: &Service, holds: impl Fn(&Statistics) -> bool) {
    while !holds(&service.statistics()) {
        thread::yield_now();
    }
}
