//! AWQ: inputs that are large on the average get finer codes, because the matrix's columns for them are scaled up before
//! rounding, and the layer before scaled down to make up for it (Lin et al. 2023, arXiv 2306.00978).

use std::sync::Arc;

use qvl_checkpoint::TextConfig;
use qvl_kernels::matmul_nt;
use rayon::prelude::*;

use super::fitter::{Fitter, Gram, Site};
use super::fold::Folds;
use super::target::{Fitted, Target};
use crate::ExportError;
use crate::quantize::BlockFormat;
use crate::storage::Storage;

/// Exponents that are tried, from 0, which changes nothing, to 1.
const STEPS: usize = 20;

/// Rows of the matrices at a place by which scales are judged.
const SAMPLE: usize = 256;

/// Scales are kept within this factor of one, so that nothing can overflow.
const MOST: f32 = 1e4;

/// Searches scales and keeps them as folds.
pub(super) struct AwqFitter<'b> {
    config: &'b TextConfig,
    layer: usize,
    folds: Folds,
}

impl<'b> AwqFitter<'b> {
    pub(super) fn new(config: &'b TextConfig) -> Self {
        Self { config, layer: 0, folds: Folds::new() }
    }

    /// What was found.
    pub(super) fn into_folds(self) -> Folds {
        self.folds
    }

    fn name(&self, part: &str) -> String {
        format!("model.language_model.layers.{}.{part}", self.layer)
    }

    /// Multiplies the inputs of the tensor `name` by `scales`.
    fn scale_inputs(&mut self, name: &str, scales: &[f32]) {
        self.folds.entry(name.to_owned()).or_default().inputs = Some(scales.into());
    }

    /// Divides the outputs of the tensor `name` by `scales`.
    fn divide_outputs(&mut self, name: &str, scales: &[f32]) {
        let factors = scales.iter().map(|scale| 1.0 / scale).collect();
        self.folds.entry(name.to_owned()).or_default().outputs = Some(factors);
    }

    /// Scales after the output projection's inputs: what comes from one value head has one scale in all query heads.
    fn fold_values(&mut self, scales: &[f32]) {
        let size = self.config.head_dim;
        let shared = self.config.num_attention_heads / self.config.num_key_value_heads;
        let values: Vec<f32> = scales.chunks_exact(shared * size).flat_map(|group| &group[..size]).copied().collect();
        self.divide_outputs(&self.name("self_attn.v_proj.weight"), &values);
    }

    /// Adds one expert's part to the folds of the experts' inner activations.
    fn fold_expert(&mut self, expert: usize, scales: &[f32]) {
        let Some(moe) = &self.config.moe else { return };
        let inner = scales.len();
        let (gate_up, down) = (self.name("mlp.experts.gate_up_proj"), self.name("mlp.experts.down_proj"));
        let up = all_experts(&mut self.folds.entry(gate_up).or_default().outputs, moe.num_experts * 2 * inner);
        // Gate and up rows lie in turn; only what is not gated is linear.
        let own = up[expert * 2 * inner..][..2 * inner].chunks_exact_mut(2);
        own.zip(scales).for_each(|(pair, scale)| pair[1] = 1.0 / scale);
        let down = all_experts(&mut self.folds.entry(down).or_default().inputs, moe.num_experts * inner);
        down[expert * inner..][..inner].copy_from_slice(scales);
    }
}

/// The factors of all experts, `count` ones at first.
fn all_experts(factors: &mut Option<Arc<[f32]>>, count: usize) -> &mut [f32] {
    Arc::make_mut(factors.get_or_insert_with(|| vec![1.0; count].into()))
}

impl<'a> Fitter<'a> for AwqFitter<'_> {
    fn fit(&mut self, site: Site, targets: Vec<Target<'a>>, gram: Gram) -> Result<Vec<Fitted<'a>>, ExportError> {
        if site == Site::AttentionIn {
            self.layer = layer_of(&targets[0].name);
        }
        // One expert's inputs are those of all experts.
        let tied = match site {
            Site::AttentionOut => self.config.num_attention_heads / self.config.num_key_value_heads,
            _ => 1,
        };
        let found = if matches!(site, Site::ExpertIn(_)) {
            None
        } else {
            best_scales(&targets, &gram, &Tie { heads: tied, size: self.config.head_dim })?
        };
        if let Some(scales) = found {
            if !matches!(site, Site::ExpertOut(_)) {
                for target in &targets {
                    self.scale_inputs(&target.name, &scales);
                }
            }
            match site {
                Site::AttentionIn => self.divide_outputs(&self.name("input_layernorm.weight"), &scales),
                Site::AttentionOut => self.fold_values(&scales),
                Site::MlpIn => self.divide_outputs(&self.name("post_attention_layernorm.weight"), &scales),
                Site::MlpOut => self.divide_outputs(&self.name("mlp.up_proj.weight"), &scales),
                Site::ExpertsIn => {
                    self.scale_inputs(&self.name("mlp.gate.weight"), &scales);
                    self.divide_outputs(&self.name("post_attention_layernorm.weight"), &scales);
                }
                Site::ExpertIn(_) => {}
                Site::ExpertOut(expert) => self.fold_expert(expert, &scales),
            }
        }
        Ok(targets.into_iter().map(Fitted::Original).collect())
    }
}

/// The number of the layer that the tensor `name` is of.
fn layer_of(name: &str) -> usize {
    name.split('.').find_map(|part| part.parse().ok()).unwrap_or(0)
}

/// Inputs that must have one scale, because one output of the layer before makes them all.
struct Tie {
    /// Heads beside each other that share their scales.
    heads: usize,
    /// Inputs of a head.
    size: usize,
}

impl Tie {
    /// Gives inputs that are tied their mean.
    fn unite(&self, values: &mut [f32]) {
        if self.heads == 1 {
            return;
        }
        for group in values.chunks_exact_mut(self.heads * self.size) {
            for i in 0..self.size {
                let mean = (0..self.heads).map(|head| group[head * self.size + i]).sum::<f32>() / self.heads as f32;
                (0..self.heads).for_each(|head| group[head * self.size + i] = mean);
            }
        }
    }
}

/// The scales of the inputs with which rounding changes the outputs least; `None` if it is best to have none.
fn best_scales(targets: &[Target<'_>], gram: &Gram, tie: &Tie) -> Result<Option<Vec<f32>>, ExportError> {
    let formats = targets.iter().filter_map(|target| match target.storage {
        Storage::Blocks(format) => Some((target, format)),
        Storage::Float(_) => None,
    });
    let mut sample = Vec::new();
    for (target, format) in formats {
        let count = (SAMPLE / targets.len()).clamp(1, target.rows.len());
        for i in 0..count {
            let row = i * target.rows.len() / count;
            sample.push((format, target.read(row..row + 1)?));
        }
    }
    // The root of the mean square stands for an input's size.
    let mut sizes: Vec<f32> = (0..gram.n).map(|i| gram.sums[i * gram.n + i].max(0.0).sqrt()).collect();
    tie.unite(&mut sizes);
    if sample.is_empty() || sizes.iter().all(|&size| size == 0.0) {
        return Ok(None);
    }
    let mut best = (change(&sample, gram, &vec![1.0; gram.n]), None);
    for step in 1..=STEPS {
        let scales = scales(&sizes, step as f32 / STEPS as f32);
        let changed = change(&sample, gram, &scales);
        if changed < best.0 {
            best = (changed, Some(scales));
        }
    }
    Ok(best.1)
}

/// `sizes` to the power `exponent`, around one.
fn scales(sizes: &[f32], exponent: f32) -> Vec<f32> {
    let largest = sizes.iter().copied().fold(0.0, f32::max);
    // Inputs that are next to never there must not become the measure of the others.
    let powers: Vec<f32> = sizes.iter().map(|&size| (size / largest).max(1e-4).powf(exponent)).collect();
    let least = powers.iter().copied().fold(f32::INFINITY, f32::min);
    let middle = least.sqrt();
    powers.into_iter().map(|power| (power / middle).clamp(1.0 / MOST, MOST)).collect()
}

/// By how much the outputs of the sampled rows change, `Σ Δ·G·Δᵀ`, when they are rounded with these scales.
fn change(sample: &[(BlockFormat, Vec<f32>)], gram: &Gram, scales: &[f32]) -> f64 {
    let n = gram.n;
    let mut differences = vec![0.0; sample.len() * n];
    differences.par_chunks_exact_mut(n).zip(sample).for_each(|(difference, (format, row))| {
        let scaled: Vec<f32> = row.iter().zip(scales).map(|(weight, scale)| weight * scale).collect();
        let rounded = format.rounded(&scaled);
        for (i, difference) in difference.iter_mut().enumerate() {
            *difference = rounded[i] / scales[i] - row[i];
        }
    });
    let mut spread = vec![0.0; differences.len()];
    matmul_nt(&differences, &gram.sums, &mut spread, sample.len(), n, n);
    differences.iter().zip(&spread).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_lie_around_one_and_follow_the_sizes() {
        let found = scales(&[4.0, 1.0, 0.0], 0.5);
        assert!(found[0] > found[1] && found[1] > found[2]);
        assert!((found[0] * found[2] - 1.0).abs() < 1e-5);
        assert!((found[0] / found[1] - 2.0).abs() < 1e-5);
        assert_eq!(scales(&[3.0, 5.0], 0.0), [1.0, 1.0]);
    }

    #[test]
    fn heads_that_share_values_share_scales() {
        let mut values = [1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 7.0, 7.0];
        Tie { heads: 2, size: 2 }.unite(&mut values);
        assert_eq!(values, [2.0, 3.0, 2.0, 3.0, 6.0, 6.0, 6.0, 6.0]);
    }
}
