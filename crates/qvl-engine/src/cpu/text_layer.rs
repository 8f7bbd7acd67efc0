//! A layer of the text decoder (§5.3).

use qvl_checkpoint::TextConfig;
use qvl_kernels::{Input, linear, linear_of, rms_norm, rms_norm_in_place};

use super::experts::Experts;
use super::matrix::StoredMatrix;
use super::stored::Stored;
use super::text_step::Step;
use super::weights::Weights;
use crate::EngineError;

/// A layer's weights.
#[derive(Debug)]
pub(super) struct Layer {
    input_norm: Stored<f32>,
    attention: Attention,
    post_attention_norm: Stored<f32>,
    feed_forward: FeedForward,
    epsilon: f32,
}

/// Attention of heads that are normalised and rotated.
#[derive(Debug)]
struct Attention {
    query: StoredMatrix,
    key: StoredMatrix,
    value: StoredMatrix,
    output: StoredMatrix,
    query_norm: Stored<f32>,
    key_norm: Stored<f32>,
}

/// What follows attention.
#[derive(Debug)]
enum FeedForward {
    Mlp { gate: StoredMatrix, up: StoredMatrix, down: StoredMatrix },
    Experts(Experts),
}

/// Rows between the parts of a layer, for as many tokens as a step has. Layers use them in turn.
#[derive(Debug)]
pub(super) struct Scratch {
    /// [tokens, hidden].
    normed: Vec<f32>,
    /// [tokens, hidden].
    update: Vec<f32>,
    /// [tokens, query heads, head size].
    query: Vec<f32>,
    /// As `query`.
    attended: Vec<f32>,
    /// [tokens, key-value heads, head size].
    key: Vec<f32>,
    /// As `key`.
    value: Vec<f32>,
    /// [tokens, inner].
    gate: Vec<f32>,
    /// As `gate`.
    up: Vec<f32>,
}

impl Scratch {
    /// Rows for `tokens` tokens.
    pub(super) fn new(config: &TextConfig, tokens: usize) -> Self {
        let has_mlp = (0..config.num_hidden_layers).any(|layer| !config.is_moe_layer(layer));
        let inner = if has_mlp { config.intermediate_size } else { 0 };
        let rows = |width: usize| vec![0.0; tokens * width];
        Self {
            normed: rows(config.hidden_size),
            update: rows(config.hidden_size),
            query: rows(config.q_width()),
            attended: rows(config.q_width()),
            key: rows(config.kv_width()),
            value: rows(config.kv_width()),
            gate: rows(inner),
            up: rows(inner),
        }
    }
}

impl Layer {
    /// Takes layer `index` out of the weights.
    pub(super) fn open(weights: &mut Weights, config: &TextConfig, index: usize) -> Result<Self, EngineError> {
        let name = |part: &str| format!("model.language_model.layers.{index}.{part}");
        let hidden = config.hidden_size;
        Ok(Self {
            input_norm: weights.float32(&name("input_layernorm.weight"), &[hidden])?,
            attention: Attention::open(weights, config, &name("self_attn"))?,
            post_attention_norm: weights.float32(&name("post_attention_layernorm.weight"), &[hidden])?,
            feed_forward: FeedForward::open(weights, config, index, &name("mlp"))?,
            epsilon: config.rms_norm_eps as f32,
        })
    }

    /// Runs layer `index` on the residual stream `x` [tokens, hidden]: its last `kept` rows become what they are after the
    /// layer, the others stay. Keys and values of all tokens are written to the caches.
    pub(super) fn run(&self, index: usize, step: &mut Step<'_>, x: &mut [f32], kept: usize, scratch: &mut Scratch) {
        self.attention.project(step, x, &self.input_norm, self.epsilon, kept, scratch);
        step.write(index, &scratch.key, &scratch.value);
        if kept == 0 {
            return;
        }
        let hidden = self.input_norm.len();
        let x = &mut x[(step.tokens - kept) * hidden..];
        let (normed, update) = (&mut scratch.normed[..kept * hidden], &mut scratch.update[..kept * hidden]);
        let width = self.attention.query.outputs;
        let (query, attended) = (&scratch.query[..kept * width], &mut scratch.attended[..kept * width]);
        step.attend(index, query, kept, attended);
        linear(attended, kept, &mut [self.attention.output.product(update)], step.arithmetic);
        add(x, update);
        let (weight, epsilon) = (&self.post_attention_norm, self.epsilon);
        match &self.feed_forward {
            FeedForward::Experts(experts) => {
                rms_norm(x, weight, epsilon, normed);
                experts.add(normed, kept, step.arithmetic, x);
            }
            FeedForward::Mlp { gate, up, down } => {
                let (gated, other) = (&mut scratch.gate[..kept * gate.outputs], &mut scratch.up[..kept * up.outputs]);
                let input = Input::Normed { x, weight, epsilon, out: normed };
                linear_of(input, kept, &mut [gate.product(gated), up.product(other)], step.arithmetic);
                let input = Input::Gated { gate: gated, up: other };
                linear_of(input, kept, &mut [down.product(update)], step.arithmetic);
                add(x, update);
            }
        }
    }
}

impl Attention {
    fn open(weights: &mut Weights, config: &TextConfig, name: &str) -> Result<Self, EngineError> {
        let (hidden, query, key) = (config.hidden_size, config.q_width(), config.kv_width());
        let mut matrix =
            |part: &str, outputs, inputs| weights.matrix(&format!("{name}.{part}_proj.weight"), outputs, inputs);
        let (q, k, v, o) = (
            matrix("q", query, hidden)?,
            matrix("k", key, hidden)?,
            matrix("v", key, hidden)?,
            matrix("o", hidden, query)?,
        );
        let mut norm = |part: &str| weights.float32(&format!("{name}.{part}_norm.weight"), &[config.head_dim]);
        Ok(Self { query: q, key: k, value: v, output: o, query_norm: norm("q")?, key_norm: norm("k")? })
    }

    /// Keys and values of all tokens and queries of the last `kept`, of `x` normalised with `norm`; they are normalised and
    /// rotated themselves.
    fn project(&self, step: &Step<'_>, x: &[f32], norm: &[f32], epsilon: f32, kept: usize, scratch: &mut Scratch) {
        let Scratch { normed, query, key, value, .. } = scratch;
        let dropped = step.tokens - kept;
        let query = &mut query[..kept * self.query.outputs];
        let input = Input::Normed { x, weight: norm, epsilon, out: normed };
        if dropped == 0 {
            let products = &mut [self.query.product(query), self.key.product(key), self.value.product(value)];
            linear_of(input, kept, products, step.arithmetic);
        } else {
            let products = &mut [self.key.product(key), self.value.product(value)];
            linear_of(input, step.tokens, products, step.arithmetic);
            let last = &normed[dropped * self.query.inputs..];
            linear(last, kept, &mut [self.query.product(query)], step.arithmetic);
        }
        rms_norm_in_place(query, &self.query_norm, epsilon);
        rms_norm_in_place(key, &self.key_norm, epsilon);
        step.rotary.rotate(query, self.query.outputs, dropped);
        step.rotary.rotate(key, self.key.outputs, 0);
    }
}

impl FeedForward {
    fn open(weights: &mut Weights, config: &TextConfig, index: usize, name: &str) -> Result<Self, EngineError> {
        if let Some(moe) = config.moe.as_ref().filter(|_| config.is_moe_layer(index)) {
            return Ok(Self::Experts(Experts::open(weights, config, moe, name)?));
        }
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let mut matrix =
            |part: &str, outputs, inputs| weights.matrix(&format!("{name}.{part}_proj.weight"), outputs, inputs);
        Ok(Self::Mlp {
            gate: matrix("gate", inner, hidden)?,
            up: matrix("up", inner, hidden)?,
            down: matrix("down", hidden, inner)?,
        })
    }
}

/// Adds `update` to `x`.
fn add(x: &mut [f32], update: &[f32]) {
    x.iter_mut().zip(update).for_each(|(x, update)| *x += update);
}
