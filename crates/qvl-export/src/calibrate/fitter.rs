//! What calibration does with what it sees.

use qvl_kernels::add_gram;

use super::target::{Fitted, Target};
use crate::ExportError;

/// A place in a layer where matrices meet their inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// Before the query, key and value projections.
    AttentionIn,
    /// Before the output projection.
    AttentionOut,
    /// Before an MLP's gate and up projections.
    MlpIn,
    /// Before an MLP's down projection.
    MlpOut,
    /// Before the router and the gate and up projections of all experts; what is fitted here is not used for going on.
    ExpertsIn,
    /// Before one expert's gate and up projections; only with the tokens that were sent to it.
    ExpertIn(usize),
    /// Before one expert's down projection.
    ExpertOut(usize),
}

/// Fits matrices to their inputs.
pub(super) trait Fitter<'a> {
    /// Fits `targets`, all of which have the inputs that `gram` is made of. The results, in the targets' order, are what
    /// the decoder goes on with.
    ///
    /// # Errors
    /// If a weight is not finite, or what was found cannot be stored.
    fn fit(&mut self, site: Site, targets: Vec<Target<'a>>, gram: Gram) -> Result<Vec<Fitted<'a>>, ExportError>;
}

/// `Σ w · xᵀx` over inputs x with weights w.
#[derive(Debug, Clone)]
pub(super) struct Gram {
    /// [n, n].
    pub(super) sums: Vec<f32>,
    pub(super) n: usize,
}

impl Gram {
    /// Of no inputs yet, of `n` numbers each.
    pub(super) fn new(n: usize) -> Self {
        Self { sums: vec![0.0; n * n], n }
    }

    /// Adds inputs `x` [weights.len(), n].
    pub(super) fn add(&mut self, x: &[f32], weights: &[f32]) {
        add_gram(x, weights, self.n, &mut self.sums);
    }

    /// Checks that all sums are numbers: no damping would ever make a matrix of others positive definite.
    ///
    /// # Errors
    /// If one is not; `name` is a tensor that has the inputs.
    pub(super) fn check(&self, name: &str) -> Result<(), ExportError> {
        // No sum is larger than the larger one of its two on the diagonal.
        if (0..self.n).all(|i| self.sums[i * self.n + i].is_finite()) {
            return Ok(());
        }
        Err(ExportError::CalibrationInputs { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_that_are_no_numbers_are_an_error_that_names_the_tensor() {
        for broken in [f32::NAN, f32::INFINITY, f32::MAX] {
            let mut gram = Gram::new(2);
            gram.add(&[1.0, 2.0], &[1.0]);
            gram.check("a").unwrap();
            gram.add(&[3.0, broken], &[1.0]);
            let error = gram.check("layers.0.q_proj.weight").unwrap_err().to_string();
            assert!(error.starts_with("cannot calibrate: inputs of layers.0.q_proj.weight"), "{error}");
        }
    }
}
