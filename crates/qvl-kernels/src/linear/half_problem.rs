//! Products with float16 matrices, of chance: what the tests of all ways to compute them use.

use std::ops::Range;

use half::f16;

use super::{Elements, Linear, Matrix};
use crate::reference::numbers;

/// A product of chance.
pub(super) struct Problem {
    pub(super) x: Vec<f32>,
    pub(super) weights: Vec<f16>,
    pub(super) bias: Option<Vec<f32>>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

impl Problem {
    pub(super) fn new((m, inputs, outputs): (usize, usize, usize), bias: bool, seed: u32) -> Self {
        Self {
            x: numbers(m * inputs, seed),
            weights: numbers(inputs * outputs, !seed).into_iter().map(f16::from_f32).collect(),
            bias: bias.then(|| numbers(outputs, seed ^ 0x1234)),
            inputs,
            outputs,
        }
    }

    pub(super) fn product<'a>(&'a self, out: &'a mut [f32]) -> Linear<'a> {
        let elements = Elements::Float16(&self.weights);
        let matrix = Matrix { inputs: self.inputs, outputs: self.outputs, elements };
        Linear { matrix, bias: self.bias.as_deref(), out }
    }

    /// The results of rows `rows`, by `linear`.
    pub(super) fn results(&self, rows: Range<usize>, linear: impl FnOnce(&[f32], &mut Linear<'_>)) -> Vec<f32> {
        let mut out = vec![-1.0; rows.len() * self.outputs];
        linear(&self.x[rows.start * self.inputs..rows.end * self.inputs], &mut self.product(&mut out));
        out
    }
}
