//! A block of the vision tower, and the mergers after it (§4.4, §4.5).

use qvl_checkpoint::VisionConfig;
use qvl_kernels::{Arithmetic, Linear, attend_full, for_each, gelu, gelu_tanh, layer_norm, linear, rotate};

use super::matrix::{StoredElements, StoredMatrix};
use super::stored::{Floats, Stored};
use super::vision_positions::FramePositions;
use super::weights::Weights;
use crate::EngineError;

/// Epsilon of every layer norm of the tower.
const EPSILON: f32 = 1e-6;

/// Rows that go through the inner layer of an MLP at once: many more than a weight's unpacking would need to cost little.
const INNER_ROWS: usize = 2048;

/// Rows whose queries and keys are rotated at once; fewer are rotated sooner than handed to another thread.
const ROWS_AT_ONCE: usize = 16;

/// A linear layer with its bias.
#[derive(Debug)]
pub(super) struct Layer {
    matrix: StoredMatrix,
    bias: Vec<f32>,
    /// What float16 weights are multiplied in.
    halves: Arithmetic,
}

impl Layer {
    /// Takes the layer `name` out of the weights.
    pub(super) fn open(weights: &mut Weights, name: &str, outputs: usize, inputs: usize) -> Result<Self, EngineError> {
        let matrix = weights.matrix(&format!("{name}.weight"), outputs, inputs)?;
        Ok(Self { matrix, bias: weights.vector(&format!("{name}.bias"), outputs)?, halves: Arithmetic::Bf16 })
    }

    /// The layer with float16 weights multiplied in int16: for pixels, from which everything follows, and for queries and keys,
    /// whose errors grow with the scores. With bf16 there too, the least cosine of a feature of the demo model is 0.9986,
    /// and so 0.9994.
    pub(super) fn in_int16(self) -> Self {
        Self { halves: Arithmetic::Int16, ..self }
    }

    /// What is computed with: unless single precision is wanted, as many bits as the weights have need of.
    fn arithmetic(&self, wanted: Arithmetic) -> Arithmetic {
        match (wanted, &self.matrix.elements) {
            (Arithmetic::Float32, _) | (_, StoredElements::Floats(Floats::Float32(_))) => Arithmetic::Float32,
            (_, StoredElements::Floats(Floats::Float16(_))) => self.halves,
            (_, StoredElements::Blocks(_)) => Arithmetic::Int8,
        }
    }

    /// Fills `out` [m, outputs] from `x` [m, inputs].
    pub(super) fn run(&self, x: &[f32], out: &mut [f32], arithmetic: Arithmetic) {
        let (m, arithmetic) = (x.len() / self.matrix.inputs, self.arithmetic(arithmetic));
        linear(x, m, &mut [Linear { matrix: self.matrix.matrix(), bias: Some(&self.bias), out }], arithmetic);
    }
}

/// A layer norm.
#[derive(Debug)]
struct Norm {
    weight: Stored<f32>,
    bias: Stored<f32>,
}

impl Norm {
    fn open(weights: &mut Weights, name: &str, width: usize) -> Result<Self, EngineError> {
        let mut part = |part: &str| weights.float32(&format!("{name}.{part}"), &[width]);
        Ok(Self { weight: part("weight")?, bias: part("bias")? })
    }

    fn run(&self, x: &[f32], out: &mut [f32]) {
        layer_norm(x, &self.weight, &self.bias, EPSILON, out);
    }
}

/// A pre-norm block: attention within each frame, then two layers.
#[derive(Debug)]
pub(super) struct Block {
    attention_norm: Norm,
    qkv: Layer,
    projection: Layer,
    mlp_norm: Norm,
    up: Layer,
    down: Layer,
    heads: usize,
}

/// Rows between the parts of a block. Blocks use them in turn.
#[derive(Debug)]
pub(super) struct Scratch {
    /// [patches, hidden].
    normed: Vec<f32>,
    /// [patches, 3 · hidden].
    qkv: Vec<f32>,
    /// [patches, hidden].
    update: Vec<f32>,
    /// [patches or [`INNER_ROWS`], inner].
    inner: Vec<f32>,
}

impl Scratch {
    /// Rows for the residual stream `x`, [patches, hidden].
    pub(super) fn new(config: &VisionConfig, x: &[f32]) -> Self {
        let patches = x.len() / config.hidden_size;
        let rows = |width: usize| vec![0.0; patches * width];
        Self {
            normed: rows(config.hidden_size),
            qkv: rows(3 * config.hidden_size),
            update: rows(config.hidden_size),
            inner: vec![0.0; patches.min(INNER_ROWS) * config.intermediate_size],
        }
    }

    /// Whether the rows are those for `x`.
    pub(super) fn fits(&self, x: &[f32]) -> bool {
        self.normed.len() == x.len()
    }
}

impl Block {
    /// Takes block `index` out of the weights.
    pub(super) fn open(weights: &mut Weights, config: &VisionConfig, index: usize) -> Result<Self, EngineError> {
        let name = |part: &str| format!("model.visual.blocks.{index}.{part}");
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            attention_norm: Norm::open(weights, &name("norm1"), hidden)?,
            qkv: Layer::open(weights, &name("attn.qkv"), 3 * hidden, hidden)?.in_int16(),
            projection: Layer::open(weights, &name("attn.proj"), hidden, hidden)?,
            mlp_norm: Norm::open(weights, &name("norm2"), hidden)?,
            up: Layer::open(weights, &name("mlp.linear_fc1"), inner, hidden)?,
            down: Layer::open(weights, &name("mlp.linear_fc2"), hidden, inner)?,
            heads: config.num_heads,
        })
    }

    /// Runs the block on the residual stream `x`, [patches, hidden] of whole frames.
    pub(super) fn run(&self, x: &mut [f32], positions: &FramePositions, arithmetic: Arithmetic, scratch: &mut Scratch) {
        let Scratch { normed, qkv, update, inner } = scratch;
        self.attention_norm.run(x, normed);
        self.qkv.run(normed, qkv, arithmetic);
        self.attend(qkv, positions, arithmetic, normed);
        self.projection.run(normed, update, arithmetic);
        add(x, update);
        self.mlp_norm.run(x, normed);
        let (hidden, width) = (self.down.matrix.outputs, self.up.matrix.outputs);
        for (normed, update) in normed.chunks(INNER_ROWS * hidden).zip(update.chunks_mut(INNER_ROWS * hidden)) {
            let inner = &mut inner[..normed.len() / hidden * width];
            self.up.run(normed, inner, arithmetic);
            gelu_tanh(inner);
            self.down.run(inner, update, arithmetic);
        }
        add(x, update);
    }

    /// Attention of the patches of each frame to each other; queries and keys of `qkv` [patches, 3 · hidden] are rotated.
    fn attend(&self, qkv: &mut [f32], positions: &FramePositions, arithmetic: Arithmetic, out: &mut [f32]) {
        let arithmetic = self.qkv.arithmetic(arithmetic);
        let hidden = self.projection.matrix.inputs;
        let half = hidden / self.heads / 2;
        let angles = |rows: usize| positions.cos.chunks(rows * half).zip(positions.sin.chunks(rows * half));
        let frame = angles(1).len();
        for (qkv, out) in qkv.chunks_mut(frame * 3 * hidden).zip(out.chunks_mut(frame * hidden)) {
            for_each(qkv.chunks_mut(ROWS_AT_ONCE * 3 * hidden).zip(angles(ROWS_AT_ONCE)), |(rows, (cos, sin))| {
                let angles = cos.chunks(half).zip(sin.chunks(half));
                let rows = rows.chunks_mut(3 * hidden).zip(angles);
                rows.for_each(|(row, (cos, sin))| rotate(&mut row[..2 * hidden], cos, sin));
            });
            let parts = [&qkv[..], &qkv[hidden..], &qkv[2 * hidden..]];
            attend_full(parts, 3 * hidden, frame, self.heads, hidden / self.heads, arithmetic, out);
        }
    }
}

/// Makes one feature of each square of patches.
#[derive(Debug)]
pub(super) struct Merger {
    norm: Norm,
    up: Layer,
    down: Layer,
}

impl Merger {
    /// Takes the merger of the tower's end out of the weights: it normalises each patch by itself.
    pub(super) fn open_last(weights: &mut Weights, config: &VisionConfig) -> Result<Self, EngineError> {
        Self::open(weights, config, "model.visual.merger", config.hidden_size)
    }

    /// Takes DeepStack merger `index` out of the weights: it normalises the patches of a square together.
    pub(super) fn open_deepstack(
        weights: &mut Weights,
        config: &VisionConfig,
        index: usize,
    ) -> Result<Self, EngineError> {
        let name = format!("model.visual.deepstack_merger_list.{index}");
        Self::open(weights, config, &name, config.hidden_size * config.merge_unit())
    }

    fn open(weights: &mut Weights, config: &VisionConfig, name: &str, norm: usize) -> Result<Self, EngineError> {
        let merged = config.hidden_size * config.merge_unit();
        Ok(Self {
            norm: Norm::open(weights, &format!("{name}.norm"), norm)?,
            up: Layer::open(weights, &format!("{name}.linear_fc1"), merged, merged)?,
            down: Layer::open(weights, &format!("{name}.linear_fc2"), config.out_hidden_size, merged)?,
        })
    }

    /// The features of `x` [patches, hidden], [merged patches, feature].
    pub(super) fn run(&self, x: &[f32], arithmetic: Arithmetic) -> Vec<f32> {
        let mut normed = vec![0.0; x.len()];
        self.norm.run(x, &mut normed);
        let mut inner = vec![0.0; x.len()];
        self.up.run(&normed, &mut inner, arithmetic);
        gelu(&mut inner);
        let mut features = vec![0.0; x.len() / self.down.matrix.inputs * self.down.matrix.outputs];
        self.down.run(&inner, &mut features, arithmetic);
        features
    }
}

/// Adds `update` to `x`.
fn add(x: &mut [f32], update: &[f32]) {
    const PIECE: usize = 1 << 15;
    for_each(x.chunks_mut(PIECE).zip(update.chunks(PIECE)), |(x, update)| {
        x.iter_mut().zip(update).for_each(|(x, update)| *x += update);
    });
}
