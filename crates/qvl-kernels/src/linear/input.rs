//! Rows that go into linear layers, with what they are computed from.

use crate::elementwise::{gated_silu, rms_norm};
use crate::matmul::expect_shape;

/// The rows [m, inputs] of a linear layer.
#[derive(Debug)]
pub enum Input<'a> {
    /// They are there.
    Rows(&'a [f32]),
    /// [`rms_norm`] writes them to `out`.
    Normed {
        /// What is normalised, [m, inputs].
        x: &'a [f32],
        /// A factor for each input.
        weight: &'a [f32],
        /// ε of the norm.
        epsilon: f32,
        /// Becomes the rows, [m, inputs].
        out: &'a mut [f32],
    },
    /// [`gated_silu`] makes them of `gate`.
    Gated {
        /// Becomes the rows, [m, inputs].
        gate: &'a mut [f32],
        /// What is gated, [m, inputs].
        up: &'a [f32],
    },
}

impl<'a> Input<'a> {
    /// How many numbers the rows have together.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Rows(x) | Self::Normed { x, .. } => x.len(),
            Self::Gated { gate, .. } => gate.len(),
        }
    }

    #[track_caller]
    pub(super) fn check(&self, m: usize, inputs: usize) {
        expect_shape("x", self.len(), m, inputs);
        match self {
            Self::Rows(_) => {}
            Self::Normed { weight, out, .. } => {
                expect_shape("norm", weight.len(), 1, inputs);
                expect_shape("normed rows", out.len(), m, inputs);
            }
            Self::Gated { up, .. } => expect_shape("up", up.len(), m, inputs),
        }
    }

    /// Computes the rows.
    pub(super) fn rows(self) -> &'a [f32] {
        match self {
            Self::Rows(x) => x,
            Self::Normed { x, weight, epsilon, out } => {
                rms_norm(x, weight, epsilon, out);
                out
            }
            Self::Gated { gate, up } => {
                gated_silu(gate, up);
                gate
            }
        }
    }

    /// Cuts them into strips of `length` numbers, which are whole rows; the last one has less.
    pub(super) fn strips(self, length: usize) -> Vec<Self> {
        match self {
            Self::Rows(x) => x.chunks(length).map(Self::Rows).collect(),
            Self::Normed { x, weight, epsilon, out } => {
                let each = x.chunks(length).zip(out.chunks_mut(length));
                each.map(|(x, out)| Self::Normed { x, weight, epsilon, out }).collect()
            }
            Self::Gated { gate, up } => {
                let each = gate.chunks_mut(length).zip(up.chunks(length));
                each.map(|(gate, up)| Self::Gated { gate, up }).collect()
            }
        }
    }
}
