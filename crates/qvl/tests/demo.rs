//! The demo model against `transformers`: ten pictures, two pairs and two clips, see `demo/recipe/goldens.py`.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use common::TinyPackage;
use qvl::eval::{MediaFile, Question, read_media, read_questions};
use qvl::{CancelFlag, GenerationConfig, Pipeline, PromptOptions, Request};
use qvl_export::Precision;
use safetensors::SafeTensors;
use serde::Deserialize;

/// Largest difference of a logit from the golden's.
const TOLERANCE: f32 = 1e-3;

fn demo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo").join(path)
}

/// What `transformers` answers to a held-out question.
#[derive(Deserialize)]
struct Golden {
    id: String,
    prompt_ids: Vec<u32>,
    answer_ids: Vec<u32>,
    answer: String,
}

/// The golden logits before each token of the answer, row by row.
fn golden_logits(tensors: &SafeTensors<'_>, golden: &Golden) -> Vec<f32> {
    let tensor = tensors.tensor(&golden.id).unwrap();
    assert_eq!(tensor.shape()[0], golden.answer_ids.len(), "{}", golden.id);
    tensor.data().chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect()
}

fn check(pipeline: &mut Pipeline, question: &Question, golden: &Golden, expected: &[f32]) {
    let media = read_media(question).unwrap();
    let request = Request {
        messages: &question.messages,
        media: &media,
        prompt: &PromptOptions::default(),
        generation: &GenerationConfig { max_new_tokens: 96, ..pipeline.generation_config().clone() },
        cancel: &CancelFlag::default(),
    };
    let answer = pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(answer.prompt_token_ids, golden.prompt_ids, "{}", golden.id);
    assert_eq!(answer.token_ids, golden.answer_ids, "{}", golden.id);
    assert_eq!(answer.text, golden.answer, "{}", golden.id);
    let mut rows = expected.chunks_exact(expected.len() / golden.answer_ids.len());
    let last = golden.answer_ids.len() - 1;
    let compared = pipeline.forced_logits(&request, &golden.answer_ids[..last], &mut |index, logits| {
        let worst = logits.iter().zip(rows.next().unwrap()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= TOLERANCE, "{}: token {index} is {worst} off", golden.id);
        ControlFlow::Continue(())
    });
    assert_eq!((compared.unwrap(), rows.len()), (golden.answer_ids.len(), 0), "{}", golden.id);
}

#[test]
fn answers_and_logits_are_those_of_transformers() {
    let package = TinyPackage::export_from(&demo("model"), Precision::Fp32);
    let mut pipeline = package.open();
    let goldens: Vec<Golden> =
        serde_json::from_str(&fs::read_to_string(demo("goldens/goldens.json")).unwrap()).unwrap();
    let file = fs::read(demo("goldens/goldens.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let questions = read_questions(&demo("heldout/questions.jsonl")).unwrap();
    let media = |golden: &Golden| &questions.iter().find(|question| question.id == golden.id).unwrap().media;
    let count = |wanted: fn(&[MediaFile]) -> bool| goldens.iter().filter(|golden| wanted(media(golden))).count();
    assert_eq!(count(|media| matches!(media, [MediaFile::Image(_)])), 10);
    assert_eq!(count(|media| media.len() == 2), 2);
    assert_eq!(count(|media| matches!(media, [MediaFile::Video(_)])), 2);
    for golden in &goldens {
        let question = questions.iter().find(|question| question.id == golden.id).unwrap();
        check(&mut pipeline, question, golden, &golden_logits(&tensors, golden));
    }
}
