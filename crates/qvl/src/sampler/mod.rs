//! Choosing the next token from the logits.

mod candidates;
mod seen;
mod settings;

use candidates::Candidates;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
pub use seen::SeenTokens;
pub use settings::Sampling;

use crate::token_logprobs::log_probability;

/// Logits that no token can be chosen from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// A number is missing: the model or its arithmetic is broken.
    #[error(
        "the logit of token {token} is {value}; the package or its precision is broken: export it again, with fp32 if it was fp16"
    )]
    NotFinite {
        /// The first such token.
        token: usize,
        /// `NaN` or `inf`.
        value: String,
    },
    /// No token has a probability.
    #[error("the model gives no token a probability; the package is broken: export it again")]
    NoCandidate,
}

/// Chooses tokens one after the other; equal seeds, settings and logits give equal tokens.
#[derive(Debug)]
pub struct Sampler {
    settings: Sampling,
    random: ChaCha8Rng,
}

impl Sampler {
    /// A sampler with `settings`, which should have been validated; without a seed it draws one.
    pub fn new(settings: &Sampling) -> Self {
        let seed = settings.seed.unwrap_or_else(rand::random);
        Self { settings: settings.clone(), random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Chooses the next token by `logits` (one per token of the vocabulary) and what came before.
    ///
    /// Greedy choices take the lowest id among equals. A logit of minus infinity excludes its token.
    ///
    /// # Errors
    /// If a logit is NaN or plus infinity, or all are minus infinity.
    pub fn choose(&mut self, logits: &[f32], seen: &SeenTokens) -> Result<u32, SampleError> {
        check(logits)?;
        let settings = &self.settings;
        let mut logits = logits.to_vec();
        self.adjust(&mut logits, seen);
        if settings.is_greedy() {
            return argmax(&logits);
        }
        let mut candidates = Candidates::new(&logits, settings.temperature).ok_or(SampleError::NoCandidate)?;
        candidates.keep_top_k(settings.top_k);
        candidates.keep_top_p(settings.top_p);
        candidates.keep_min_p(settings.min_p);
        Ok(candidates.draw(uniform(&mut self.random)))
    }

    /// The log-probability of each token by `logits`, with bias and penalties added to it, as `transformers` does where it adds
    /// them up over an answer.
    ///
    /// # Errors
    /// As [`choose`](Self::choose).
    pub(crate) fn log_probabilities(&self, logits: &[f32], seen: &SeenTokens) -> Result<Vec<f32>, SampleError> {
        check(logits)?;
        // There is one if there is any.
        argmax(logits)?;
        let log_probability = log_probability(logits);
        let mut log_probabilities: Vec<f32> = logits.iter().map(|&logit| log_probability(logit)).collect();
        self.adjust(&mut log_probabilities, seen);
        Ok(log_probabilities)
    }

    /// Adds the bias and the penalties.
    fn adjust(&self, logits: &mut [f32], seen: &SeenTokens) {
        for &(token, bias) in &self.settings.logit_bias {
            change(logits, token, |logit| logit + bias);
        }
        seen.penalise(logits, &self.settings);
    }
}

/// Changes the logit of `token`, if there is one. The result is kept finite, so that an extreme penalty cannot make an
/// infinity of a finite logit.
fn change(logits: &mut [f32], token: u32, change: impl Fn(f32) -> f32) {
    let logit = usize::try_from(token).ok().and_then(|token| logits.get_mut(token));
    if let Some(logit) = logit.filter(|logit| logit.is_finite()) {
        *logit = change(*logit).clamp(f32::MIN, f32::MAX);
    }
}

fn check(logits: &[f32]) -> Result<(), SampleError> {
    let broken = logits.iter().position(|&logit| logit.is_nan() || logit == f32::INFINITY);
    broken.map_or(Ok(()), |token| Err(SampleError::NotFinite { token, value: logits[token].to_string() }))
}

/// The most likely token, the lowest id among equals.
pub(crate) fn argmax(logits: &[f32]) -> Result<u32, SampleError> {
    let mut best = (f32::NEG_INFINITY, None);
    for (id, &logit) in (0..).zip(logits) {
        if logit > best.0 {
            best = (logit, Some(id));
        }
    }
    best.1.ok_or(SampleError::NoCandidate)
}

/// A number in [0, 1) with all 53 bits that a double holds.
fn uniform(random: &mut impl Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling() -> Sampling {
        Sampling { do_sample: true, top_k: 0, seed: Some(1), ..Sampling::default() }
    }

    fn draws(settings: &Sampling, logits: &[f32], count: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(settings);
        (0..count).map(|_| sampler.choose(logits, &SeenTokens::default()).unwrap()).collect()
    }

    #[test]
    fn greedy_takes_the_most_likely_and_the_first_among_equals() {
        let greedy = Sampling::default();
        assert_eq!(draws(&greedy, &[0.0, 3.0, 3.0, -1.0], 1), [1]);
        let cold = Sampling { temperature: 0.0, ..sampling() };
        assert_eq!(draws(&cold, &[0.0, 3.0, 5.0], 3), [2, 2, 2]);
    }

    #[test]
    fn a_seed_reproduces_and_another_differs() {
        let logits = [0.0; 64];
        let first = draws(&sampling(), &logits, 50);
        assert_eq!(first, draws(&sampling(), &logits, 50));
        assert_ne!(first, draws(&Sampling { seed: Some(2), ..sampling() }, &logits, 50));
    }

    #[test]
    fn no_seed_draws_a_new_one() {
        let unseeded = Sampling { seed: None, ..sampling() };
        let logits = [0.0; 64];
        assert_ne!(draws(&unseeded, &logits, 50), draws(&unseeded, &logits, 50));
    }

    #[test]
    fn draws_follow_the_distribution_at_the_temperature() {
        let logits = [1.0_f32, 0.0, 2.0, f32::NEG_INFINITY];
        for temperature in [0.5_f32, 1.0, 2.0] {
            let count = 20_000;
            let drawn = draws(&Sampling { temperature, ..sampling() }, &logits, count);
            let weights = logits.map(|logit| f64::from(logit / temperature).exp());
            let total: f64 = weights.iter().sum();
            for (token, weight) in (0..).zip(weights) {
                let share = drawn.iter().filter(|&&id| id == token).count() as f64 / count as f64;
                // Four standard deviations of a share of 20,000 draws are at most 0.0142.
                assert!((share - weight / total).abs() < 0.0142, "{token} at {temperature}: {share}");
            }
        }
    }

    #[test]
    fn top_k_of_one_is_greedy_and_a_huge_one_keeps_all() {
        let one = Sampling { top_k: 1, ..sampling() };
        assert_eq!(draws(&one, &[0.5, 0.6, 0.1], 20), [1; 20]);
        let huge = Sampling { top_k: usize::MAX, ..sampling() };
        assert_eq!(draws(&huge, &[0.0; 8], 30), draws(&sampling(), &[0.0; 8], 30));
    }

    #[test]
    fn filters_work_after_one_another() {
        // Shares 0.64, 0.24, 0.09, 0.03: top-k leaves three, top-p of these two.
        let logits = [4.0, 3.0, 2.0, 1.0];
        let settings = Sampling { top_k: 3, top_p: 0.9, ..sampling() };
        let drawn = draws(&settings, &logits, 500);
        assert!(drawn.contains(&0) && drawn.contains(&1) && !drawn.contains(&2) && !drawn.contains(&3));
        // 3.0 has a share of exp(-1) = 0.37 of the best one's.
        let settings = Sampling { min_p: 0.38, ..sampling() };
        assert_eq!(draws(&settings, &logits, 50), [0; 50]);
    }

    #[test]
    fn broken_logits_are_errors() {
        let mut sampler = Sampler::new(&sampling());
        let seen = SeenTokens::default();
        let error = sampler.choose(&[0.0, f32::NAN], &seen).unwrap_err();
        assert!(error.to_string().starts_with("the logit of token 1 is NaN"));
        assert!(sampler.choose(&[f32::INFINITY], &seen).is_err());
        assert_eq!(sampler.choose(&[f32::NEG_INFINITY; 3], &seen), Err(SampleError::NoCandidate));
        assert_eq!(sampler.choose(&[], &seen), Err(SampleError::NoCandidate));
        let mut greedy = Sampler::new(&Sampling::default());
        assert_eq!(greedy.choose(&[f32::NEG_INFINITY; 3], &seen), Err(SampleError::NoCandidate));
        assert!(greedy.choose(&[f32::NAN, 1.0], &seen).is_err());
    }

    #[test]
    fn extreme_but_finite_settings_still_choose() {
        let settings = Sampling { temperature: f32::MIN_POSITIVE, ..sampling() };
        assert_eq!(draws(&settings, &[f32::MAX, f32::MIN, 0.0], 3), [0; 3]);
        let settings = Sampling { temperature: 100.0, top_p: f32::MIN_POSITIVE, ..sampling() };
        assert_eq!(draws(&settings, &[1.0, 2.0], 3), [1; 3]);
    }

    #[test]
    fn the_repetition_penalty_counts_in_greedy_choices() {
        let settings = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
        let mut seen = SeenTokens::default();
        seen.prompt(&[0]);
        assert_eq!(Sampler::new(&settings).choose(&[3.0, 2.0], &seen), Ok(1));
    }

    #[test]
    fn a_bias_raises_and_lowers_its_token_only() {
        let biased = |logit_bias: &[(u32, f32)]| {
            let settings = Sampling { logit_bias: logit_bias.to_vec(), ..Sampling::default() };
            draws(&settings, &[0.0, 3.0, 2.0, f32::NEG_INFINITY], 1)
        };
        assert_eq!(biased(&[(0, 3.5)]), [0]);
        assert_eq!(biased(&[(1, -1.5), (2, -2.5)]), [1]);
        assert_eq!(biased(&[(1, -50.0), (1, 50.0), (3, 100.0), (4, 100.0), (u32::MAX, 100.0)]), [1]);
    }

    #[test]
    fn the_bias_comes_before_the_repetition_penalty() {
        let settings = Sampling { repetition_penalty: 2.0, logit_bias: vec![(0, 4.0)], ..Sampling::default() };
        let mut seen = SeenTokens::default();
        seen.prompt(&[0]);
        // (2 + 4) / 2 = 3 and not 2 / 2 + 4 = 5.
        assert_eq!(Sampler::new(&settings).choose(&[2.0, 4.0], &seen), Ok(1));
    }
}
