//! The mixture of experts in place of a layer's MLP (§5, MoE layer).

use qvl_checkpoint::{MoeConfig, TextConfig};
use qvl_kernels::{Arithmetic, gated_silu, linear, map};

use super::matrix::{StoredExperts, StoredMatrix};
use super::weights::Weights;
use crate::EngineError;

/// The experts of a layer and the router that chooses among them.
#[derive(Debug)]
pub(super) struct Experts {
    router: StoredMatrix,
    /// Rows of gate and up matrix in turn.
    gate_up: StoredExperts,
    down: StoredExperts,
    experts_per_row: usize,
}

/// A row that an expert computes, and what its result counts.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Share {
    row: usize,
    weight: f32,
}

impl Experts {
    /// Takes the experts of the layer part `name` out of the weights.
    pub(super) fn open(
        weights: &mut Weights,
        config: &TextConfig,
        moe: &MoeConfig,
        name: &str,
    ) -> Result<Self, EngineError> {
        let (hidden, inner, count) = (config.hidden_size, moe.moe_intermediate_size, moe.num_experts);
        Ok(Self {
            router: weights.matrix(&format!("{name}.gate.weight"), count, hidden)?,
            gate_up: weights.experts(&format!("{name}.experts.gate_up_proj"), [count, 2 * inner, hidden])?,
            down: weights.experts(&format!("{name}.experts.down_proj"), [count, hidden, inner])?,
            experts_per_row: moe.num_experts_per_tok,
        })
    }

    /// Adds the experts' output for `x` [m, hidden] to `out` [m, hidden].
    ///
    /// Each chosen expert computes all of its rows at once; the others' weights are not read. A row's shares are added in
    /// the order of the experts, whatever rows are computed beside it.
    pub(super) fn add(&self, x: &[f32], m: usize, arithmetic: Arithmetic, out: &mut [f32]) {
        let (hidden, count) = (self.router.inputs, self.router.outputs);
        let mut logits = vec![0.0; m * count];
        linear(x, m, &mut [self.router.product(&mut logits)], Arithmetic::Float32);
        let shares = shares(&logits, count, self.experts_per_row);
        let chosen: Vec<_> = shares.iter().enumerate().filter(|(_, shares)| !shares.is_empty()).collect();
        let results = map(chosen.len(), |index| {
            let (expert, shares) = chosen[index];
            self.expert(expert, x, shares, arithmetic)
        });
        for ((_, shares), results) in chosen.into_iter().zip(results) {
            for (share, result) in shares.iter().zip(results.chunks_exact(hidden)) {
                let out = &mut out[share.row * hidden..][..hidden];
                out.iter_mut().zip(result).for_each(|(out, result)| *out += share.weight * result);
            }
        }
    }

    /// What expert `expert` makes of its rows of `x`, [shares, hidden].
    fn expert(&self, expert: usize, x: &[f32], shares: &[Share], arithmetic: Arithmetic) -> Vec<f32> {
        let (m, hidden, inner) = (shares.len(), self.gate_up.inputs, self.down.inputs);
        let rows: Vec<f32> = shares.iter().flat_map(|share| &x[share.row * hidden..][..hidden]).copied().collect();
        let mut both = vec![0.0; m * 2 * inner];
        self.gate_up.multiply(expert, &rows, m, arithmetic, &mut both);
        let (mut gate, up): (Vec<f32>, Vec<f32>) = both.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip();
        gated_silu(&mut gate, &up);
        let mut results = rows;
        self.down.multiply(expert, &gate, m, arithmetic, &mut results);
        results
    }
}

/// The rows of each of `count` experts, from the router's logits [rows, experts]: a row goes to the `chosen` experts with the
/// largest logits, of equal ones to the first, and they count by the softmax over their logits.
fn shares(logits: &[f32], count: usize, chosen: usize) -> Vec<Vec<Share>> {
    let mut shares = vec![Vec::new(); count];
    for (row, logits) in logits.chunks_exact(count).enumerate() {
        let mut experts: Vec<usize> = (0..count).collect();
        experts.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        experts.truncate(chosen);
        let largest = experts.first().map_or(0.0, |&expert| logits[expert]);
        let power = |expert: usize| (logits[expert] - largest).exp();
        let total: f32 = experts.iter().map(|&expert| power(expert)).sum();
        for expert in experts {
            shares[expert].push(Share { row, weight: power(expert) / total });
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_are_chosen_and_the_first_of_equals() {
        let logits = [0.0, 2.0_f32.ln(), 2.0_f32.ln(), -1.0, 5.0, 5.0, 5.0, 5.0];
        let shares = shares(&logits, 4, 2);
        let weights = |expert: usize| shares[expert].iter().map(|s| (s.row, s.weight)).collect::<Vec<_>>();
        assert_eq!(weights(0), [(1, 0.5)]);
        assert_eq!(weights(1), [(0, 0.5), (1, 0.5)]);
        assert_eq!(weights(2), [(0, 0.5)]);
        assert!(weights(3).is_empty());
    }

    proptest! {
        #[test]
        fn every_row_has_its_experts_and_all_of_its_weight(
            (rows, count, chosen) in (0..9_usize, 1..12_usize, 1..12_usize),
            seed in prop::collection::vec(-9.0_f32..9.0, 108),
        ) {
            let chosen = chosen.min(count);
            let shares = shares(&seed[..rows * count], count, chosen);
            for row in 0..rows {
                let own: Vec<_> = shares.iter().map(|of| of.iter().filter(|share| share.row == row).collect::<Vec<_>>()).collect();
                prop_assert_eq!(own.iter().map(Vec::len).sum::<usize>(), chosen);
                prop_assert!(own.iter().all(|of| of.len() <= 1));
                let total: f32 = own.iter().flatten().map(|share| share.weight).sum();
                prop_assert!((total - 1.0).abs() < 1e-5);
            }
        }
    }
}
