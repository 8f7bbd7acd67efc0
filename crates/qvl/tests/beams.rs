//! Beam search: the answers of `transformers`, and what ends a search.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::ops::ControlFlow;

use common::{TinyPackage, case, greedy, reference};
use qvl::{BeamSearch, CancelFlag, FinishReason, GenerationConfig, GenerationConfigError, PromptOptions, Request};
use serde_json::Value;

/// The searches that `reference/gen_beams.py` recorded.
fn records(checkpoint: &str) -> Vec<Value> {
    let path = reference("golden").join(checkpoint).join("beams.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn tokens(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The settings of a record.
fn settings(record: &Value) -> GenerationConfig {
    let beams = BeamSearch {
        num_beams: record["num_beams"].as_u64().unwrap() as usize,
        length_penalty: record["length_penalty"].as_f64().unwrap() as f32,
        early_stopping: record["early_stopping"].as_bool().unwrap(),
    };
    let mut config = GenerationConfig {
        max_new_tokens: record["max_new_tokens"].as_u64().unwrap() as usize,
        eos_token_ids: tokens(&record["eos_token_ids"]),
        beams: Some(beams),
        ..GenerationConfig::default()
    };
    config.sampling.repetition_penalty = record["repetition_penalty"].as_f64().unwrap() as f32;
    config
}

#[test]
fn answers_are_those_of_transformers() {
    for checkpoint in ["dense-tied", "moe"] {
        let package = TinyPackage::export(checkpoint);
        let mut pipeline = package.open();
        let records = records(checkpoint);
        assert_eq!(records.len(), 21);
        for record in records {
            let (answer, shown) =
                case(checkpoint, record["case"].as_str().unwrap()).ask(&mut pipeline, &settings(&record));
            assert_eq!(answer.token_ids, tokens(&record["generated"]), "{checkpoint}: {record}");
            assert_eq!(shown, answer.text);
            let is_ended = answer.token_ids.last().is_some_and(|id| tokens(&record["eos_token_ids"]).contains(id));
            let reason = if is_ended { FinishReason::Stop } else { FinishReason::Length };
            assert_eq!(answer.finish_reason, reason, "{record}");
        }
    }
}

fn searching(num_beams: usize) -> GenerationConfig {
    GenerationConfig { beams: Some(BeamSearch { num_beams, ..BeamSearch::default() }), ..greedy() }
}

#[test]
fn a_stop_text_ends_an_answer() {
    let package = TinyPackage::export("dense-tied");
    let (mut pipeline, case) = (package.open(), case("dense-tied", "text_only"));
    let (whole, _) = case.ask(&mut pipeline, &searching(3));
    let stop: String = whole.text.chars().skip(5).take(2).collect();
    // Short answers are better here than long ones that avoid the text.
    let beams = Some(BeamSearch { num_beams: 3, length_penalty: -5.0, early_stopping: false });
    let (answer, shown) = case.ask(&mut pipeline, &GenerationConfig { stop: vec![stop.clone()], beams, ..greedy() });
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert!(answer.token_ids.len() < 32 && !answer.text.contains(&stop), "{}", answer.text);
    assert_eq!(shown, answer.text);
}

#[test]
fn nothing_is_found_where_the_prompt_was_cancelled_and_conversations_go_on() {
    let package = TinyPackage::export("dense-tied");
    let (mut pipeline, case) = (package.open(), case("dense-tied", "text_only"));
    let cancel = CancelFlag::default();
    cancel.cancel();
    let request = Request {
        messages: &case.messages,
        media: &case.media,
        prompt: &PromptOptions::default(),
        generation: &searching(4),
        cancel: &cancel,
    };
    let nothing = pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((nothing.finish_reason, nothing.token_ids.len()), (FinishReason::Cancelled, 0));
    let mut conversation = pipeline.conversation();
    for question in ["Hello", "And now?"] {
        let content = vec![qvl::Content::Text(question.into())];
        let answer =
            conversation.ask(content, &searching(2), &CancelFlag::default(), &mut |_| ControlFlow::Continue(()));
        assert_eq!(answer.unwrap().token_ids.len(), 32);
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    for (num_beams, length_penalty) in [(1, 1.0), (17, 1.0), (2, f32::NAN), (2, 11.0)] {
        let beams = Some(BeamSearch { num_beams, length_penalty, ..BeamSearch::default() });
        let error = GenerationConfig { beams, ..greedy() }.validate().unwrap_err();
        assert!(matches!(error, GenerationConfigError::OutOfRange { .. }), "{error}");
    }
    let mut sampled = searching(2);
    sampled.sampling.do_sample = true;
    assert!(matches!(sampled.validate(), Err(GenerationConfigError::SampledBeams)));
}
