//! The text decoder in float32, layer by layer, with a look at the inputs of every matrix on the way (§5.3).
//!
//! One layer's activations and one matrix are in memory at a time, so that a model of any size can be calibrated.

use qvl_checkpoint::{Checkpoint, TextConfig};
use qvl_kernels::matmul_rows;
use rayon::prelude::*;

use super::attention::attention;
use super::fitter::{Fitter, Gram, Site};
use super::stream::Stream;
use super::target::{Fitted, Matrix, Target};
use crate::graph::{expert_format, experts_of};
use crate::matrices::Matrices;
use crate::storage::{Storage, StoragePlan};
use crate::{ExportError, Progress};

/// Tokens whose inner activations of the MLP are in memory at once.
const CHUNK: usize = 512;

/// The decoder, and what is told of its matrices' inputs.
pub(super) struct Decoder<'a, 'b> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) plan: &'b StoragePlan,
    pub(super) stream: Stream,
    pub(super) fitter: &'b mut dyn Fitter<'a>,
    pub(super) progress: &'b dyn Progress,
}

impl<'a> Decoder<'a, '_> {
    /// Runs all layers.
    pub(super) fn run(&mut self) -> Result<(), ExportError> {
        let hidden = self.config().hidden_size;
        for layer in 0..self.config().num_hidden_layers {
            self.attention(&format!("model.language_model.layers.{layer}"))?;
            self.feed_forward(layer)?;
            self.stream.add_deepstack(layer, hidden);
            self.progress.advance(1);
        }
        Ok(())
    }

    fn config(&self) -> &'a TextConfig {
        &self.checkpoint.config().text
    }

    fn attention(&mut self, layer: &str) -> Result<(), ExportError> {
        let config = self.config();
        let tokens = self.stream.tokens();
        let x = self.normed(&format!("{layer}.input_layernorm.weight"))?;
        let names = ["q", "k", "v"].map(|part| format!("{layer}.self_attn.{part}_proj.weight"));
        let gram = self.gram(&x, config.hidden_size);
        let fitted = self.fit(Site::AttentionIn, &names, gram)?;
        let [mut q, mut k, v] = [0, 1, 2].map(|i| product(&x, tokens, &fitted[i]));
        drop(x);
        for (part, x) in [("q", &mut q), ("k", &mut k)] {
            let scale = self.vector(&format!("{layer}.self_attn.{part}_norm.weight"))?;
            norm_rows(x, &scale, config.rms_norm_eps as f32);
            self.turn(x);
        }
        let attended = attention(&q, &k, &v, config, &self.stream.prompts);
        drop((q, k, v));
        let gram = self.gram(&attended, config.num_attention_heads * config.head_dim);
        let fitted = self.fit(Site::AttentionOut, &[format!("{layer}.self_attn.o_proj.weight")], gram)?;
        let y = product(&attended, tokens, &fitted[0]);
        add(&mut self.stream.x, &y);
        Ok(())
    }

    fn feed_forward(&mut self, index: usize) -> Result<(), ExportError> {
        let layer = format!("model.language_model.layers.{index}");
        let x = self.normed(&format!("{layer}.post_attention_layernorm.weight"))?;
        if self.config().is_moe_layer(index) { self.experts(&layer, &x) } else { self.mlp(&layer, &x) }
    }

    fn mlp(&mut self, layer: &str, x: &[f32]) -> Result<(), ExportError> {
        let (hidden, inner) = (self.config().hidden_size, self.config().intermediate_size);
        let names = ["gate", "up"].map(|part| format!("{layer}.mlp.{part}_proj.weight"));
        let gram = self.gram(x, hidden);
        let gate_up = self.fit(Site::MlpIn, &names, gram)?;
        let gated = |x: &[f32]| {
            let [gate, up] = [0, 1].map(|i| product(x, x.len() / hidden, &gate_up[i]));
            gate.iter().zip(up).map(|(gate, up)| silu(*gate) * up).collect::<Vec<f32>>()
        };
        let mut gram = Gram::new(inner);
        for (x, weights) in x.chunks(CHUNK * hidden).zip(self.stream.weights.chunks(CHUNK)) {
            gram.add(&gated(x), weights);
        }
        let down = self.fit(Site::MlpOut, &[format!("{layer}.mlp.down_proj.weight")], gram)?;
        for (x, sum) in x.chunks(CHUNK * hidden).zip(self.stream.x.chunks_mut(CHUNK * hidden)) {
            add(sum, &product(&gated(x), x.len() / hidden, &down[0]));
        }
        Ok(())
    }

    fn experts(&mut self, layer: &str, x: &[f32]) -> Result<(), ExportError> {
        let Some(moe) = &self.config().moe else { return Ok(()) };
        let (hidden, inner) = (self.config().hidden_size, moe.moe_intermediate_size);
        let [gate_up, down] = experts_of(self.checkpoint, moe, &format!("{layer}.mlp"))?;
        let names = ["gate_up", "down"].map(|part| format!("{layer}.mlp.experts.{part}_proj"));
        let target = |name: &String, matrices: &Matrices<'a>, expert: usize| {
            let rows = matrices.dims()[1];
            let storage = match self.plan.storage_of(name) {
                Storage::Blocks(format) => Storage::Blocks(expert_format(format, moe, hidden)?),
                float => float,
            };
            Ok::<_, ExportError>(Target {
                name: name.clone(),
                matrices: matrices.clone(),
                rows: expert * rows..(expert + 1) * rows,
                storage,
            })
        };
        let targets: Vec<[Target<'a>; 2]> = (0..moe.num_experts)
            .map(|expert| Ok([target(&names[0], &gate_up, expert)?, target(&names[1], &down, expert)?]))
            .collect::<Result<_, ExportError>>()?;

        let mut all = targets[0][0].clone();
        all.rows = 0..moe.num_experts * 2 * inner;
        let gram = self.gram(x, hidden);
        self.fit_targets(Site::ExpertsIn, vec![all], gram)?;
        let routes = self.routes(layer, x)?;
        for (expert, [gate_up, down]) in targets.into_iter().enumerate() {
            let chosen: Vec<(usize, f32)> = routes
                .iter()
                .enumerate()
                .flat_map(|(token, route)| route.iter().filter(|r| r.0 == expert).map(move |r| (token, r.1)))
                .collect();
            self.expert(expert, [gate_up, down], x, &chosen)?;
        }
        Ok(())
    }

    /// One expert on the tokens that were sent to it, each with its share.
    fn expert(
        &mut self,
        expert: usize,
        [gate_up, down]: [Target<'a>; 2],
        x: &[f32],
        chosen: &[(usize, f32)],
    ) -> Result<(), ExportError> {
        let (hidden, inner) = (gate_up.columns(), down.columns());
        let rows: Vec<f32> = chosen.iter().flat_map(|(token, _)| &x[token * hidden..][..hidden]).copied().collect();
        // What an expert gives counts with its share, so the square of it weighs squares of errors.
        let weights: Vec<f32> =
            chosen.iter().map(|(token, share)| self.stream.weights[*token] * share * share).collect();
        let mut gram = Gram::new(hidden);
        gram.add(&rows, &weights);
        let gate_up = self.fit_targets(Site::ExpertIn(expert), vec![gate_up], gram)?;
        // Gate and up rows lie in turn.
        let both = product(&rows, chosen.len(), &gate_up[0]);
        let gated: Vec<f32> = both.chunks_exact(2).map(|pair| silu(pair[0]) * pair[1]).collect();
        let mut gram = Gram::new(inner);
        gram.add(&gated, &weights);
        let down = self.fit_targets(Site::ExpertOut(expert), vec![down], gram)?;
        let y = product(&gated, chosen.len(), &down[0]);
        for ((token, share), y) in chosen.iter().zip(y.chunks_exact(hidden)) {
            let x = &mut self.stream.x[token * hidden..][..hidden];
            x.iter_mut().zip(y).for_each(|(x, y)| *x += share * y);
        }
        if self.progress.is_cancelled() { Err(ExportError::Cancelled) } else { Ok(()) }
    }

    /// For each token its experts and their shares: the softmax over the largest router logits.
    fn routes(&self, layer: &str, x: &[f32]) -> Result<Vec<Vec<(usize, f32)>>, ExportError> {
        let Some(moe) = &self.config().moe else { return Ok(Vec::new()) };
        let router = self.target(&format!("{layer}.mlp.gate.weight"))?;
        let logits = product(x, self.stream.tokens(), &router);
        let route = |logits: &[f32]| {
            let mut order: Vec<usize> = (0..logits.len()).collect();
            order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
            order.truncate(moe.num_experts_per_tok);
            let largest = logits[order[0]];
            let total: f32 = order.iter().map(|&expert| (logits[expert] - largest).exp()).sum();
            order.into_iter().map(|expert| (expert, (logits[expert] - largest).exp() / total)).collect()
        };
        Ok(logits.chunks_exact(moe.num_experts).map(route).collect())
    }

    fn fit(&mut self, site: Site, names: &[String], gram: Gram) -> Result<Vec<Fitted<'a>>, ExportError> {
        if self.progress.is_cancelled() {
            return Err(ExportError::Cancelled);
        }
        let targets = names.iter().map(|name| self.target(name)).collect::<Result<_, _>>()?;
        self.fit_targets(site, targets, gram)
    }

    fn fit_targets(
        &mut self,
        site: Site,
        targets: Vec<Target<'a>>,
        gram: Gram,
    ) -> Result<Vec<Fitted<'a>>, ExportError> {
        gram.check(&targets[0].name)?;
        self.fitter.fit(site, targets, gram)
    }

    /// The whole matrix of this name.
    fn target(&self, name: &str) -> Result<Target<'a>, ExportError> {
        let tensor = self.checkpoint.tensor(name)?;
        let [rows, columns] = [tensor.shape()[0], tensor.shape()[1]];
        let matrices = Matrices::plain(tensor, [1, rows, columns]);
        Ok(Target { name: name.to_owned(), matrices, rows: 0..rows, storage: self.plan.storage_of(name) })
    }

    fn gram(&self, x: &[f32], columns: usize) -> Gram {
        let mut gram = Gram::new(columns);
        gram.add(x, &self.stream.weights);
        gram
    }

    /// The stream after the norm of this name.
    fn normed(&self, name: &str) -> Result<Vec<f32>, ExportError> {
        let mut x = self.stream.x.clone();
        norm_rows(&mut x, &self.vector(name)?, self.config().rms_norm_eps as f32);
        Ok(x)
    }

    fn vector(&self, name: &str) -> Result<Vec<f32>, ExportError> {
        let tensor = self.checkpoint.tensor(name)?;
        let mut values = vec![0.0; tensor.len()];
        tensor.read_f32(0, &mut values);
        Ok(values)
    }

    /// Rotary embedding of the heads in `x` [tokens, heads · head size]; the halves of a head are paired.
    fn turn(&self, x: &mut [f32]) {
        let half = self.config().head_dim / 2;
        let width = x.len() / self.stream.tokens();
        let [cos, sin] = &self.stream.rotary;
        x.par_chunks_exact_mut(width).enumerate().for_each(|(token, row)| {
            let (cos, sin) = (&cos[token * half..][..half], &sin[token * half..][..half]);
            for head in row.chunks_exact_mut(2 * half) {
                let (first, second) = head.split_at_mut(half);
                for (k, (a, b)) in first.iter_mut().zip(second).enumerate() {
                    (*a, *b) = (*a * cos[k] - *b * sin[k], *b * cos[k] + *a * sin[k]);
                }
            }
        });
    }
}

/// `x` [rows, k] times the transpose of `matrix`.
fn product(x: &[f32], rows: usize, matrix: &impl Matrix) -> Vec<f32> {
    let [outputs, inputs] = matrix.dims();
    let mut y = vec![0.0; rows * outputs];
    matmul_rows(x, rows, inputs, matrix, outputs, &mut y);
    y
}

/// Root-mean-square norm of rows as long as `scale`.
fn norm_rows(x: &mut [f32], scale: &[f32], epsilon: f32) {
    x.par_chunks_exact_mut(scale.len()).for_each(|row| {
        let mean = row.iter().map(|x| x * x).sum::<f32>() / row.len() as f32;
        let factor = 1.0 / (mean + epsilon).sqrt();
        row.iter_mut().zip(scale).for_each(|(x, scale)| *x *= factor * scale);
    });
}

fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
