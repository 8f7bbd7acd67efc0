//! Every recorded case, from messages and pictures to the greedy tokens of `transformers`.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use common::{TinyPackage, cases, greedy};
use qvl::FinishReason;

fn check(checkpoint: &str, golden: &str) {
    let package = TinyPackage::export(checkpoint);
    let mut pipeline = package.open();
    for case in cases(golden) {
        let (answer, streamed) = case.ask(&mut pipeline, &greedy());
        let name = format!("{checkpoint}: {}", case.name);
        assert_eq!(answer.prompt_token_ids, case.input_ids(), "{name}");
        assert_eq!(answer.token_ids, case.generated, "{name}");
        assert_eq!(answer.finish_reason, FinishReason::Length, "{name}");
        assert_eq!(answer.text, streamed, "{name}");
        let shown = pipeline.processor().tokenizer().decode(&case.generated, true);
        assert_eq!(answer.text, shown, "{name}");
        let raw = pipeline.processor().tokenizer().decode(&case.generated, false);
        assert_eq!(raw, case.generated_text, "{name}");
    }
}

#[test]
fn dense_with_a_tied_head() {
    check("dense-tied", "dense-tied");
}

#[test]
fn dense_with_its_own_head() {
    check("dense-untied", "dense-untied");
}

#[test]
fn mixture_of_experts() {
    check("moe", "moe");
}

#[test]
fn mixture_of_experts_as_transformers_5_saves_it() {
    check("moe-resaved5x", "moe");
}
