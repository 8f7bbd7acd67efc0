//! The mixture of experts in place of a layer's MLP (§5, MoE layer).

use qvl_checkpoint::{Checkpoint, ExpertLayout, MoeConfig};
use qvl_onnx::{DataType, Dim, GraphBuilder, MixtureOfExperts, QuantizedExperts, Value, shape};

use crate::ExportError;
use crate::matrices::Matrices;
use crate::quantize::BlockFormat;
use crate::storage::Storage;
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
    let logits = single.float_product(g, "router", &rows, &format!("{name}.gate.weight"), DataType::Float32)?;
    let largest = g.reduce_max("router.largest", &logits, 1)?;
    let logits = g.sub("router.shifted", &logits, &largest)?;
    let logits = g.cast("router.logits", &logits, weights.float)?;

    let rows = g.cast("rows.typed", &rows, weights.float)?;
    let [gate_up, down] = experts_of(weights.checkpoint, config, name)?;
    let names = [format!("{name}.experts.gate_up_proj"), format!("{name}.experts.down_proj")];
    let [gate_up, down] =
        [(gate_up, &names[0]), (down, &names[1])].map(|(matrices, name)| matrices.folded(weights.plan.fold_of(name)));
    let y = match names.each_ref().map(|name| weights.plan.storage_of(name)) {
        [Storage::Float(gate_up_type), Storage::Float(down_type)] => {
            let node = MixtureOfExperts {
                x: &rows,
                router_logits: &logits,
                gate_up: &weights.experts(g, &names[0], gate_up, gate_up_type)?,
                down: &weights.experts(g, &names[1], down, down_type)?,
                experts_per_row: config.num_experts_per_tok,
            };
            g.mixture_of_experts("experts", &node)?
        }
        [Storage::Blocks(format), Storage::Blocks(same)] if format == same => {
            let format = expert_format(format, config, hidden)?;
            let gate_up = weights.quantized_experts(g, &names[0], gate_up, format)?;
            let down = weights.quantized_experts(g, &names[1], down, format)?;
            let node = QuantizedExperts {
                x: &rows,
                router_logits: &logits,
                gate_up: (&gate_up.0, &gate_up.1),
                down: (&down.0, &down.1),
                experts_per_row: config.num_experts_per_tok,
                bits: format.bits,
                block_size: format.size,
                accuracy_level: format.accuracy_level,
            };
            g.quantized_experts("experts", &node)?
        }
        _ => return Err(ExportError::ExpertsDiffer { layer: name.to_owned() }),
    };
    let shape_of_x = g.shape_of("shape", x)?;
    Ok(g.reshape_to("experts.rows", &y, &shape_of_x, x.shape.clone())?)
}

/// The experts' gate and up rows in turn, [experts, 2 · inner, hidden], and their down matrices [experts, hidden, inner].
pub(crate) fn experts_of<'a>(
    checkpoint: &'a Checkpoint,
    config: &MoeConfig,
    name: &str,
) -> Result<[Matrices<'a>; 2], ExportError> {
    let hidden = checkpoint.config().text.hidden_size;
    let (count, inner) = (config.num_experts, config.moe_intermediate_size);
    let is_transposed = checkpoint.expert_layout() == Some(ExpertLayout::InputMajor);
    let order = if is_transposed { Matrices::transposed } else { Matrices::plain };
    let gate_up = checkpoint.tensor(&format!("{name}.experts.gate_up_proj"))?;
    let down = checkpoint.tensor(&format!("{name}.experts.down_proj"))?;
    Ok([order(gate_up, [count, 2 * inner, hidden]).interleaved(), order(down, [count, hidden, inner])])
}

/// The form that `QMoE` takes: symmetric blocks of 16 or 32 that divide the experts' sizes.
pub(crate) fn expert_format(
    format: BlockFormat,
    config: &MoeConfig,
    hidden: usize,
) -> Result<BlockFormat, ExportError> {
    let inner = config.moe_intermediate_size;
    let divides = |size: &usize| *size <= format.size && hidden.is_multiple_of(*size) && inner.is_multiple_of(*size);
    match [32, 16].into_iter().find(divides) {
        Some(size) => Ok(BlockFormat { size, symmetric: true, ..format }),
        None => Err(ExportError::ExpertBlocks { hidden, inner }),
    }
}
