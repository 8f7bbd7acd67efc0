//! What ends an answer, and what a seed is good for.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::ops::ControlFlow;

use common::{Case, TinyPackage, case, greedy};
use qvl::{CancelFlag, Error, FinishReason, GenerationConfig, Pipeline, PromptOptions, Request};

fn text_only() -> (Pipeline, Case) {
    (TinyPackage::export("dense-tied").open(), case("dense-tied", "text_only"))
}

#[test]
fn an_end_token_ends_the_answer_and_is_its_last() {
    let (mut pipeline, case) = text_only();
    let eos = case.generated[8];
    let settings = GenerationConfig { eos_token_ids: vec![7, eos], ignore_eos: false, ..greedy() };
    let (answer, _) = case.ask(&mut pipeline, &settings);
    assert_eq!(answer.token_ids, case.generated[..9]);
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    let (ignoring, _) = case.ask(&mut pipeline, &GenerationConfig { ignore_eos: true, ..settings });
    assert_eq!(ignoring.token_ids, case.generated);
}

#[test]
fn a_stop_text_across_tokens_is_cut() {
    let (mut pipeline, case) = text_only();
    let (whole, _) = case.ask(&mut pipeline, &greedy());
    // "main" and " figure" are tokens of their own.
    let stop = "in fig";
    let settings = GenerationConfig { stop: vec!["never there".into(), stop.into()], ..greedy() };
    let (answer, streamed) = case.ask(&mut pipeline, &settings);
    assert_eq!(answer.text, whole.text[..whole.text.find(stop).unwrap()]);
    assert_eq!(streamed, answer.text);
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert!(answer.token_ids.len() < 32 && case.generated.starts_with(&answer.token_ids));
}

#[test]
fn the_greatest_length_ends_the_answer() {
    let (mut pipeline, case) = text_only();
    let (answer, _) = case.ask(&mut pipeline, &GenerationConfig { max_new_tokens: 5, ..greedy() });
    assert_eq!(answer.token_ids, case.generated[..5]);
    assert_eq!(answer.finish_reason, FinishReason::Length);
    assert_eq!((answer.usage.prompt_tokens, answer.usage.completion_tokens), (33, 5));
}

#[test]
fn a_seed_repeats_a_sampled_answer() {
    let (mut pipeline, case) = text_only();
    let mut settings =
        GenerationConfig { ignore_eos: true, max_new_tokens: 24, ..pipeline.generation_config().clone() };
    assert!(settings.sampling.do_sample, "the tiny checkpoint samples by default, as the published ones do");
    settings.sampling.temperature = 1.5;
    settings.sampling.top_p = 1.0;
    settings.sampling.seed = Some(11);
    let (first, _) = case.ask(&mut pipeline, &settings);
    let (again, _) = case.ask(&mut pipeline, &settings);
    assert_eq!(first.token_ids, again.token_ids);
    settings.sampling.seed = Some(12);
    let (other, _) = case.ask(&mut pipeline, &settings);
    assert_ne!(first.token_ids, other.token_ids);
}

#[test]
fn cancelling_keeps_what_was_said() {
    let (mut pipeline, case) = text_only();
    let cancel = CancelFlag::default();
    let request = Request {
        messages: &case.messages,
        media: &case.media,
        prompt: &PromptOptions::default(),
        generation: &greedy(),
        cancel: &cancel,
    };
    let mut pieces = 0;
    let answer = pipeline.generate(&request, &mut |_| {
        pieces += 1;
        if pieces == 3 {
            cancel.cancel();
        }
        ControlFlow::Continue(())
    });
    let answer = answer.unwrap();
    assert_eq!(answer.finish_reason, FinishReason::Cancelled);
    assert!(!answer.text.is_empty() && answer.token_ids.len() < 32);
    assert!(case.generated.starts_with(&answer.token_ids));

    let before = pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((before.finish_reason, before.token_ids.len()), (FinishReason::Cancelled, 0));
    cancel.reset();
    let broken_off = pipeline.generate(&request, &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!(broken_off.finish_reason, FinishReason::Cancelled);
}

#[test]
fn whoever_broke_off_sees_no_more() {
    let (mut pipeline, case) = text_only();
    let mut request = Request {
        messages: &case.messages,
        media: &case.media,
        prompt: &PromptOptions::default(),
        generation: &greedy(),
        cancel: &CancelFlag::default(),
    };
    let mut whole = Vec::new();
    let keep = &mut |piece: &str| {
        whole.push(piece.to_owned());
        ControlFlow::Continue(())
    };
    pipeline.generate(&request, keep).unwrap();
    let index = whole.iter().position(|piece| piece.chars().count() > 1).unwrap();
    // The end of this piece is held back, since it could become the stop text.
    let (cut, end) = whole[index].split_at(whole[index].char_indices().last().unwrap().0);
    let generation = GenerationConfig { stop: vec![format!("{end}\u{1}")], ..greedy() };
    request.generation = &generation;
    let mut pieces = Vec::new();
    let break_off = &mut |piece: &str| {
        pieces.push(piece.to_owned());
        if piece == cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let answer = pipeline.generate(&request, break_off).unwrap();
    assert_eq!(pieces.last().unwrap(), cut, "{pieces:?}");
    assert_eq!(answer.text, whole[..=index].concat());
}

#[test]
fn settings_out_of_range_are_refused() {
    let (mut pipeline, case) = text_only();
    let request = Request {
        messages: &case.messages,
        media: &case.media,
        prompt: &PromptOptions::default(),
        generation: &GenerationConfig { max_new_tokens: 0, ..greedy() },
        cancel: &CancelFlag::default(),
    };
    let error = pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, Error::GenerationConfig(_)));
    assert_eq!(error.to_string(), "max_new_tokens is 0; it must be at least 1");
}
