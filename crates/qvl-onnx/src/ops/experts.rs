//! A mixture of experts, by ONNX Runtime's contributed operator.

use crate::builder::Op;
use crate::ops::arithmetic::describe;
use crate::{Dim, GraphBuilder, OnnxError, Value, shape};

/// Inputs of a `MoE` node whose experts are gated by the sigmoid linear unit.
#[derive(Debug)]
pub struct MixtureOfExperts<'a> {
    /// Rows to be computed, [rows, n].
    pub x: &'a Value,
    /// The router's logits, [rows, experts].
    pub router_logits: &'a Value,
    /// Gate and up matrices, [experts, 2·m, n], row `2i` the gate's row i and row `2i + 1` the up matrix's.
    pub gate_up: &'a Value,
    /// Down matrices, [experts, n, m].
    pub down: &'a Value,
    /// How many experts compute a row.
    pub experts_per_row: usize,
}

impl GraphBuilder<'_> {
    /// The chosen experts' outputs weighted by the softmax over their logits, [rows, n].
    ///
    /// # Errors
    /// If the sizes or types do not fit.
    pub fn mixture_of_experts(&mut self, name: &str, node: &MixtureOfExperts<'_>) -> Result<Value, OnnxError> {
        let (gate_up, down) = (node.gate_up.shape.0.as_slice(), node.down.shape.0.as_slice());
        let fits = match (gate_up, down) {
            ([experts, Dim::Fixed(twice), inner], [same_experts, outer, Dim::Fixed(half)]) => {
                experts == same_experts
                    && *twice == 2 * half
                    && *inner == node.x.shape.last()
                    && outer == inner
                    && *experts == node.router_logits.shape.last()
            }
            _ => false,
        };
        let tensors = [node.router_logits, node.gate_up, node.down];
        if !fits || node.x.shape.rank() != 2 || !tensors.iter().all(|t| t.data_type == node.x.data_type) {
            let reason = format!("{}, {} and {}", describe(node.x), describe(node.gate_up), describe(node.down));
            return Err(self.mismatch("MoE", name, reason));
        }
        let op = swiglu(Op::microsoft("MoE"), node.experts_per_row);
        let inputs = [Some(node.x), Some(node.router_logits), Some(node.gate_up), None, Some(node.down)];
        let shape = shape![node.x.shape.0[0].clone(), node.x.shape.last()];
        let mut values = self.node_with(op, name, &inputs, vec![Some((name, node.x.data_type, shape))])?;
        values.pop().ok_or_else(|| OnnxError::UnknownValue { name: name.to_owned() })
    }
}

/// The attributes of experts whose even rows gate their odd rows by `x · sigmoid(x)`, and whose chosen weights sum up to 1.
pub(super) fn swiglu(op: Op, experts_per_row: usize) -> Op {
    op.int("k", experts_per_row as i64)
        .text("activation_type", "swiglu")
        .int("swiglu_fusion", 1)
        .float("activation_alpha", 1.0)
        .float("activation_beta", 0.0)
        .int("normalize_routing_weights", 1)
}
