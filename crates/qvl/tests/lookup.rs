//! Prompt lookup: drafts change the time that an answer takes, and nothing else.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::{TinyPackage, case, greedy, stream};
use qvl::{
    Answer, CancelFlag, FinishReason, GenerationConfig, Message, Pipeline, PromptOptions, Request, Role, Speculation,
};
use qvl_export::Precision;

/// The answer with drafts, which equals that without them; and its text as it was streamed.
fn same(pipeline: &mut Pipeline, messages: &[Message], settings: &GenerationConfig) -> Answer {
    let mut ask = |prompt_lookup: bool| {
        let request = Request {
            messages,
            media: &[],
            prompt: &PromptOptions::default(),
            generation: &GenerationConfig { prompt_lookup, ..settings.clone() },
            cancel: &CancelFlag::default(),
        };
        stream(pipeline, &request)
    };
    let ((with, streamed), (without, _)) = (ask(true), ask(false));
    assert_eq!(with.token_ids, without.token_ids);
    assert_eq!((&with.text, with.finish_reason), (&without.text, without.finish_reason));
    assert_eq!(streamed, with.text);
    assert_eq!((without.speculation.drafted, without.speculation.accepted), (0, 0));
    with
}

#[test]
fn the_demo_model_says_the_same_in_single_precision_and_in_4_bits() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/model");
    for precision in [Precision::Fp32, Precision::Int4] {
        let mut pipeline = TinyPackage::export_from(&demo, precision).open();
        let text = "red circle, blue square, red circle, blue square, red circle, blue square, red circle,";
        let (mut drafted, mut accepted) = (0, 0);
        for text in [text, "What is this?"] {
            // Far beyond its end the model repeats itself.
            let settings = GenerationConfig { max_new_tokens: 96, ..greedy() };
            let answer = same(&mut pipeline, &[Message::text(Role::User, text)], &settings);
            assert_eq!(answer.token_ids.len(), 96);
            drafted += answer.speculation.drafted;
            accepted += answer.speculation.accepted;
        }
        assert!(accepted > 0 && drafted >= accepted, "{accepted} of {drafted}: the test needs answers that repeat");
    }
}

/// The tiny model with a question, and settings that leave it four tokens, so that it repeats itself.
fn of_few_words() -> (Pipeline, Vec<Message>, GenerationConfig) {
    let case = case("dense-tied", "text_only");
    let mut settings = GenerationConfig { max_new_tokens: 64, ..greedy() };
    settings.sampling.logit_bias = case.generated[..4].iter().map(|&token| (token, 100.0)).collect();
    (TinyPackage::export("dense-tied").open(), case.messages, settings)
}

#[test]
fn an_answer_ends_inside_a_draft_as_it_does_without() {
    let (mut pipeline, messages, settings) = of_few_words();
    let whole = same(&mut pipeline, &messages, &settings);
    let Speculation { drafted, accepted } = whole.speculation;
    assert!(accepted > 8 && drafted > accepted, "{accepted} of {drafted}: the test needs right and wrong drafts");
    for max_new_tokens in 1..=64 {
        let answer = same(&mut pipeline, &messages, &GenerationConfig { max_new_tokens, ..settings.clone() });
        assert_eq!((answer.token_ids.len(), answer.finish_reason), (max_new_tokens, FinishReason::Length));
    }
    for index in (0..64).step_by(5) {
        let eos_token_ids = vec![whole.token_ids[index]];
        let ends = GenerationConfig { eos_token_ids, ignore_eos: false, ..settings.clone() };
        let first = whole.token_ids.iter().position(|token| *token == whole.token_ids[index]).unwrap();
        let answer = same(&mut pipeline, &messages, &ends);
        assert_eq!((answer.token_ids.len(), answer.finish_reason), (first + 1, FinishReason::Stop));
    }
    let characters: Vec<char> = whole.text.chars().collect();
    for start in (0..characters.len() - 4).step_by(7) {
        let stop: String = characters[start..start + 4].iter().collect();
        let answer = same(&mut pipeline, &messages, &GenerationConfig { stop: vec![stop], ..settings.clone() });
        assert_eq!(answer.finish_reason, FinishReason::Stop);
    }
}

#[test]
fn who_breaks_off_inside_a_draft_gets_no_further_token() {
    let (mut pipeline, messages, settings) = of_few_words();
    let whole = same(&mut pipeline, &messages, &settings);
    for wanted in 1..16 {
        let request = Request {
            messages: &messages,
            media: &[],
            prompt: &PromptOptions::default(),
            generation: &settings,
            cancel: &CancelFlag::default(),
        };
        let mut pieces = 0;
        let answer = pipeline.generate(&request, &mut |_| {
            pieces += 1;
            if pieces < wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let answer = answer.unwrap();
        assert_eq!(answer.finish_reason, FinishReason::Cancelled);
        assert!(whole.token_ids.starts_with(&answer.token_ids) && answer.token_ids.len() < 64);
    }
}
