//! Sums of outer products, from which calibration learns how inputs vary together.

use crate::kernel::{self, Kernel, LINES};
use crate::matmul::expect_shape;
use crate::pack::Operand;
use crate::pool::for_each;
use crate::product::{Part, Product, Update};
use crate::{View, ViewMut};

/// Rows of x that are added at once: what is packed is bounded, however many there are.
const ROWS: usize = 4096;

/// Rows that are copied over the diagonal by one thread at once.
const MIRRORED: usize = 32;

/// A triangle with fewer rows than this is copied by one thread.
const SMALL: usize = 64;

/// `out` [n, n] += Σ over r of `weights[r]` · x_rᵀ x_r, where x_r is row r of `x` [weights.len(), n].
///
/// `out` must be symmetric, as zeros and earlier sums are: what is above its diagonal is not read but replaced by what is
/// below, so the result is symmetric to the last bit.
///
/// # Panics
/// If `x` or `out` has another length than its shape says.
#[track_caller]
pub fn add_gram(x: &[f32], weights: &[f32], n: usize, out: &mut [f32]) {
    expect_shape("x", x.len(), weights.len(), n);
    expect_shape("out", out.len(), n, n);
    add(kernel::best(), x, weights, n, out);
}

fn add(kernel: &Kernel, x: &[f32], weights: &[f32], n: usize, out: &mut [f32]) {
    if n == 0 {
        return;
    }
    for (x, weights) in x.chunks(ROWS * n).zip(weights.chunks(ROWS)) {
        let k = weights.len();
        let view = View::new(x, k, n);
        let (a, b) = (Operand::Weighted(view, weights), Operand::Columns(view));
        Product { kernel, a, b, k, update: Update::Add, part: Part::Lower }.run(ViewMut::new(out, n, n));
    }
    mirror(kernel, out, n, 0);
}

/// Copies what is below the diagonal above it, for the square whose rows are `rows` [size, n] and whose diagonal begins
/// at column `first`.
fn mirror(kernel: &Kernel, rows: &mut [f32], n: usize, first: usize) {
    let size = rows.len() / n;
    if size <= SMALL {
        for i in 0..size {
            for j in 0..i {
                rows[j * n + first + i] = rows[i * n + first + j];
            }
        }
        return;
    }
    let half = size / 2;
    let (top, bottom) = rows.split_at_mut(half * n);
    for_each(top.chunks_mut(MIRRORED * n).enumerate(), |(chunk, top)| {
        transpose(kernel, bottom, first + chunk * MIRRORED, top, first + half, n);
    });
    mirror(kernel, top, n, first);
    mirror(kernel, bottom, n, first + half);
}

/// Copies columns of all rows of `from` [rows, n], from `column` on, to the rows of `to` [columns, n] from `at` on.
fn transpose(kernel: &Kernel, from: &[f32], column: usize, to: &mut [f32], at: usize, n: usize) {
    let count = to.len() / n;
    for (block, rows) in from.chunks(LINES * n).enumerate() {
        let to = &mut to[at + block * LINES..];
        if rows.len() == LINES * n {
            kernel.interleave(std::array::from_fn(|i| &rows[i * n + column..][..count]), to, n);
            continue;
        }
        for (i, row) in rows.chunks_exact(n).enumerate() {
            to[i..].iter_mut().step_by(n).zip(&row[column..][..count]).for_each(|(to, x)| *to = *x);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::available;
    use crate::reference::{Element, numbers};

    /// `rows` rows of `n` numbers and their weights.
    fn inputs(rows: usize, n: usize, seed: u32) -> (Vec<f32>, Vec<f32>) {
        (numbers(rows * n, seed), numbers(rows, !seed))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn sums_are_near_double_precision(rows in 0..=450usize, n in 0..=150usize, seed: u32) {
            let (x, weights) = inputs(rows, n, seed);
            for kernel in available() {
                let before: Vec<f32> = (0..n * n).map(|at| ((at / n) * (at % n)) as f32 / 100.0).collect();
                let mut out = before.clone();
                add(kernel, &x, &weights, n, &mut out);
                for (at, &got) in out.iter().enumerate() {
                    let (i, j) = (at / n, at % n);
                    let mut expected = Element::default();
                    expected.add(f64::from(before[at]));
                    x.chunks(n).zip(&weights).for_each(|(x, &w)| expected.add(f64::from(w) * f64::from(x[i]) * f64::from(x[j])));
                    prop_assert!(expected.is_near(got, rows + 2), "{} ({i}, {j}): {got}, not {}", kernel.name, expected.value);
                    prop_assert_eq!(got, out[j * n + i], "{}: not symmetric", kernel.name);
                }
            }
        }
    }

    #[test]
    fn many_rows_are_the_sum_of_their_stretches() {
        let (rows, n) = (ROWS + 500, 70);
        let (x, weights) = inputs(rows, n, 3);
        for kernel in available() {
            let (mut once, mut twice) = (vec![0.0; n * n], vec![0.0; n * n]);
            add(kernel, &x, &weights, n, &mut once);
            let ((first, second), (w1, w2)) = (x.split_at(ROWS * n), weights.split_at(ROWS));
            add(kernel, first, w1, n, &mut twice);
            add(kernel, second, w2, n, &mut twice);
            assert_eq!(once, twice, "{}", kernel.name);
        }
    }

    #[test]
    fn triangles_are_mirrored() {
        for kernel in available() {
            for n in [1, 63, 64, 65, 130, 257] {
                let mut out: Vec<f32> = (0..n * n).map(|at| if at / n >= at % n { at as f32 } else { -1.0 }).collect();
                mirror(kernel, &mut out, n, 0);
                for (at, &got) in out.iter().enumerate() {
                    let (i, j) = ((at / n).max(at % n), (at / n).min(at % n));
                    assert_eq!(got, (i * n + j) as f32, "{} n {n} at {at}", kernel.name);
                }
            }
        }
    }
}
