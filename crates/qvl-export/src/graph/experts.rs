//! The mixture of experts in place of a layer's MLP (§5, MoE layer).

use qvl_checkpoint::{ExpertLayout, MoeConfig};
use qvl_onnx::{DataType, Dim, GraphBuilder, MixtureOfExperts, Value, shape};

use crate::ExportError;
use crate::weights::Weights;

/// The experts' output for `x` [batch, n, hidden] float32, in the graph's type.
///
/// The router is computed in float32. Its logits are shifted by their largest before they take the graph's type:
/// the softmax over the chosen ones stays the same, and the largest are then the most precise.
pub(super) fn experts<'a>(
    g: &mut GraphBuilder<'a>,
    weights: &Weights<'a>,
    config: &MoeConfig,
    name: &str,
    x: &Value,
) -> Result<Value, ExportError> {
    let Dim::Fixed(hidden) = x.shape.last() else {
        return Err(qvl_onnx::OnnxError::UnknownValue { name: format!("width of {}", x.name) }.into());
    };
    let rows = g.reshape("rows", x, &[-1, hidden as i64], shape![Dim::Unknown, hidden])?;
    let single = Weights { float: DataType::Float32, ..*weights };
    let logits = single.linear(g, "router", &rows, &format!("{name}.gate"))?;
    let largest = g.reduce_max("router.largest", &logits, 1)?;
    let logits = g.sub("router.shifted", &logits, &largest)?;
    let logits = g.cast("router.logits", &logits, weights.float)?;

    let input_major = weights.checkpoint.expert_layout() == Some(ExpertLayout::InputMajor);
    let (count, inner) = (config.num_experts, config.moe_intermediate_size);
    let gate_up =
        weights.experts(g, &format!("{name}.experts.gate_up_proj"), [count, 2 * inner, hidden], input_major, true)?;
    let down = weights.experts(g, &format!("{name}.experts.down_proj"), [count, hidden, inner], input_major, false)?;
    let rows = g.cast("rows.typed", &rows, weights.float)?;
    let node = MixtureOfExperts {
        x: &rows,
        router_logits: &logits,
        gate_up: &gate_up,
        down: &down,
        experts_per_row: config.num_experts_per_tok,
    };
    let y = g.mixture_of_experts("experts", &node)?;
    let shape_of_x = g.shape_of("shape", x)?;
    Ok(g.reshape_to("experts.rows", &y, &shape_of_x, x.shape.clone())?)
}
