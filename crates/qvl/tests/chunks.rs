//! The logits after a prompt do not depend on where its chunks begin: what scheduling many prompts rests on.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::{TinyPackage, case};
use qvl::{CancelFlag, EngineChoice, EngineOptions, GenerationConfig, Pipeline, PromptOptions, Request};
use qvl_export::Precision;

/// The logits after the pictures and texts of a tiny case, and after eight more tokens, to the last bit.
fn logits(package: &TinyPackage, prefill_chunk: usize) -> Vec<u32> {
    let options = EngineOptions { engine: EngineChoice::Cpu, prefill_chunk, ..EngineOptions::default() };
    let mut pipeline = Pipeline::open(&package.path(), &options).unwrap();
    let case = case("dense-tied", "two_images");
    let request = Request {
        messages: &case.messages,
        media: &case.media,
        prompt: &PromptOptions::default(),
        generation: &GenerationConfig::default(),
        cancel: &CancelFlag::default(),
    };
    let mut bits = Vec::new();
    let rows = pipeline.forced_logits(&request, &[40, 41, 42, 43, 44, 45, 46, 47], &mut |_, row| {
        bits.extend(row.iter().map(|logit| logit.to_bits()));
        ControlFlow::Continue(())
    });
    assert_eq!(rows.unwrap(), 9);
    bits
}

#[test]
fn chunks_change_no_bit() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/model");
    let tiny = TinyPackage::export("dense-tied");
    let packages =
        [tiny, TinyPackage::export_from(&demo, Precision::Int4), TinyPackage::export_from(&demo, Precision::Int8)];
    for package in &packages {
        let whole = logits(package, 4096);
        for chunk in [1, 7, 50, 64] {
            assert!(logits(package, chunk) == whole, "chunks of {chunk}");
        }
    }
}
