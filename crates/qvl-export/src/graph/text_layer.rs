//! A layer of the text decoder (§5.3).

use qvl_checkpoint::TextConfig;
use qvl_onnx::{DataType, Dim, GraphBuilder, GroupQueryAttention, GroupQueryOutputs, Value, shape};

use super::experts::experts;
use super::text_positions::{BatchOrder, RotaryTables, take_rows};
use crate::ExportError;
use crate::weights::Weights;

/// What all layers share.
pub(super) struct Decoder<'a> {
    pub(super) weights: Weights<'a>,
    pub(super) config: &'a TextConfig,
    pub(super) order: BatchOrder,
    pub(super) rotary: RotaryTables,
}

/// The KV cache of a layer.
pub(super) struct Cache {
    pub(super) key: Value,
    pub(super) value: Value,
}

impl<'a> Decoder<'a> {
    /// Runs layer `index` on the residual stream `x` [batch, sequence, hidden] float32.
    ///
    /// With `last_only` the layer ends with one position for each row, the last: nothing after it needs the others.
    pub(super) fn layer(
        &self,
        g: &mut GraphBuilder<'a>,
        index: usize,
        x: &Value,
        past: &Cache,
        last_only: bool,
    ) -> Result<(Value, Cache), ExportError> {
        let name = |part: &str| format!("model.language_model.layers.{index}.{part}");
        let y = self.norm(g, "input_norm", x, &name("input_layernorm"))?;
        let y = g.cast("input_norm.typed", &y, self.weights.float)?;
        let attended = self.attention(g, &y, &name("self_attn"), past)?;
        let (mut y, mut x) = (attended.output, x.clone());
        if last_only {
            y = take_rows(g, "attn.last", &y, &self.order.last)?;
            x = take_rows(g, "residual.last", &x, &self.order.last)?;
        }
        let y = self.weights.linear(g, "attn.output", &y, &name("self_attn.o_proj"))?;
        let y = g.cast("attn.float32", &y, DataType::Float32)?;
        let scale = self.weights.float32(g, &name("post_attention_layernorm.weight"))?;
        let (y, x) = g.skip_rms_norm("post_attn_norm", &x, &y, &scale, self.epsilon())?;
        let y = self.feed_forward(g, index, &y, &name("mlp"))?;
        let y = g.cast("mlp.float32", &y, DataType::Float32)?;
        let x = g.add("residual", &x, &y)?;
        Ok((x, Cache { key: attended.present_key, value: attended.present_value }))
    }

    /// Root-mean-square norm in float32.
    pub(super) fn norm(
        &self,
        g: &mut GraphBuilder<'a>,
        label: &str,
        x: &Value,
        name: &str,
    ) -> Result<Value, ExportError> {
        let scale = self.weights.float32(g, &format!("{name}.weight"))?;
        Ok(g.rms_norm(label, x, &scale, self.epsilon())?)
    }

    fn epsilon(&self) -> f32 {
        self.config.rms_norm_eps as f32
    }

    fn attention(
        &self,
        g: &mut GraphBuilder<'a>,
        x: &Value,
        name: &str,
        past: &Cache,
    ) -> Result<GroupQueryOutputs, ExportError> {
        let config = self.config;
        let project = |g: &mut GraphBuilder<'a>, part: &str| {
            self.weights.linear(g, &format!("attn.{part}"), x, &format!("{name}.{part}_proj"))
        };
        let (query, key, value) = (project(g, "q")?, project(g, "k")?, project(g, "v")?);
        let query = self.head_norm(g, "attn.q", &query, config.num_attention_heads, &format!("{name}.q_norm"))?;
        let key = self.head_norm(g, "attn.k", &key, config.num_key_value_heads, &format!("{name}.k_norm"))?;
        let node = GroupQueryAttention {
            query: &query,
            key: &key,
            value: &value,
            past_key: &past.key,
            past_value: &past.value,
            last_position: &self.order.last_position,
            total: &self.order.total,
            query_heads: config.num_attention_heads,
            key_value_heads: config.num_key_value_heads,
            head_size: config.head_dim,
            present: "present_length".into(),
        };
        Ok(g.group_query_attention("attn", &node)?)
    }

    /// Norm of each head, in float32, then rotary embedding in the graph's type.
    fn head_norm(
        &self,
        g: &mut GraphBuilder<'a>,
        label: &str,
        x: &Value,
        heads: usize,
        name: &str,
    ) -> Result<Value, ExportError> {
        let (size, width) = (self.config.head_dim, heads * self.config.head_dim);
        let by_head = shape!["batch_size", "sequence", heads, size];
        let y = g.reshape(&format!("{label}.heads"), x, &[0, 0, heads as i64, size as i64], by_head)?;
        let y = g.cast(&format!("{label}.float32"), &y, DataType::Float32)?;
        let y = self.norm(g, &format!("{label}.norm"), &y, name)?;
        let y = g.cast(&format!("{label}.typed"), &y, self.weights.float)?;
        let y =
            g.reshape(&format!("{label}.flat"), &y, &[0, 0, width as i64], shape!["batch_size", "sequence", width])?;
        Ok(g.rotary(&format!("{label}.rotary"), &y, &self.order.places, &self.rotary.cos, &self.rotary.sin)?)
    }

    /// The MLP or the mixture of experts on `x` float32, in the graph's type.
    fn feed_forward(
        &self,
        g: &mut GraphBuilder<'a>,
        index: usize,
        x: &Value,
        name: &str,
    ) -> Result<Value, ExportError> {
        if let Some(moe) = self.config.moe.as_ref().filter(|_| self.config.is_moe_layer(index)) {
            return g.within("mlp", |g| experts(g, &self.weights, moe, name, x));
        }
        let x = g.cast("mlp.typed", x, self.weights.float)?;
        let gate = self.weights.linear(g, "mlp.gate", &x, &format!("{name}.gate_proj"))?;
        let up = self.weights.linear(g, "mlp.up", &x, &format!("{name}.up_proj"))?;
        let gate = g.silu("mlp.silu", &gate)?;
        let y = g.mul("mlp.gated", &gate, &up)?;
        self.weights.linear(g, "mlp.down", &y, &format!("{name}.down_proj"))
    }
}

/// The shape of a layer's cache before a call. transformers.js makes the first one by these sizes: it knows the name
/// `batch_size`, and takes 0 for others.
pub(super) fn past_shape(config: &TextConfig) -> qvl_onnx::Shape {
    let length: Dim = "past_length".into();
    shape!["batch_size", config.num_key_value_heads, length, config.head_dim]
}
