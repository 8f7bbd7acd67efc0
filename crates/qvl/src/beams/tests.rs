//! What a search leaves behind, seen by an engine that keeps count.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::ops::ControlFlow;

use qvl_processor::{Message, PromptOptions, Role};

use super::*;
use crate::pipeline::{Pipeline, Request};
use crate::test_engine::{Controls, pipeline};

fn config() -> GenerationConfig {
    let beams = Some(BeamSearch::default());
    GenerationConfig { max_new_tokens: 12, ignore_eos: true, beams, ..GenerationConfig::default() }
}

fn ask(pipeline: &mut Pipeline, cancel: &CancelFlag) -> Result<Answer, Error> {
    let request = Request {
        messages: &[Message::text(Role::User, "Hello")],
        media: &[],
        prompt: &PromptOptions::default(),
        generation: &config(),
        cancel,
    };
    pipeline.generate(&request, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn every_sequence_is_closed_whatever_ends_the_search() {
    let (mut pipeline, watch) = pipeline(512);
    let answer = ask(&mut pipeline, &CancelFlag::default()).unwrap();
    assert_eq!((answer.token_ids.len(), answer.finish_reason), (12, FinishReason::Length));
    let work = watch.take();
    assert!(work.opened > 4 && work.closed == work.opened, "{work:?}");

    watch.set(Controls { bad_token: Some(answer.token_ids[5]), ..Controls::default() });
    assert!(ask(&mut pipeline, &CancelFlag::default()).is_err());
    let work = watch.take();
    assert!(work.opened > 4 && work.closed == work.opened, "{work:?}");
}

#[test]
fn a_cancelled_search_gives_the_best_so_far() {
    let (mut pipeline, watch) = pipeline(512);
    let cancel = CancelFlag::default();
    let halt = watch.halt();
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&mut pipeline, &cancel));
        cancel.cancel();
        drop(halt);
        asked.join().unwrap()
    });
    assert_eq!(answer.unwrap().finish_reason, FinishReason::Cancelled);
    let work = watch.take();
    assert_eq!(work.closed, work.opened);
}
