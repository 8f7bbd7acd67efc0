//! GPTQ: codes one column after another, each column's error made up for by the columns that are still to come
//! (Frantar et al. 2022, arXiv 2210.17323).
//!
//! Columns that meet the largest inputs come first (activation order). The blocks' scales are fixed beforehand from the
//! weights as they were (static groups), so that the columns can be stored in their own order.

use rayon::prelude::*;

use qvl_kernels::{View, ViewMut, matmul_nn_sub};

use super::inverse::inverse_factor;
use super::target::Target;
use crate::ExportError;
use crate::quantize::{BlockFormat, Blocks, Loss};

/// Columns whose errors are gathered before the rest of the row gets them.
const LAZY: usize = 128;

/// Rows that a thread does at once.
const STRIPE: usize = 32;

/// How the error of a column is spread over the later ones.
pub(super) struct Factor {
    /// Upper triangular [n, n], in the order of work.
    u: Vec<f32>,
    /// Columns in the order of work.
    order: Vec<usize>,
}

impl Factor {
    /// From `gram`, `Σ xᵀx` over the inputs x of n numbers.
    pub(super) fn new(mut gram: Vec<f32>, n: usize) -> Self {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| gram[b * n + b].total_cmp(&gram[a * n + a]));
        permute(&mut gram, &order);
        Self { u: inverse_factor(gram, n), order }
    }

    /// Quantises the rows of `target`.
    ///
    /// # Errors
    /// If a weight is not finite.
    pub(super) fn quantize(&self, target: &Target<'_>, format: BlockFormat) -> Result<Blocks, ExportError> {
        let columns = self.order.len();
        let mut blocks = Blocks::new(format, target.rows.len(), columns);
        let [codes, scales, zero_points] = format.row_bytes(columns);
        let stripes = blocks
            .codes
            .par_chunks_mut(STRIPE * codes)
            .zip(blocks.scales.par_chunks_mut(STRIPE * scales))
            .zip(chunks_or_empty(&mut blocks.zero_points, STRIPE * zero_points, target.rows.len().div_ceil(STRIPE)))
            .enumerate();
        let losses: Result<Vec<Loss>, ExportError> = stripes
            .map(|(index, ((codes_out, scales_out), zero_points_out))| {
                let first = index * STRIPE;
                let rows = first..target.rows.len().min(first + STRIPE);
                let original = target.read(rows.clone())?;
                let row_scales: Vec<_> = original.chunks_exact(columns).map(|row| format.scales_of(row)).collect();
                let found = self.codes(&original, &row_scales, format);
                let mut loss = Loss::default();
                for (row, (original, found)) in
                    original.chunks_exact(columns).zip(found.chunks_exact(columns)).enumerate()
                {
                    loss += format.store_row(
                        original,
                        found,
                        &row_scales[row],
                        &mut codes_out[row * codes..][..codes],
                        &mut scales_out[row * scales..][..scales],
                        &mut zero_points_out[row * zero_points..][..zero_points],
                    );
                }
                Ok(loss)
            })
            .collect();
        blocks.loss = losses?.into_iter().sum();
        Ok(blocks)
    }

    /// The codes of rows, in the columns' own order.
    fn codes(&self, original: &[f32], scales: &[Vec<crate::quantize::Scale>], format: BlockFormat) -> Vec<f32> {
        let n = self.order.len();
        let mut w: Vec<f32> =
            original.chunks_exact(n).flat_map(|row| self.order.iter().map(move |&column| row[column])).collect();
        let mut codes = vec![0.0; original.len()];
        let mut errors = vec![0.0; scales.len() * LAZY];
        for start in (0..n).step_by(LAZY) {
            let end = n.min(start + LAZY);
            let width = end - start;
            for (row, w) in w.chunks_exact_mut(n).enumerate() {
                let errors = &mut errors[row * width..][..width];
                for i in start..end {
                    let column = self.order[i];
                    let scale = scales[row][column / format.size];
                    let code = format.code(w[i], scale);
                    codes[row * n + column] = code;
                    let line = &self.u[i * n..][..end];
                    let error = (w[i] - (code - scale.zero_point) * scale.scale) / line[i];
                    errors[i - start] = error;
                    w[i + 1..end].iter_mut().zip(&line[i + 1..]).for_each(|(w, u)| *w -= error * u);
                }
            }
            if end < n {
                matmul_nn_sub(
                    View::new(&errors[..scales.len() * width], scales.len(), width),
                    View { data: &self.u[start * n + end..], rows: width, columns: n - end, stride: n },
                    ViewMut { data: &mut w[end..], rows: scales.len(), columns: n - end, stride: n },
                );
            }
        }
        codes
    }
}

/// Puts rows and columns of `a` [n, n] into this order, in place: `a` is the largest thing that calibration holds.
fn permute(a: &mut [f32], order: &[usize]) {
    let n = order.len();
    a.par_chunks_exact_mut(n.max(1)).for_each_init(
        || vec![0.0; n],
        |old, row| {
            old.copy_from_slice(row);
            row.iter_mut().zip(order).for_each(|(value, &column)| *value = old[column]);
        },
    );
    let mut done = vec![false; n];
    let mut first = vec![0.0; n];
    for start in 0..n {
        if done[start] {
            continue;
        }
        first.copy_from_slice(&a[start * n..][..n]);
        let mut row = start;
        while order[row] != start {
            a.copy_within(order[row] * n..(order[row] + 1) * n, row * n);
            done[row] = true;
            row = order[row];
        }
        a[row * n..][..n].copy_from_slice(&first);
        done[row] = true;
    }
}

/// `count` chunks of `data`, empty ones where `data` is empty.
fn chunks_or_empty(data: &mut [u8], size: usize, count: usize) -> Vec<&mut [u8]> {
    if size == 0 {
        return (0..count).map(|_| <&mut [u8]>::default()).collect();
    }
    data.chunks_mut(size).collect()
}

#[cfg(test)]
mod tests {
    use qvl_package::Method;

    use super::*;

    const N: usize = 96;

    /// Numbers around zero from a fixed seed.
    fn numbers(count: usize, mut state: u32) -> Vec<f32> {
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 - 0.5
        };
        (0..count).map(next).collect()
    }

    /// Inputs that hang together and differ in size, as `Σ xᵀx`.
    fn gram() -> Vec<f32> {
        let (base, mixing) = (numbers(400 * 12, 7), numbers(12 * N, 8));
        let noise = numbers(400 * N, 9);
        let mut gram = vec![0.0; N * N];
        for row in 0..400 {
            let value = |i: usize| {
                let shared: f32 = (0..12).map(|k| base[row * 12 + k] * mixing[k * N + i]).sum();
                (shared + 0.1 * noise[row * N + i]) * (1.0 + i as f32 / 10.0)
            };
            let x: Vec<f32> = (0..N).map(value).collect();
            for i in 0..N {
                for j in 0..N {
                    gram[i * N + j] += x[i] * x[j];
                }
            }
        }
        gram
    }

    /// `Σ Δ·G·Δᵀ` of rows.
    fn change(
        weights: &[f32],
        codes: &[f32],
        scales: &[Vec<crate::quantize::Scale>],
        size: usize,
        gram: &[f32],
    ) -> f64 {
        let mut sum = 0.0;
        for (row, scales) in scales.iter().enumerate() {
            let difference = |i: usize| {
                let scale = scales[i / size];
                f64::from((codes[row * N + i] - scale.zero_point) * scale.scale - weights[row * N + i])
            };
            let differences: Vec<f64> = (0..N).map(difference).collect();
            for i in 0..N {
                sum += differences[i] * (0..N).map(|j| f64::from(gram[i * N + j]) * differences[j]).sum::<f64>();
            }
        }
        sum
    }

    /// The method as its authors derive it (Optimal Brain Quantization with a fixed order): after each column the
    /// inverse loses that column, in double precision.
    fn by_elimination(
        weights: &[f32],
        scales: &[crate::quantize::Scale],
        format: BlockFormat,
        factor: &Factor,
    ) -> Vec<f32> {
        // The inverse from its factor: Uᵀ·U.
        let u = |i: usize, j: usize| f64::from(factor.u[i * N + j]);
        let mut inverse = vec![0.0; N * N];
        for i in 0..N {
            for j in 0..N {
                inverse[i * N + j] = (0..=i.min(j)).map(|k| u(k, i) * u(k, j)).sum();
            }
        }
        let mut w: Vec<f64> = factor.order.iter().map(|&column| f64::from(weights[column])).collect();
        let mut codes = vec![0.0; N];
        for i in 0..N {
            let column = factor.order[i];
            let scale = scales[column / format.size];
            codes[column] = format.code(w[i] as f32, scale);
            let error = (w[i] - f64::from((codes[column] - scale.zero_point) * scale.scale)) / inverse[i * N + i];
            for j in i..N {
                w[j] -= error * inverse[i * N + j];
            }
            let line: Vec<f64> = inverse[i * N..][..N].to_vec();
            for a in i..N {
                for b in i..N {
                    inverse[a * N + b] -= line[a] * line[b] / line[i];
                }
            }
        }
        codes
    }

    #[test]
    fn rows_and_columns_change_places_together() {
        let order = [2, 0, 1, 3, 5, 4];
        let mut a: Vec<f32> = (0..36).map(|i| i as f32).collect();
        permute(&mut a, &order);
        for (i, row) in order.iter().enumerate() {
            for (j, column) in order.iter().enumerate() {
                assert_eq!(a[i * 6 + j], (row * 6 + column) as f32);
            }
        }
    }

    #[test]
    fn codes_are_those_of_the_derivation_and_change_outputs_less_than_rounding() {
        for symmetric in [true, false] {
            let format = BlockFormat { bits: 4, size: 32, symmetric, method: Method::Gptq, accuracy_level: 0 };
            let weights = numbers(40 * N, 3);
            let scales: Vec<_> = weights.chunks_exact(N).map(|row| format.scales_of(row)).collect();
            let factor = Factor::new(gram(), N);
            let codes = factor.codes(&weights, &scales, format);

            let other: Vec<f32> = weights
                .chunks_exact(N)
                .zip(&scales)
                .flat_map(|(row, scales)| by_elimination(row, scales, format, &factor))
                .collect();
            let equal = codes.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!(equal * 100 >= codes.len() * 98, "{equal} of {}", codes.len());

            let plain: Vec<f32> =
                (0..codes.len()).map(|i| format.code(weights[i], scales[i / N][i % N / 32])).collect();
            let (fitted, rounded) =
                (change(&weights, &codes, &scales, 32, &gram()), change(&weights, &plain, &scales, 32, &gram()));
            assert!(fitted < 0.3 * rounded, "{fitted} against {rounded}");
        }
    }
}
