//! The vision tower of the engine `cpu`: what rounding costs, and what rows depend on.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "functions beside the tests are parts of them")]

mod common;

use std::path::Path;

use common::{Kind, REFERENCE, engine_of, options_of, package_of_kind};
use qvl_checkpoint::Grid;
use qvl_engine::{Engine, EngineChoice, EngineOptions, Features};
use qvl_export::{ExportOptions, NoProgress, Precision};
use qvl_package::PackageDir;

/// Pixel values of `patches` patches, the same for the same first one.
fn pixels(first: usize, patches: usize, engine: &dyn Engine) -> Vec<f32> {
    let len = engine.config().vision.patch_len();
    (first * len..(first + patches) * len).map(|i| (i as f32 * 0.37).sin() * (i as f32 * 1e-3).cos()).collect()
}

/// Smallest and mean cosine of the parts of rows: the merged features and each DeepStack feature.
fn cosines(found: &Features, expected: &Features, parts: usize) -> (f64, f64) {
    assert_eq!((found.rows, found.width), (expected.rows, expected.width));
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let width = found.width / parts;
    let rows = found.data.chunks_exact(width).zip(expected.data.chunks_exact(width));
    let cosines: Vec<f64> = rows.map(|(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).collect();
    (cosines.iter().copied().fold(1.0, f64::min), cosines.iter().sum::<f64>() / cosines.len() as f64)
}

/// The features of the exact package come near to those of a rounded one: per token, as the fast mode computes them.
#[test]
fn rounding_turns_features_by_little() {
    let grid = Grid { t: 1, h: 12, w: 16 };
    for checkpoint in ["dense-tied", "dense-untied", "moe"] {
        let mut exact = engine_of(EngineChoice::Cpu, checkpoint);
        let pixels = pixels(0, grid.patches(), exact.as_ref());
        let expected = exact.encode(&pixels, &[grid]).unwrap();
        let parts = 1 + exact.config().deepstack_count();
        let fast = EngineOptions { precise: false, ..options_of(EngineChoice::Cpu) };
        let features = |package: &PackageDir, options: &EngineOptions| {
            qvl_engine::open(package, options).unwrap().encode(&pixels, &[grid]).unwrap()
        };
        let half = package_of_kind(checkpoint, Kind { precision: Precision::Fp16, all_logits: false });
        let int8 = int8(checkpoint);
        for (name, package, options, at_least) in [
            // In int16 at least 0.999999; with AMX, in bf16, 0.99998.
            ("float16", &half, &fast, 0.999_9),
            ("int8 weights", &int8, &options_of(EngineChoice::Cpu), 0.999),
            // Measured: at least 0.9987, 0.9995 in the mean. The tiny towers are random and 64 numbers wide.
            ("int8 weights and activations", &int8, &fast, 0.998),
        ] {
            let (smallest, mean) = cosines(&features(package, options), &expected, parts);
            println!("{checkpoint}, {name}: cosines of tokens at least {smallest}, {mean} in the mean");
            assert!(smallest >= at_least, "{checkpoint}, {name}: {smallest}");
        }
    }
}

/// Without `--precise` too.
#[test]
fn single_precision_stays_single_precision() {
    let grid = Grid { t: 1, h: 12, w: 16 };
    let mut exact = engine_of(EngineChoice::Cpu, "dense-tied");
    let pixels = pixels(0, grid.patches(), exact.as_ref());
    let package = package_of_kind("dense-tied", Kind { precision: Precision::Fp32, all_logits: false });
    let fast = EngineOptions { precise: false, ..options_of(EngineChoice::Cpu) };
    let found = qvl_engine::open(&package, &fast).unwrap().encode(&pixels, &[grid]).unwrap();
    assert_eq!(found.data, exact.encode(&pixels, &[grid]).unwrap().data);
}

/// A package of the tiny checkpoint `name` with a vision tower in blocks of 8 bits.
fn int8(name: &str) -> PackageDir {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cpu_vision").join(format!("{name}-int8"));
    let options = ExportOptions {
        precision: Precision::Int8,
        vision_precision: Some(Precision::Int8),
        overwrite: true,
        ..ExportOptions::new(&output)
    };
    qvl_export::export(&Path::new(REFERENCE).join("tiny").join(name), &options, &NoProgress).unwrap();
    PackageDir::open(&output).unwrap()
}

#[test]
fn frames_and_pictures_do_not_see_each_other() {
    let mut engine = engine_of(EngineChoice::Cpu, "dense-tied");
    // More patches in all than go through the tower at once.
    let (frame, other) = (Grid { t: 1, h: 40, w: 30 }, Grid { t: 1, h: 6, w: 2 });
    let video = Grid { t: 5, ..frame };
    let first = pixels(0, video.patches(), engine.as_ref());
    let second = pixels(video.patches(), other.patches(), engine.as_ref());
    let together = engine.encode(&[first.clone(), second.clone()].concat(), &[video, other]).unwrap();
    let mut alone = Vec::new();
    for pixels in first.chunks(first.len() / video.t) {
        alone.extend(engine.encode(pixels, &[frame]).unwrap().data);
    }
    alone.extend(engine.encode(&second, &[other]).unwrap().data);
    assert_eq!(together.rows, video.merged(2) + other.merged(2));
    assert!(together.data == alone, "a frame's features are other ones when it is alone");
}

#[test]
fn features_do_not_depend_on_the_number_of_threads() {
    let package = common::package("moe");
    let grid = Grid { t: 2, h: 14, w: 10 };
    let mut results = [1, 3].map(|threads| {
        let options = EngineOptions { threads: Some(threads), ..options_of(EngineChoice::Cpu) };
        let mut engine = qvl_engine::open(&package, &options).unwrap();
        let pixels = pixels(0, grid.patches(), engine.as_ref());
        engine.encode(&pixels, &[grid]).unwrap().data
    });
    let [one, three] = &mut results;
    assert!(one == three, "the threads changed the sums");
}
