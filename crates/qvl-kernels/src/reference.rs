//! What the tests compare with: products in double precision, element by element.

use proptest::prelude::*;

/// An element of a result in double precision, and how large what was added for it is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Element {
    pub(crate) value: f64,
    pub(crate) size: f64,
}

impl Element {
    pub(crate) fn add(&mut self, value: f64) {
        self.value += value;
        self.size += value.abs();
    }

    /// Whether `got` is as near as a sum of `terms` float32 numbers must be, in any order: Higham, "Accuracy and
    /// Stability of Numerical Algorithms", 2nd edition, section 4.2, with room for the rounding of each product.
    pub(crate) fn is_near(&self, got: f32, terms: usize) -> bool {
        let unit = f64::from(f32::EPSILON) / 2.0;
        (f64::from(got) - self.value).abs() <= (terms + 3) as f64 * unit * self.size
    }
}

/// `length` numbers between -1 and 1 that look like chance and are the same for the same seed.
pub(crate) fn numbers(length: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Shapes (m, n, k): small ones with all kinds of edges, and deep ones whose sums are cut into stretches.
pub(crate) fn shapes() -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![3 => (0..=130usize, 0..=130usize, 0..=130usize), 1 => (1..=20usize, 1..=40usize, 380..=1200usize)]
}
