//! Teacher forcing: the logits along a given continuation.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::ops::ControlFlow;

use common::{Case, TinyPackage, case, greedy};
use qvl::{CancelFlag, Error, GenerationConfig, Pipeline, PromptOptions, Request};

/// Calls `check` with a request that asks `case`.
fn with_request<T>(case: &Case, cancel: &CancelFlag, check: impl FnOnce(&Request<'_>) -> T) -> T {
    let request = Request {
        messages: &case.messages,
        media: &case.media,
        prompt: &PromptOptions::default(),
        generation: &GenerationConfig::default(),
        cancel,
    };
    check(&request)
}

/// The most likely token of each row.
fn forced(pipeline: &mut Pipeline, case: &Case, continuation: &[u32]) -> Vec<usize> {
    let mut tokens = Vec::new();
    let vocabulary = pipeline.config().text.vocab_size;
    let rows = with_request(case, &CancelFlag::default(), |request| {
        pipeline.forced_logits(request, continuation, &mut |index, logits| {
            assert_eq!((index, logits.len()), (tokens.len(), vocabulary));
            tokens.push((0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap());
            ControlFlow::Continue(())
        })
    });
    assert_eq!(rows.unwrap(), tokens.len());
    tokens
}

#[test]
fn a_greedy_answer_is_predicted_token_by_token() {
    let package = TinyPackage::export("dense-tied");
    let mut pipeline = package.open();
    for name in ["text_only", "one_image"] {
        let case = case("dense-tied", name);
        let generated: Vec<usize> = case.generated.iter().map(|&id| id as usize).collect();
        let rows = forced(&mut pipeline, &case, &case.generated);
        assert_eq!((&rows[..generated.len()], rows.len()), (&generated[..], generated.len() + 1), "{name}");
        assert_eq!(forced(&mut pipeline, &case, &[]), generated[..1], "{name}: no continuation");
        // It leaves nothing behind that an answer would see.
        assert_eq!(case.ask(&mut pipeline, &greedy()).0.token_ids, case.generated, "{name}");
    }
}

#[test]
fn another_continuation_has_other_logits_after_the_difference() {
    let package = TinyPackage::export("dense-tied");
    let mut pipeline = package.open();
    let case = case("dense-tied", "text_only");
    let mut other = case.generated.clone();
    other[4] = (other[4] + 1) % 1000;
    let (rows, others) = (forced(&mut pipeline, &case, &case.generated), forced(&mut pipeline, &case, &other));
    assert_eq!(rows[..5], others[..5]);
    assert_ne!(rows[5..], others[5..]);
}

#[test]
fn it_ends_when_it_is_broken_off_or_cancelled() {
    let package = TinyPackage::export("dense-tied");
    let mut pipeline = package.open();
    let case = case("dense-tied", "text_only");
    let cancel = CancelFlag::default();
    let rows = with_request(&case, &cancel, |request| {
        pipeline.forced_logits(request, &case.generated, &mut |index, _| {
            if index == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    assert_eq!(rows.unwrap(), 3);
    let rows = with_request(&case, &cancel, |request| {
        pipeline.forced_logits(request, &case.generated, &mut |index, _| {
            if index == 1 {
                cancel.cancel();
            }
            ControlFlow::Continue(())
        })
    });
    assert_eq!(rows.unwrap(), 2);
    let mut never = |_: usize, _: &[f32]| panic!("it was cancelled before it began");
    let rows = with_request(&case, &cancel, |request| pipeline.forced_logits(request, &case.generated, &mut never));
    assert_eq!(rows.unwrap(), 0);
}

#[test]
fn a_token_beyond_the_vocabulary_is_an_error() {
    let package = TinyPackage::export("dense-tied");
    let mut pipeline = package.open();
    let case = case("dense-tied", "text_only");
    let error = with_request(&case, &CancelFlag::default(), |request| {
        pipeline.forced_logits(request, &[u32::MAX], &mut |_, _| ControlFlow::Continue(())).unwrap_err()
    });
    assert!(matches!(error, Error::Engine(_)) && error.to_string().contains("4294967295"), "{error}");
}
