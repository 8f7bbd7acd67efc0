//! The result over some of the positions.

use crate::product::Aligned;

/// What query rows have gathered over a stretch of the positions: enough to go on with, or to merge with another's.
pub(super) struct Partial {
    /// Numbers of a row of `sums`.
    pub(super) width: usize,
    /// The largest score of each row, −∞ before there was one.
    pub(super) largest: Vec<f32>,
    /// The sum of each row's e^(score − largest).
    pub(super) totals: Vec<f32>,
    /// The sum of each row's e^(score − largest) · value, [rows, width].
    sums: Aligned,
}

impl Partial {
    /// Nothing yet, for so many rows.
    pub(super) fn new(rows: usize, width: usize) -> Self {
        let mut sums = Aligned::default();
        sums.take(rows * width).fill(0.0);
        Self { width, largest: vec![f32::NEG_INFINITY; rows], totals: vec![0.0; rows], sums }
    }

    /// The sums of values, [rows, width], beside the largest scores and the totals.
    pub(super) fn parts(&mut self) -> (&mut [f32], &mut [f32], &mut [f32]) {
        let sums = self.sums.take(self.largest.len() * self.width);
        (&mut self.largest, &mut self.totals, sums)
    }

    /// What both have gathered, `self` being the earlier.
    pub(super) fn merge(mut self, mut later: Self) -> Self {
        let width = self.width;
        let (largest, totals, sums) = self.parts();
        let (later_largest, later_totals, later_sums) = later.parts();
        for row in 0..totals.len() {
            // A row that saw something has a total of at least 1, or NaN.
            if later_totals[row] == 0.0 {
                continue;
            }
            let top = largest[row].max(later_largest[row]);
            let (factor, later_factor) = ((largest[row] - top).exp(), (later_largest[row] - top).exp());
            largest[row] = top;
            totals[row] = totals[row] * factor + later_totals[row] * later_factor;
            let sums = &mut sums[row * width..][..width];
            for (sum, later) in sums.iter_mut().zip(&later_sums[row * width..]) {
                *sum = *sum * factor + later * later_factor;
            }
        }
        self
    }

    /// Writes the first numbers of each row, as many as fit, divided by the row's total.
    pub(super) fn write(mut self, rows: Vec<&mut [f32]>) {
        let width = self.width;
        let (_, totals, sums) = self.parts();
        for ((out, sums), total) in rows.into_iter().zip(sums.chunks_exact(width)).zip(totals) {
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum / *total);
        }
    }
}
