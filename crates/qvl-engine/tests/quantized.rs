//! Quantised packages on ONNX Runtime, beside the same checkpoint in single precision.
//!
//! Random weights forgive no rounding, so the bounds here are loose: they tell a wrong layout, which leaves nothing alike, from
//! rounding. That every code is the right one is checked by `reference/check_quantized.py`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use common::{FP32, Kind, options, package_of_kind};
use qvl_checkpoint::Grid;
use qvl_engine::Prefill;
use qvl_export::Precision;

/// Logits after a prompt about a picture, and the picture's features.
fn answer(checkpoint: &str, precision: Precision) -> (Vec<f32>, Vec<f32>) {
    let mut engine = qvl_engine::open(&package_of_kind(checkpoint, Kind { precision, ..FP32 }), &options()).unwrap();
    let grid = Grid { t: 1, h: 8, w: 6 };
    let pixels =
        (0..grid.patches() * engine.config().vision.patch_len()).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<_>>();
    let features = engine.encode(&pixels, &[grid]).unwrap();
    let image = engine.config().image_token_id;
    let token_ids: Vec<u32> = [vec![5, 6], vec![image; features.rows], vec![7, 8, 9]].concat();
    let positions: Vec<[i64; 3]> = (0..token_ids.len() as i64).map(|i| [i; 3]).collect();
    let id = engine.open_sequence(token_ids.len()).unwrap();
    let prompt = Prefill { token_ids: &token_ids, positions: &positions, features: Some(&features) };
    let logits = engine.prefill(id, &prompt).unwrap();
    (logits.last().to_vec(), features.data)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn quantised_packages_answer_almost_as_the_exact_one() {
    for checkpoint in ["dense-tied", "dense-untied", "moe"] {
        let (exact, features) = answer(checkpoint, Precision::Fp32);
        for (precision, at_least) in [(Precision::Int8, 0.97), (Precision::Int4, 0.5)] {
            let (logits, quantized) = answer(checkpoint, precision);
            let (found, features) = (cosine(&exact, &logits), cosine(&features, &quantized));
            println!("{checkpoint} {precision}: logits {found}, features {features}");
            assert!(found > at_least, "{checkpoint} {precision}: the logits' cosine is {found}");
            assert!(
                features > 0.9999,
                "{checkpoint} {precision}: the features are float16, their cosine is {features}"
            );
        }
    }
}
