//! What quantisation loses.

use std::iter::Sum;
use std::ops::AddAssign;

use super::{LANES, Scale};

/// Squared error of quantised values and the sum of their squares before.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Loss {
    /// `Σ (w − ŵ)²`.
    pub(super) error: f64,
    /// `Σ w²`.
    pub(super) energy: f64,
}

impl Loss {
    /// `Σ (w − ŵ)² / Σ w²`; zero where all weights are.
    pub(crate) fn relative(&self) -> f64 {
        if self.energy > 0.0 { self.error / self.energy } else { 0.0 }
    }

    /// [`Loss::relative`] to four digits: threads add up in any order, and what that changes lies far behind.
    pub(crate) fn relative_rounded(&self) -> f64 {
        let relative = self.relative();
        format!("{relative:.3e}").parse().unwrap_or(relative)
    }
}

impl AddAssign for Loss {
    fn add_assign(&mut self, other: Self) {
        self.error += other.error;
        self.energy += other.energy;
    }
}

impl Sum for Loss {
    fn sum<I: Iterator<Item = Self>>(losses: I) -> Self {
        losses.fold(Self::default(), |mut sum, loss| {
            sum += loss;
            sum
        })
    }
}

/// What a block lost: `codes` are whole numbers.
pub(super) fn block_loss(values: &[f32], codes: &[f32], scale: Scale) -> Loss {
    let mut error = [0.0_f64; LANES];
    let mut energy = [0.0_f64; LANES];
    for (values, codes) in values.chunks_exact(LANES).zip(codes.chunks_exact(LANES)) {
        for lane in 0..LANES {
            let value = f64::from(values[lane]);
            let off = value - f64::from((codes[lane] - scale.zero_point) * scale.scale);
            error[lane] += off * off;
            energy[lane] += value * value;
        }
    }
    Loss { error: error.iter().sum(), energy: energy.iter().sum() }
}
