//! Random weights: what kind each tensor gets, and fast reproducible numbers.

use half::bf16;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Standard deviation of matrices, the `initializer_range` of the published configurations.
const STD: f64 = 0.02;
/// Bits of randomness of one weight.
const TABLE_BITS: u32 = 12;

/// What the elements of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// One, so that norms leave the scale alone.
    Ones,
    /// Zero.
    Zeros,
    /// Bell-shaped around zero.
    Random,
}

impl Fill {
    /// Norm weights are ones, biases zeros, all else is random, so that activations stay of order one.
    pub(super) fn of(name: &str) -> Self {
        let module = name.rsplit('.').nth(1).unwrap_or_default();
        if name.ends_with(".bias") {
            Self::Zeros
        } else if module.contains("norm") {
            Self::Ones
        } else {
            Self::Random
        }
    }
}

/// Turns random bits into BF16 weights through a table of quantiles.
pub(super) struct Weights {
    quantiles: Vec<[u8; 2]>,
    seed: u64,
}

impl Weights {
    pub(super) fn new(seed: u64) -> Self {
        let count = 1 << TABLE_BITS;
        let quantiles = (0..count)
            .map(|i| {
                let probability = (f64::from(i) + 0.5) / f64::from(count);
                bf16::from_f64(STD * quantile(probability)).to_le_bytes()
            })
            .collect();
        Self { quantiles, seed }
    }

    /// Fills the bytes of part `chunk` of tensor `index` of the model.
    pub(super) fn fill(&self, fill: Fill, index: u64, chunk: u32, bytes: &mut [u8]) {
        match fill {
            Fill::Zeros => bytes.fill(0),
            Fill::Ones => {
                for element in bytes.as_chunks_mut().0 {
                    *element = bf16::ONE.to_le_bytes();
                }
            }
            Fill::Random => self.random(index, chunk, bytes),
        }
    }

    fn random(&self, index: u64, chunk: u32, bytes: &mut [u8]) {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(index << 32 | u64::from(chunk));
        generator.fill_bytes(bytes);
        for element in bytes.as_chunks_mut().0 {
            let bits = u16::from_le_bytes(*element) >> (16 - TABLE_BITS);
            *element = self.quantiles[usize::from(bits)];
        }
    }
}

/// Quantile of the logistic distribution of unit variance, which is near enough to the normal and has a closed form.
fn quantile(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln() * 3.0_f64.sqrt() / std::f64::consts::PI
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_names() {
        let of = |name| Fill::of(&format!("model.{name}"));
        assert_eq!(of("visual.blocks.0.norm1.weight"), Fill::Ones);
        assert_eq!(of("visual.blocks.0.norm1.bias"), Fill::Zeros);
        assert_eq!(of("language_model.layers.0.input_layernorm.weight"), Fill::Ones);
        assert_eq!(of("language_model.layers.0.self_attn.q_norm.weight"), Fill::Ones);
        assert_eq!(of("language_model.layers.0.mlp.experts.down_proj"), Fill::Random);
        assert_eq!(of("visual.patch_embed.proj.weight"), Fill::Random);
    }

    #[test]
    fn random_weights_are_centred_with_the_right_spread() {
        let mut bytes = vec![0; 1 << 20];
        Weights::new(7).fill(Fill::Random, 3, 0, &mut bytes);
        let values: Vec<f64> = bytes.as_chunks().0.iter().map(|pair| bf16::from_le_bytes(*pair).to_f64()).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        assert!(mean.abs() < 1e-4, "mean {mean}");
        assert!((std - STD).abs() < 2e-4, "std {std}");
    }

    #[test]
    fn parts_differ_and_repeat() {
        let part = |seed, index, chunk| {
            let mut bytes = vec![0; 64];
            Weights::new(seed).fill(Fill::Random, index, chunk, &mut bytes);
            bytes
        };
        assert_eq!(part(1, 2, 3), part(1, 2, 3));
        for other in [part(2, 2, 3), part(1, 3, 3), part(1, 2, 4)] {
            assert_ne!(part(1, 2, 3), other);
        }
    }
}
