//! The goldens of `transformers`: features, logits and greedy tokens of every case and tiny checkpoint.
//!
//! Token ids and positions are the goldens' own, pixel values are computed.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "functions beside the tests are parts of them")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{ENGINES, Kind, REFERENCE, assert_close, options_of, package_of_kind};
use qvl_engine::{Engine, EngineChoice, Features, Prefill, SequenceId};
use qvl_export::Precision;
use qvl_package::PackageDir;
use qvl_processor::{
    ImageLimits, ImageProcessor, Patches, PreprocessorConfig, Rgb8, VideoMeta, VideoOptions, VideoProcessor,
    decode_image,
};
use safetensors::SafeTensors;
use serde_json::Value;

/// Largest difference from a golden in single precision.
const TOLERANCE: f32 = 1e-4;

/// Largest difference of logits in a decode of 32 steps.
///
/// The goldens have rounding errors of their own, which grow with the steps: against `reference/ref_np.py`, which computes
/// in double precision, those of the mixture of experts are up to 6.6e-5 at the positions of a prompt and 8.0e-5 in a
/// decode.
const STEPS_TOLERANCE: f32 = 2e-4;

fn reference(path: &str) -> PathBuf {
    Path::new(REFERENCE).join(path)
}

/// The tensors of one golden case.
struct Golden {
    bytes: Vec<u8>,
}

impl Golden {
    fn read(checkpoint: &str, case: &str) -> Self {
        let path = reference("golden").join(checkpoint).join(format!("{case}.safetensors"));
        Self { bytes: fs::read(path).unwrap() }
    }

    /// Four-byte values of the tensor `name`, and its shape; `None` if the case has none.
    fn words<T>(&self, name: &str, convert: fn([u8; 4]) -> T) -> Option<(Vec<usize>, Vec<T>)> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).ok()?;
        let values = tensor.data().chunks_exact(4).map(|word| convert(word.try_into().unwrap())).collect();
        Some((tensor.shape().to_vec(), values))
    }

    fn floats(&self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        self.words(name, f32::from_le_bytes)
    }

    fn integers(&self, name: &str) -> (Vec<usize>, Vec<i32>) {
        self.words(name, i32::from_le_bytes).unwrap()
    }

    /// Token ids and positions of sequence `row` of the batch, without its padding.
    fn prompt(&self, row: usize) -> (Vec<u32>, Vec<[i64; 3]>) {
        let (shape, ids) = self.integers("input_ids");
        let (_, mask) = self.integers("attention_mask");
        let (_, positions) = self.integers("position_ids");
        let (batch, len) = (shape[0], shape[1]);
        let kept = (0..len).filter(|place| mask[row * len + place] == 1);
        let position = |place| [0, 1, 2].map(|axis| i64::from(positions[(axis * batch + row) * len + place]));
        kept.map(|place| (ids[row * len + place] as u32, position(place))).unzip()
    }
}

/// Pixel values of a picture.
fn image(processor: &ImageProcessor, file: &str) -> Patches {
    let bytes = fs::read(reference("images").join(file)).unwrap();
    processor.process(&decode_image(&bytes, &ImageLimits::default()).unwrap(), None).unwrap()
}

/// Pixel values of the first `frames` frames of the video at `fps`.
fn video(processor: &VideoProcessor, frames: usize, fps: f64) -> Patches {
    let file = fs::read(reference("images/video_37x64x96.npy")).unwrap();
    let (width, height) = (96, 64);
    let pixels = &file[file.len() - 37 * width * height * 3..];
    let pictures: Vec<Rgb8> = pixels
        .chunks_exact(width * height * 3)
        .take(frames)
        .map(|p| Rgb8::new(width, height, p.to_vec()).unwrap())
        .collect();
    processor.process(&pictures, &VideoMeta::new(fps, frames), &VideoOptions::default()).unwrap().patches
}

/// Encodes `media` in one call and compares with the goldens named `part.features` and `part.deepstack.N`.
fn encode(engine: &mut dyn Engine, media: &[Patches], golden: &Golden, part: &str) -> Features {
    let pixel_values: Vec<f32> = media.iter().flat_map(|patches| patches.pixel_values.iter().copied()).collect();
    let grids: Vec<_> = media.iter().map(|patches| patches.grid).collect();
    let features = engine.encode(&pixel_values, &grids).unwrap();
    let width = engine.config().text.hidden_size;
    for block in 0..=engine.config().deepstack_count() {
        let name = match block {
            0 => format!("{part}.features"),
            deepstack => format!("{part}.deepstack.{}", deepstack - 1),
        };
        let rows = features.data.chunks_exact(features.width);
        let found: Vec<f32> = rows.flat_map(|row| row[block * width..][..width].iter().copied()).collect();
        let (shape, expected) = golden.floats(&name).unwrap();
        assert_eq!(shape, [features.rows, width], "{name}");
        assert_close(&found, &expected, TOLERANCE, &name);
    }
    features
}

/// Features of all pictures and videos of a case, in the order of their placeholders in `token_ids`.
fn features(
    engine: &mut dyn Engine,
    checkpoint: &str,
    case: &Value,
    golden: &Golden,
    token_ids: &[u32],
) -> Option<Features> {
    let directory = reference("tiny").join(checkpoint);
    let list = |key: &str| case[key].as_array().cloned().unwrap_or_default();
    let (images, videos) = (list("images"), list("videos"));
    if images.is_empty() && videos.is_empty() {
        return None;
    }
    let mut rows = [Vec::new(), Vec::new()];
    if !images.is_empty() {
        let processor = ImageProcessor::from_config(&PreprocessorConfig::read_image(&directory).unwrap());
        let media: Vec<_> = images.iter().map(|file| image(&processor, file.as_str().unwrap())).collect();
        rows[0] = encode(engine, &media, golden, "image").data;
    }
    if !videos.is_empty() {
        let processor = VideoProcessor::from_config(&PreprocessorConfig::read_video(&directory).unwrap());
        let one = |v: &Value| video(&processor, v["frames"].as_u64().unwrap() as usize, v["fps"].as_f64().unwrap());
        rows[1] = encode(engine, &videos.iter().map(one).collect::<Vec<_>>(), golden, "video").data;
    }
    let config = engine.config();
    let width = config.packed_width();
    let mut rows = rows.each_ref().map(|rows| rows.chunks_exact(width));
    let kinds = [config.image_token_id, config.video_token_id];
    let placeholders = token_ids.iter().filter_map(|id| kinds.iter().position(|kind| kind == id));
    let data: Vec<f32> = placeholders.flat_map(|kind| rows[kind].next().unwrap().iter().copied()).collect();
    assert!(rows.iter_mut().all(|rows| rows.next().is_none()), "every row has its placeholder");
    Some(Features { rows: data.len() / width, width, data })
}

fn argmax(logits: &[f32]) -> u32 {
    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
    best as u32
}

/// Decodes 32 tokens greedily after a prompt, whose logits are given, and returns them.
fn greedy(engine: &mut dyn Engine, id: SequenceId, last: &[f32], positions: &[[i64; 3]], golden: &Golden) -> Vec<u32> {
    let steps = golden.floats("step_logits").map(|(_, values)| values);
    let next = positions.iter().flatten().max().unwrap() + 1;
    let mut logits = last.to_vec();
    let mut tokens = Vec::new();
    for step in 0..32 {
        if let Some(steps) = &steps {
            let expected = &steps[step * logits.len()..][..logits.len()];
            assert_close(&logits, expected, STEPS_TOLERANCE, &format!("logits of step {step}"));
        }
        tokens.push(argmax(&logits));
        logits = engine.decode(id, tokens[step], next + step as i64).unwrap().last().to_vec();
    }
    tokens
}

fn tokens(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|token| token.as_u64().unwrap() as u32).collect()
}

/// A case with one sequence: features, logits of the prompt, greedy tokens.
fn check_case(engine: &mut dyn Engine, checkpoint: &str, case: &Value, all_logits: bool) {
    let golden = Golden::read(checkpoint, case["name"].as_str().unwrap());
    let (token_ids, positions) = golden.prompt(0);
    let features = features(engine, checkpoint, case, &golden, &token_ids);
    let prompt = Prefill { token_ids: &token_ids, positions: &positions, features: features.as_ref() };
    let id = engine.open_sequence(token_ids.len()).unwrap();
    let logits = engine.prefill(id, &prompt).unwrap();
    assert_eq!(logits.rows, if all_logits { token_ids.len() } else { 1 });
    assert_close(logits.last(), &golden.floats("last_logits").unwrap().1, TOLERANCE, "last_logits");
    if let Some((shape, expected)) = golden.floats("logits").filter(|_| all_logits) {
        let rows = logits.data.len() - shape[0] * logits.vocab;
        assert_close(&logits.data[rows..], &expected, TOLERANCE, "logits");
    }
    let generated = greedy(engine, id, logits.last(), &positions, &golden);
    assert_eq!(generated, tokens(&case["generated"]));
    engine.close_sequence(id);
}

/// The batch, as sequences that are decoded in turns.
fn check_batch(engine: &mut dyn Engine, checkpoint: &str, cases: &[Value], batch: &Value) {
    let golden = Golden::read(checkpoint, "batch_left_padded");
    let (shape, last) = golden.floats("last_logits").unwrap();
    let mut rows = Vec::new();
    for (row, member) in batch["members"].as_array().unwrap().iter().enumerate() {
        let case = cases.iter().find(|case| case["name"] == *member).unwrap();
        let (token_ids, positions) = golden.prompt(row);
        let own = Golden::read(checkpoint, member.as_str().unwrap());
        let features = features(engine, checkpoint, case, &own, &token_ids);
        let prompt = Prefill { token_ids: &token_ids, positions: &positions, features: features.as_ref() };
        let id = engine.open_sequence(1).unwrap();
        let logits = engine.prefill(id, &prompt).unwrap();
        assert_close(logits.last(), &last[row * shape[1]..][..shape[1]], TOLERANCE, "last_logits of the batch");
        let next = positions.iter().flatten().max().unwrap() + 1;
        rows.push((id, next, logits, Vec::new()));
    }
    for step in 0..32 {
        for (id, next, logits, generated) in &mut rows {
            generated.push(argmax(logits.last()));
            *logits = engine.decode(*id, generated[step], *next + step as i64).unwrap();
        }
    }
    for ((_, _, _, generated), expected) in rows.iter().zip(batch["generated"].as_array().unwrap()) {
        assert_eq!(*generated, tokens(expected));
    }
}

/// An engine of either kind.
fn open(package: &PackageDir, choice: EngineChoice) -> Box<dyn Engine> {
    qvl_engine::open(package, &options_of(choice)).unwrap()
}

fn check(checkpoint: &str, golden: &str, all_logits: bool) {
    let index = fs::read_to_string(reference("golden").join(golden).join("index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let cases = index["cases"].as_array().unwrap();
    let package = package_of_kind(checkpoint, Kind { precision: Precision::Fp32, all_logits });
    assert_eq!(cases.len(), 8);
    for choice in ENGINES {
        let mut engine = open(&package, choice);
        for case in cases {
            println!("{checkpoint}/{} on {choice}", case["name"]);
            if case["name"] == "batch_left_padded" {
                check_batch(engine.as_mut(), golden, cases, case);
            } else {
                check_case(engine.as_mut(), golden, case, all_logits);
            }
        }
    }
}

#[test]
fn dense_tied() {
    check("dense-tied", "dense-tied", false);
}

#[test]
fn dense_tied_logits_of_all_positions() {
    check("dense-tied", "dense-tied", true);
}

#[test]
fn dense_untied() {
    check("dense-untied", "dense-untied", false);
}

#[test]
fn dense_untied_logits_of_all_positions() {
    check("dense-untied", "dense-untied", true);
}

#[test]
fn moe() {
    check("moe", "moe", false);
}

#[test]
fn moe_logits_of_all_positions() {
    check("moe", "moe", true);
}

#[test]
fn moe_saved_by_transformers_5() {
    check("moe-resaved5x", "moe", false);
}

/// In half precision logits are off by some hundredths where they spread over about ten to either side.
#[test]
fn half_precision_is_close() {
    for checkpoint in ["dense-tied", "dense-untied", "moe"] {
        let package = package_of_kind(checkpoint, Kind { precision: Precision::Fp16, all_logits: false });
        let processor = PreprocessorConfig::read_image(&reference("tiny").join(checkpoint)).unwrap();
        let picture = image(&ImageProcessor::from_config(&processor), "gradient_400x300.png");
        let golden = Golden::read(checkpoint, "one_image");
        let (token_ids, positions) = golden.prompt(0);
        for choice in ENGINES {
            let mut engine = open(&package, choice);
            let features = engine.encode(&picture.pixel_values, &[picture.grid]).unwrap();
            let prompt = Prefill { token_ids: &token_ids, positions: &positions, features: Some(&features) };
            let id = engine.open_sequence(token_ids.len()).unwrap();
            let logits = engine.prefill(id, &prompt).unwrap();
            let expected = golden.floats("last_logits").unwrap().1;
            assert_close(logits.last(), &expected, 0.1, &format!("{checkpoint} on {choice}"));
        }
    }
}
