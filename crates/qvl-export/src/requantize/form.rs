//! How the graphs store a checkpoint's tensors, and the way back.

use qvl_checkpoint::{Tensor, TensorSpec};
use qvl_package::Graph;

use crate::graph::TABLE;
use crate::matrices::Matrices;

/// What an export did to a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing.
    Same,
    /// A matrix [m, ..] is stored as [.., m], the right-hand side of a product.
    Transposed,
    /// The rows of the experts' gate and up matrices are stored in turn.
    GateAndUpInTurn,
}

impl Form {
    /// The form of `tensor` in `graph`, where the experts are output-major.
    pub(super) fn of(tensor: &TensorSpec, graph: Graph) -> Self {
        let name = tensor.name.as_str();
        let is_gathered = name.ends_with(".pos_embed.weight") || (name == TABLE && graph == Graph::Embedding);
        if name.ends_with(".experts.gate_up_proj") {
            Self::GateAndUpInTurn
        } else if is_gathered || tensor.shape.len() == 1 || name.ends_with(".experts.down_proj") {
            Self::Same
        } else {
            Self::Transposed
        }
    }

    /// The shape in the graph of a tensor that has the shape `shape` in the checkpoint.
    pub(super) fn stored_shape(self, shape: &[usize]) -> Vec<usize> {
        match (self, shape) {
            (Self::Transposed, [outputs, inputs @ ..]) => vec![inputs.iter().product(), *outputs],
            _ => shape.to_vec(),
        }
    }

    /// The rows, in the checkpoint's order, of a tensor that the graph stores as `stored`.
    pub(super) fn restore<'a>(self, stored: Tensor<'a>) -> Matrices<'a> {
        match (self, stored.shape()) {
            (Self::Transposed, &[inputs, outputs]) => Matrices::transposed(stored, [1, outputs, inputs]),
            (Self::GateAndUpInTurn, &[experts, rows, columns]) => Matrices::separated(stored, [experts, rows, columns]),
            (_, shape) => {
                let columns = shape.last().copied().unwrap_or(1);
                Matrices::plain(stored, [1, stored.len() / columns.max(1), columns])
            }
        }
    }
}
