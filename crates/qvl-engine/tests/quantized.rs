//! Quantised packages on both engines, beside the same checkpoint in single precision.
//!
//! Random weights forgive no rounding, so the bounds here are loose: they tell a wrong layout, which leaves nothing alike, from
//! rounding. That every code is the right one is checked by `reference/check_quantized.py`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use common::{FP32, Kind, REFERENCE, cosine, options, options_of, package_of_kind};
use qvl_checkpoint::{Config, Grid};
use qvl_engine::{EngineChoice, EngineOptions, Prefill, VisionTower};
use qvl_export::{CalibrationPrompt, Calibrator, ExportOptions, Method, NoProgress, Precision};
use qvl_package::PackageDir;

/// A picture's patches.
fn picture(config: &Config) -> (Vec<f32>, Grid) {
    let grid = Grid { t: 1, h: 8, w: 6 };
    ((0..grid.patches() * config.vision.patch_len()).map(|i| (i as f32 * 0.37).sin()).collect(), grid)
}

/// Logits after a prompt about a picture, and the picture's features.
fn answer(package: &PackageDir, options: &EngineOptions) -> (Vec<f32>, Vec<f32>) {
    let mut engine = qvl_engine::open(package, options).unwrap();
    let (pixels, grid) = picture(engine.config());
    let features = engine.encode(&pixels, &[grid]).unwrap();
    let image = engine.config().image_token_id;
    let token_ids: Vec<u32> = [vec![5, 6], vec![image; features.rows], vec![7, 8, 9]].concat();
    let positions: Vec<[i64; 3]> = (0..token_ids.len() as i64).map(|i| [i; 3]).collect();
    let id = engine.open_sequence(token_ids.len()).unwrap();
    let prompt = Prefill { token_ids: &token_ids, positions: &positions, features: Some(&features) };
    let logits = engine.prefill(id, &prompt).unwrap();
    (logits.last().to_vec(), features.data)
}

/// The engine `cpu` as it is used.
fn rounding() -> EngineOptions {
    EngineOptions { precise: false, ..options_of(EngineChoice::Cpu) }
}

#[test]
fn quantised_packages_answer_almost_as_the_exact_one() {
    for checkpoint in ["dense-tied", "dense-untied", "moe"] {
        let (exact, features) = answer(&package_of_kind(checkpoint, FP32), &options());
        for (precision, at_least) in [(Precision::Int8, 0.97), (Precision::Int4, 0.5)] {
            let package = package_of_kind(checkpoint, Kind { precision, ..FP32 });
            for options in [options(), rounding()] {
                let (logits, quantized) = answer(&package, &options);
                let (found, features) = (cosine(&exact, &logits), cosine(&features, &quantized));
                let what = format!("{checkpoint} {precision} on {}", options.engine);
                println!("{what}: logits {found}, features {features}");
                assert!(found > at_least, "{what}: the logits' cosine is {found}");
                assert!(features > 0.9999, "{what}: the features are float16, their cosine is {features}");
            }
        }
    }
}

/// One prompt about the picture and one without.
#[derive(Debug)]
struct Prompts(EngineOptions);

impl Calibrator for Prompts {
    fn source(&self) -> String {
        "two prompts".to_owned()
    }

    fn prompts(
        &self,
        package: &Path,
        vision: &Path,
        _tokens: usize,
    ) -> Result<Vec<CalibrationPrompt>, Box<dyn Error + Send + Sync>> {
        let config = Config::read(&package.join("config.json"))?;
        let (pixels, grid) = picture(&config);
        let features = VisionTower::open(vision, &config, &self.0)?.encode(&pixels, &[grid])?;
        let prompt = |token_ids: Vec<u32>, features| CalibrationPrompt {
            positions: (0..token_ids.len() as i64).map(|i| [i; 3]).collect(),
            token_ids,
            features,
        };
        let seen = [vec![5, 6], vec![config.image_token_id; features.rows], (10..60).collect()].concat();
        Ok(vec![prompt(seen, features.data), prompt((100..200).collect(), Vec::new())])
    }
}

#[test]
fn calibrated_packages_answer_almost_as_the_exact_one() {
    for checkpoint in ["dense-tied", "dense-untied", "moe"] {
        let (exact, _) = answer(&package_of_kind(checkpoint, FP32), &options());
        // At 8 bits a factor that AWQ forgot to take back would stand out from the rounding.
        for (precision, at_least) in [(Precision::Int8, 0.97), (Precision::Int4, 0.5)] {
            for (method, engine) in [(Method::Awq, options()), (Method::Gptq, rounding())] {
                let folder = tempfile::tempdir().unwrap();
                let options = ExportOptions {
                    precision,
                    method,
                    calibrator: Some(Arc::new(Prompts(engine.clone()))),
                    ..ExportOptions::new(folder.path().join("p"))
                };
                qvl_export::export(&Path::new(REFERENCE).join("tiny").join(checkpoint), &options, &NoProgress).unwrap();
                let package = PackageDir::open(&options.output).unwrap();
                let found = cosine(&exact, &answer(&package, &engine).0);
                println!("{checkpoint} {precision} {method}: {found}");
                assert!(found > at_least, "{checkpoint} {precision} {method}: the logits' cosine is {found}");
                let text = package.manifest().graphs["text"].quantization.clone().unwrap();
                let calibration = text.calibration.unwrap();
                assert_eq!((text.method, calibration.prompts, calibration.vision_tokens), (method, 2, 12));
                assert_eq!(calibration.source, "two prompts");
            }
        }
    }
}
