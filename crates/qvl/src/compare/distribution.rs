//! The distribution of the next token.

use crate::sampler::{SampleError, argmax};

/// Probabilities of all tokens, as logarithms in double precision: single precision loses what small divergences are
/// made of.
#[derive(Debug)]
pub(super) struct Distribution {
    log_probs: Vec<f64>,
    most_likely: u32,
}

impl Distribution {
    /// The softmax of `logits`.
    ///
    /// # Errors
    /// If a logit is not finite, or there is none.
    pub(super) fn new(logits: &[f32]) -> Result<Self, SampleError> {
        let most_likely = most_likely(logits)?;
        // Subtracting the greatest keeps the exponentials from overflowing.
        let greatest = f64::from(logits[most_likely as usize]);
        let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - greatest).exp()).sum();
        let log_sum = greatest + sum.ln();
        Ok(Self { log_probs: logits.iter().map(|&logit| f64::from(logit) - log_sum).collect(), most_likely })
    }

    /// The token that a greedy answer takes.
    pub(super) fn most_likely(&self) -> u32 {
        self.most_likely
    }

    /// The negative log-likelihood of `token`, in nats; infinite for a token that is not of the vocabulary.
    pub(super) fn surprise(&self, token: u32) -> f64 {
        self.log_probs.get(token as usize).map_or(f64::INFINITY, |log_prob| -log_prob)
    }

    /// KL(self ‖ other) = Σ p · (log p − log q), in nats (Kullback and Leibler 1951).
    pub(super) fn divergence(&self, other: &Self) -> f64 {
        let terms = self.log_probs.iter().zip(&other.log_probs).map(|(p, q)| p.exp() * (p - q));
        // It cannot be negative (Gibbs' inequality), but rounding can make it so.
        terms.sum::<f64>().max(0.0)
    }
}

/// The token that a greedy answer takes; the lowest id among equals.
///
/// # Errors
/// If a logit is not finite, or there is none.
pub(super) fn most_likely(logits: &[f32]) -> Result<u32, SampleError> {
    match logits.iter().position(|logit| !logit.is_finite()) {
        Some(token) => Err(SampleError::NotFinite { token, value: logits[token].to_string() }),
        None => argmax(logits),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_probabilities<const N: usize>(probabilities: [f64; N]) -> Distribution {
        Distribution::new(&probabilities.map(|p| p.ln() as f32)).unwrap()
    }

    #[test]
    fn divergences_by_hand() {
        let (fair, biased) = (of_probabilities([0.5, 0.5]), of_probabilities([0.75, 0.25]));
        // 0.5 ln(0.5/0.75) + 0.5 ln(0.5/0.25) = 0.5 ln(4/3), and 0.75 ln(3/2) + 0.25 ln(1/2).
        assert!((fair.divergence(&biased) - 0.143_841_036).abs() < 1e-7);
        assert!((biased.divergence(&fair) - 0.130_812_036).abs() < 1e-7);
        assert_eq!(fair.divergence(&fair), 0.0);
        // A certain token against one in four: ln 4. The others add nothing though their logarithm is large.
        let certain = Distribution::new(&[1000.0, 0.0, -1000.0, 0.0]).unwrap();
        assert!((certain.divergence(&of_probabilities([0.25; 4])) - 4.0_f64.ln()).abs() < 1e-7);
    }

    #[test]
    fn surprise_and_the_most_likely() {
        let biased = of_probabilities([0.25, 0.75]);
        assert!((biased.surprise(0) - 4.0_f64.ln()).abs() < 1e-7);
        assert_eq!(biased.surprise(2), f64::INFINITY);
        assert_eq!(biased.most_likely(), 1);
        assert_eq!(of_probabilities([0.1, 0.4, 0.4]).most_likely(), 1, "the first among equals");
    }

    #[test]
    fn broken_logits_are_errors() {
        for (broken, value) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
            let error = Distribution::new(&[0.0, broken]).unwrap_err();
            assert_eq!(error, SampleError::NotFinite { token: 1, value: value.to_owned() });
        }
        assert_eq!(Distribution::new(&[]).unwrap_err(), SampleError::NoCandidate);
    }

    /// Multiples of 1/64 below 2^10, to which whole numbers up to 2^10 are added without rounding.
    fn logits() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let logit = || (-65_536..65_536_i32).prop_map(|number| number as f32 / 64.0);
        prop::collection::vec((logit(), logit()), 1..40).prop_map(|pairs| pairs.into_iter().unzip())
    }

    proptest! {
        #[test]
        fn a_divergence_is_never_negative_and_ignores_a_constant((a, b) in logits(), constant in -1024..1024_i32) {
            let moved: Vec<f32> = a.iter().map(|logit| logit + constant as f32).collect();
            let [a, b, moved] = [a, b, moved].map(|logits| Distribution::new(&logits).unwrap());
            let divergence = a.divergence(&b);
            prop_assert!(divergence >= 0.0 && divergence.is_finite());
            prop_assert_eq!(a.divergence(&a), 0.0);
            prop_assert!((moved.divergence(&b) - divergence).abs() <= 1e-9 * divergence.max(1.0));
            prop_assert!((a.surprise(0) - moved.surprise(0)).abs() <= 1e-9);
            prop_assert_eq!(a.most_likely(), moved.most_likely());
        }
    }
}
