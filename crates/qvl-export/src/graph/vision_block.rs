//! A block of the vision tower, and the mergers after it (§4.4, §4.5).

use qvl_checkpoint::VisionConfig;
use qvl_onnx::{DataType, Dim, GraphBuilder, Value, shape};

use super::vision_positions::FRAME;
use crate::ExportError;
use crate::weights::Weights;

/// Epsilon of every layer norm of the tower.
const EPSILON: f32 = 1e-6;

/// Rotary tables of a frame, each [patches, head size / 2] float32.
pub(super) struct Rotary {
    pub(super) cos: Value,
    pub(super) sin: Value,
}

/// The parts of the tower that repeat.
pub(super) struct Tower<'a> {
    pub(super) weights: Weights<'a>,
    pub(super) config: &'a VisionConfig,
}

impl<'a> Tower<'a> {
    /// A pre-norm block on `x` [frames, patches, hidden] float32: attention within each frame, then two layers.
    pub(super) fn block(
        &self,
        g: &mut GraphBuilder<'a>,
        index: usize,
        x: &Value,
        rotary: &Rotary,
    ) -> Result<Value, ExportError> {
        let name = |part: &str| format!("model.visual.blocks.{index}.{part}");
        let y = self.norm(g, "norm1", x, &name("norm1"))?;
        let y = self.attention(g, &y, &name("attn"), rotary)?;
        let x = g.add("attn.residual", x, &y)?;
        let y = self.norm(g, "norm2", &x, &name("norm2"))?;
        let y = self.weights.linear_bias(g, "mlp.fc1", &y, &name("mlp.linear_fc1"))?;
        let y = g.gelu("mlp.gelu", &y, true)?;
        let y = self.weights.linear_bias(g, "mlp.fc2", &y, &name("mlp.linear_fc2"))?;
        let y = g.cast("mlp.float32", &y, DataType::Float32)?;
        Ok(g.add("mlp.residual", &x, &y)?)
    }

    /// Attention with all frames as the batch, so that none sees another and no mask exists; float32 out.
    fn attention(
        &self,
        g: &mut GraphBuilder<'a>,
        x: &Value,
        name: &str,
        rotary: &Rotary,
    ) -> Result<Value, ExportError> {
        let hidden = self.config.hidden_size;
        let qkv = self.weights.linear_bias(g, "attn.qkv", x, &format!("{name}.qkv"))?;
        let parts = g.split_last("attn.qkv.split", &qkv, &[hidden; 3])?;
        let query = self.rotate(g, "attn.query", &parts[0], rotary)?;
        let key = self.rotate(g, "attn.key", &parts[1], rotary)?;
        let y = g.full_attention("attn.heads", &query, &key, &parts[2], self.config.num_heads)?;
        let y = self.weights.linear_bias(g, "attn.proj", &y, &format!("{name}.proj"))?;
        Ok(g.cast("attn.float32", &y, DataType::Float32)?)
    }

    /// Rotary embedding, in float32 whatever the graph's type.
    fn rotate(&self, g: &mut GraphBuilder<'a>, label: &str, x: &Value, rotary: &Rotary) -> Result<Value, ExportError> {
        let first = g.ints(&[0])?;
        let wide = g.cast(&format!("{label}.float32"), x, DataType::Float32)?;
        let rotated = g.rotary(&format!("{label}.rotary"), &wide, &first, &rotary.cos, &rotary.sin)?;
        Ok(g.cast(label, &rotated, self.weights.float)?)
    }

    /// The merger of the tower's end on `x` [frames, patches, hidden]: norm of each patch, then two layers on blocks.
    pub(super) fn merger(&self, g: &mut GraphBuilder<'a>, x: &Value) -> Result<Value, ExportError> {
        let y = self.norm(g, "norm", x, "model.visual.merger.norm")?;
        let y = self.blocks(g, &y)?;
        self.merge(g, &y, "model.visual.merger")
    }

    /// DeepStack merger number `index`: norm over whole blocks, then two layers.
    pub(super) fn deepstack_merger(
        &self,
        g: &mut GraphBuilder<'a>,
        index: usize,
        x: &Value,
    ) -> Result<Value, ExportError> {
        let name = format!("model.visual.deepstack_merger_list.{index}");
        let y = self.blocks(g, x)?;
        let y = self.norm(g, "norm", &y, &format!("{name}.norm"))?;
        self.merge(g, &y, &name)
    }

    /// The patches of each block side by side: [blocks, merge² · hidden].
    fn blocks(&self, g: &mut GraphBuilder<'a>, x: &Value) -> Result<Value, ExportError> {
        let width = self.config.hidden_size * self.config.merge_unit();
        Ok(g.reshape("blocks", x, &[-1, width as i64], shape![Dim::Unknown, width])?)
    }

    /// Two layers with the exact Gaussian error linear unit between them.
    fn merge(&self, g: &mut GraphBuilder<'a>, x: &Value, name: &str) -> Result<Value, ExportError> {
        let y = self.weights.linear_bias(g, "fc1", x, &format!("{name}.linear_fc1"))?;
        let y = g.gelu("gelu", &y, false)?;
        self.weights.linear_bias(g, "fc2", &y, &format!("{name}.linear_fc2"))
    }

    /// Layer norm in float32, its result in the graph's type.
    fn norm(&self, g: &mut GraphBuilder<'a>, label: &str, x: &Value, name: &str) -> Result<Value, ExportError> {
        let x = g.cast(&format!("{label}.float32"), x, DataType::Float32)?;
        let scale = self.weights.float32(g, &format!("{name}.weight"))?;
        let bias = self.weights.float32(g, &format!("{name}.bias"))?;
        let y = g.layer_norm(&format!("{label}.normalised"), &x, &scale, &bias, EPSILON)?;
        Ok(g.cast(label, &y, self.weights.float)?)
    }

    /// Embeds patches, [n, patch] to [frames, patches, hidden] float32.
    pub(super) fn patch_embedding(
        &self,
        g: &mut GraphBuilder<'a>,
        pixels: &Value,
        frame: &Value,
    ) -> Result<Value, ExportError> {
        let hidden = self.config.hidden_size;
        let x = self.weights.linear_bias(g, "patch_embed", pixels, "model.visual.patch_embed.proj")?;
        let x = g.cast("patch_embed.float32", &x, DataType::Float32)?;
        let frames = g.ints(&[-1])?;
        let width = g.ints(&[hidden as i64])?;
        let target = g.concat("frames.shape", &[&frames, frame, &width], 0, 3)?;
        Ok(g.reshape_to("frames", &x, &target, shape!["frames", FRAME, hidden])?)
    }
}
