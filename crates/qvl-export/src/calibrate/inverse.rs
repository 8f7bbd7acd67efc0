//! The triangular factor of an inverse, by which GPTQ feeds errors forward.

use qvl_kernels::{View, ViewMut, matmul_nn_sub};
use rayon::prelude::*;

/// Rows and columns of the blocks in which matrices are factored.
const BLOCK: usize = 64;

/// Part of the mean of the diagonal that is added to it, as in the reference (Frantar et al. 2022, arXiv 2210.17323, §3.3).
const DAMPING: f64 = 0.01;

/// The upper triangular U with `UᵀU = H⁻¹` for the symmetric positive semidefinite `h` [n, n], which is overwritten.
///
/// A hundredth of the diagonal's mean is added to the diagonal first, and ten times as much again for as long as rounding
/// leaves the sum not positive definite. Columns that never met anything but zero get the mean.
///
/// With all indices in reverse order H is L·Lᵀ, and U is the inverse of L, again in reverse order: one factorisation and
/// one inversion of a triangle.
pub(super) fn inverse_factor(mut h: Vec<f32>, n: usize) -> Vec<f32> {
    let mean = (0..n).map(|i| f64::from(h[i * n + i])).sum::<f64>() / n.max(1) as f64;
    let mean = if mean.is_finite() && mean > 0.0 { mean } else { 1.0 };
    h.reverse();
    let diagonal: Vec<f32> = (0..n).map(|i| h[i * n + i]).collect();
    let mut damping = DAMPING * mean;
    loop {
        for (i, &value) in diagonal.iter().enumerate() {
            let value = if value > 0.0 { f64::from(value) } else { mean };
            h[i * n + i] = (value + damping) as f32;
        }
        if factor(&mut h, n) {
            break;
        }
        // The upper triangle is as it was; the lower one is made from it anew.
        mirror(&mut h, n);
        damping *= 10.0;
    }
    for (i, row) in h.chunks_exact_mut(n.max(1)).enumerate() {
        row[i + 1..].fill(0.0);
    }
    invert(&mut h, n);
    h.reverse();
    h
}

/// Copies the strict upper triangle onto the lower one.
fn mirror(a: &mut [f32], n: usize) {
    for i in 0..n {
        for j in 0..i {
            a[i * n + j] = a[j * n + i];
        }
    }
}

/// Puts L with `L·Lᵀ = A` in the place of the lower triangle of `a` [n, n]; false if A is not positive definite.
fn factor(a: &mut [f32], n: usize) -> bool {
    for start in (0..n).step_by(BLOCK) {
        let end = n.min(start + BLOCK);
        let width = end - start;
        if !factor_block(&mut a[start * n..end * n], n, start) {
            return false;
        }
        let (done, below) = a.split_at_mut(end * n);
        let block = &done[start * n..];
        below.par_chunks_exact_mut(n).for_each(|row| solve_row(row, block, n, start..end));
        // What is left of A loses panel · panelᵀ.
        let rows = n - end;
        let mut panel = vec![0.0; rows * width];
        let mut transposed = vec![0.0; width * rows];
        for (i, row) in below.chunks_exact(n).enumerate() {
            panel[i * width..][..width].copy_from_slice(&row[start..end]);
            for (j, &value) in row[start..end].iter().enumerate() {
                transposed[j * rows + i] = value;
            }
        }
        below.par_chunks_mut(BLOCK * n).enumerate().for_each(|(i, chunk)| {
            let first = i * BLOCK;
            let count = chunk.len() / n;
            let columns = first + count;
            let panel = &panel[first * width..][..count * width];
            matmul_nn_sub(
                View::new(panel, count, width),
                View { data: &transposed, rows: width, columns, stride: rows },
                ViewMut { data: &mut chunk[end..], rows: count, columns, stride: n },
            );
        });
    }
    true
}

/// Factors the diagonal block that begins at column `start`; `rows` are the block's rows.
fn factor_block(rows: &mut [f32], n: usize, start: usize) -> bool {
    for i in 0..rows.len() / n {
        for j in 0..=i {
            let mut sum = f64::from(rows[i * n + start + j]);
            for k in 0..j {
                sum -= f64::from(rows[i * n + start + k]) * f64::from(rows[j * n + start + k]);
            }
            if i == j {
                if !(sum > 0.0 && sum.is_finite()) {
                    return false;
                }
                rows[i * n + start + i] = sum.sqrt() as f32;
            } else {
                rows[i * n + start + j] = (sum / f64::from(rows[j * n + start + j])) as f32;
            }
        }
    }
    true
}

/// Solves for a row of the panel below a factored block.
fn solve_row(row: &mut [f32], block: &[f32], n: usize, columns: std::ops::Range<usize>) {
    for j in columns.clone() {
        let line = &block[(j - columns.start) * n..];
        let known: f32 = (columns.start..j).map(|k| row[k] * line[k]).sum();
        row[j] = (row[j] - known) / line[j];
    }
}

/// Inverts the lower triangular `a` [n, n] in place; its strict upper triangle is zero.
fn invert(a: &mut [f32], n: usize) {
    for start in (0..n).step_by(BLOCK) {
        let end = n.min(start + BLOCK);
        let width = end - start;
        let (above, rest) = a.split_at_mut(start * n);
        let rows = &mut rest[..width * n];
        let own = inverse_of_block(rows, n, start);
        // The block's row of the inverse is −own · (its row of L) · (the inverse above it).
        let line: Vec<f32> = rows.chunks_exact(n).flat_map(|row| &row[..start]).copied().collect();
        let mut product = vec![0.0; width * start];
        matmul_nn_sub(
            View::new(&line, width, start),
            View { data: above, rows: start, columns: start, stride: n },
            ViewMut::new(&mut product, width, start),
        );
        let negated: Vec<f32> = own.iter().map(|value| -value).collect();
        for row in rows.chunks_exact_mut(n) {
            row[..start].fill(0.0);
        }
        matmul_nn_sub(
            View::new(&negated, width, width),
            View::new(&product, width, start),
            ViewMut { data: &mut *rows, rows: width, columns: start, stride: n },
        );
        for (row, own) in rows.chunks_exact_mut(n).zip(own.chunks_exact(width)) {
            row[start..end].copy_from_slice(own);
        }
    }
}

/// The inverse of the lower triangular block at column `start`.
fn inverse_of_block(rows: &[f32], n: usize, start: usize) -> Vec<f32> {
    let width = rows.len() / n;
    let at = |i: usize, j: usize| f64::from(rows[i * n + start + j]);
    let mut inverse = vec![0.0_f64; width * width];
    for j in 0..width {
        inverse[j * width + j] = 1.0 / at(j, j);
        for i in j + 1..width {
            let sum: f64 = (j..i).map(|k| at(i, k) * inverse[k * width + j]).sum();
            inverse[i * width + j] = -sum / at(i, i);
        }
    }
    inverse.into_iter().map(|value| value as f32).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `XᵀX` for numbers from a seed.
    fn gram(n: usize, rows: usize, seed: u32) -> Vec<f32> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 - 0.5
        };
        let x: Vec<f32> = (0..rows * n).map(|_| next()).collect();
        let mut h = vec![0.0; n * n];
        for row in x.chunks_exact(n) {
            for i in 0..n {
                for j in 0..n {
                    h[i * n + j] += row[i] * row[j];
                }
            }
        }
        h
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_factor_is_that_of_the_damped_inverse(n in 1_usize..150, seed in any::<u32>()) {
            let h = gram(n, 2 * n, seed);
            let mean = (0..n).map(|i| f64::from(h[i * n + i])).sum::<f64>() / n as f64;
            let u = inverse_factor(h.clone(), n);
            // U · (H + λ) · Uᵀ is the unit matrix.
            for i in [0, n / 3, n - 1] {
                for j in [0, n / 2, n - 1] {
                    prop_assert!(j >= i || u[i * n + j] == 0.0);
                    let mut sum = 0.0;
                    for k in 0..n {
                        for l in 0..n {
                            let damped = f64::from(h[k * n + l]) + if k == l { DAMPING * mean } else { 0.0 };
                            sum += f64::from(u[i * n + k]) * damped * f64::from(u[j * n + l]);
                        }
                    }
                    let expected = if i == j { 1.0 } else { 0.0 };
                    prop_assert!((sum - expected).abs() < 2e-3, "{sum} at {i}, {j} of {n}");
                }
            }
        }
    }

    #[test]
    fn columns_that_met_nothing_and_fewer_rows_than_columns_do_no_harm() {
        let mut h = gram(90, 7, 3);
        for i in 0..90 {
            h[i * 90 + 40] = 0.0;
            h[40 * 90 + i] = 0.0;
        }
        let u = inverse_factor(h, 90);
        assert!(u.iter().all(|value| value.is_finite()));
        assert!((0..90).all(|i| u[i * 90 + i] > 0.0));
    }
}
