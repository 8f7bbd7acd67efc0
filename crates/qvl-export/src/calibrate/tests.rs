//! The decoder against `transformers`, and what methods make of it.

use std::fs;
use std::path::{Path, PathBuf};

use qvl_checkpoint::Checkpoint;
use safetensors::SafeTensors;

use super::CalibrationPrompt;
use super::awq::AwqFitter;
use super::codes::CodesWriter;
use super::decoder::Decoder;
use super::fitter::{Fitter, Gram, Site};
use super::gptq_fitter::GptqFitter;
use super::stream::Stream;
use super::target::{Fitted, Target};
use crate::graph::head_name;
use crate::quantize::BlockFormat;
use crate::storage::{Storage, StoragePlan};
use crate::{ExportError, Method, NoProgress};

const CHECKPOINTS: [&str; 3] = ["dense-tied", "dense-untied", "moe"];

fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference").join(path)
}

fn checkpoint(name: &str) -> Checkpoint {
    Checkpoint::open(&reference("tiny").join(name)).unwrap()
}

/// A golden case: its prompt with the vision features, and the logits of all its tokens.
fn golden(name: &str, case: &str, deepstack: usize) -> (CalibrationPrompt, Vec<f32>) {
    let bytes = fs::read(reference(&format!("golden/{name}/{case}.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| -> Vec<[u8; 4]> {
        tensors.tensor(name).map(|tensor| tensor.data().as_chunks::<4>().0.to_vec()).unwrap_or_default()
    };
    let integers = |name: &str| words(name).into_iter().map(i32::from_le_bytes).collect::<Vec<_>>();
    let floats = |name: &str| words(name).into_iter().map(f32::from_le_bytes).collect::<Vec<_>>();
    let token_ids: Vec<u32> = integers("input_ids").into_iter().map(|id| id as u32).collect();
    let axes = integers("position_ids");
    let count = token_ids.len();
    let positions = (0..count).map(|i| [0, 1, 2].map(|axis| i64::from(axes[axis * count + i]))).collect();
    let parts: Vec<Vec<f32>> = std::iter::once("image.features".to_owned())
        .chain((0..deepstack).map(|i| format!("image.deepstack.{i}")))
        .map(|name| floats(&name))
        .collect();
    let hidden = tensors.tensor("hidden.0").unwrap().shape()[1];
    let rows = parts[0].len() / hidden;
    let features =
        (0..rows).flat_map(|row| parts.iter().flat_map(move |part| part[row * hidden..][..hidden].to_vec())).collect();
    (CalibrationPrompt { token_ids, positions, features }, floats("logits"))
}

fn plan(bits: usize, method: Method) -> StoragePlan {
    let format = BlockFormat { bits, size: 16, symmetric: true, method, accuracy_level: 0 };
    StoragePlan::new(Storage::Blocks(format), Default::default())
}

/// Leaves all matrices as they are.
struct Unchanged;

impl<'a> Fitter<'a> for Unchanged {
    fn fit(&mut self, _: Site, targets: Vec<Target<'a>>, _: Gram) -> Result<Vec<Fitted<'a>>, ExportError> {
        Ok(targets.into_iter().map(Fitted::Original).collect())
    }
}

/// Rounds all matrices without a look at their inputs.
struct Rounded;

impl<'a> Fitter<'a> for Rounded {
    fn fit(&mut self, _: Site, targets: Vec<Target<'a>>, gram: Gram) -> Result<Vec<Fitted<'a>>, ExportError> {
        let blind = (0..gram.n * gram.n).map(|i| if i % (gram.n + 1) == 0 { 1.0 } else { 0.0 }).collect();
        let factor = super::gptq::Factor::new(blind, gram.n);
        let fit = |target: Target<'a>| match target.storage {
            Storage::Blocks(format) => Ok(Fitted::Blocks(factor.quantize(&target, format)?)),
            Storage::Float(_) => Ok(Fitted::Original(target)),
        };
        targets.into_iter().map(fit).collect()
    }
}

/// The residual stream after all layers.
fn run<'a>(
    checkpoint: &'a Checkpoint,
    plan: &StoragePlan,
    prompts: &[CalibrationPrompt],
    fitter: &mut dyn Fitter<'a>,
) -> Vec<f32> {
    let stream = Stream::new(checkpoint, prompts.to_vec()).unwrap();
    let mut decoder = Decoder { checkpoint, plan, stream, fitter, progress: &NoProgress };
    decoder.run().unwrap();
    decoder.stream.x
}

/// Logits of the stream's last token.
fn last_logits(checkpoint: &Checkpoint, x: &[f32]) -> Vec<f32> {
    let read = |name: &str| {
        let tensor = checkpoint.tensor(name).unwrap();
        let mut values = vec![0.0; tensor.len()];
        tensor.read_f32(0, &mut values);
        values
    };
    let scale = read("model.language_model.norm.weight");
    let x = &x[x.len() - scale.len()..];
    let mean = x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32;
    let factor = 1.0 / (mean + checkpoint.config().text.rms_norm_eps as f32).sqrt();
    let x: Vec<f32> = x.iter().zip(&scale).map(|(x, scale)| x * factor * scale).collect();
    read(head_name(checkpoint)).chunks_exact(x.len()).map(|row| row.iter().zip(&x).map(|(a, b)| a * b).sum()).collect()
}

#[test]
fn the_decoder_is_that_of_transformers() {
    for name in CHECKPOINTS {
        let checkpoint = checkpoint(name);
        let cases = ["text_only", "one_image"].map(|case| golden(name, case, checkpoint.config().deepstack_count()));
        // The prompts run together, and must not see each other.
        let prompts = cases.each_ref().map(|case| case.0.clone());
        let x = run(&checkpoint, &plan(4, Method::Gptq), &prompts, &mut Unchanged);
        let hidden = checkpoint.config().text.hidden_size;
        let mut end = 0;
        for (prompt, logits) in &cases {
            end += prompt.token_ids.len();
            let ours = last_logits(&checkpoint, &x[..end * hidden]);
            let expected = &logits[logits.len() - ours.len()..];
            let difference = ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 1e-3, "{name}: {difference}");
        }
    }
}

#[test]
fn gptq_keeps_the_stream_nearer_than_rounding() {
    for name in CHECKPOINTS {
        let checkpoint = checkpoint(name);
        let prompts =
            ["text_only", "one_image"].map(|case| golden(name, case, checkpoint.config().deepstack_count()).0);
        let plan = plan(4, Method::Gptq);
        let exact = run(&checkpoint, &plan, &prompts, &mut Unchanged);
        let distance = |x: Vec<f32>| x.iter().zip(&exact).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        let rounded = distance(run(&checkpoint, &plan, &prompts, &mut Rounded));
        let mut fitter = GptqFitter::new(&plan, CodesWriter::new(&std::env::temp_dir()).unwrap());
        let fitted = distance(run(&checkpoint, &plan, &prompts, &mut fitter));
        assert!(fitted < 0.7 * rounded, "{name}: {fitted} against {rounded}");
        // Every matrix has its codes, and what each lost is known.
        let codes = fitter.into_codes().finish().unwrap();
        let is_fitted = |name: &str| {
            name.contains(".layers.")
                && (name.contains("_proj") || name.contains(".experts."))
                && !name.contains("norm")
        };
        let matrices: Vec<String> =
            checkpoint.tensors().map(|tensor| tensor.name().to_owned()).filter(|name| is_fitted(name)).collect();
        assert!(!matrices.is_empty() && matrices.iter().all(|name| codes.has(name)));
        assert_eq!(plan.relative_errors().len(), matrices.len());
    }
}

#[test]
fn awq_scales_inputs_and_takes_it_back() {
    for name in CHECKPOINTS {
        let checkpoint = checkpoint(name);
        let prompts =
            ["text_only", "one_image"].map(|case| golden(name, case, checkpoint.config().deepstack_count()).0);
        let mut fitter = AwqFitter::new(&checkpoint.config().text);
        run(&checkpoint, &plan(4, Method::Awq), &prompts, &mut fitter);
        let folds = fitter.into_folds();
        let layer = |part: &str| format!("model.language_model.layers.0.{part}.weight");
        let query = folds[&layer("self_attn.q_proj")].inputs.clone().unwrap();
        let norm = folds[&layer("input_layernorm")].outputs.clone().unwrap();
        assert!(query.iter().zip(norm.iter()).all(|(a, b)| (a * b - 1.0).abs() < 1e-5));
        assert!(query.iter().any(|factor| (factor - 1.0).abs() > 0.01), "nothing was scaled");
    }
}
