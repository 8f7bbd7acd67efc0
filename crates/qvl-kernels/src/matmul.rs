//! The products that models and factorisations are made of.

use crate::kernel::{self, Kernel};
use crate::pack::Operand;
use crate::product::{Part, Product, Update};
use crate::{Rows, View, ViewMut};

/// `c` [m, n] = `a` [m, k] · `b`ᵀ, where `b` [n, k] is read a few rows at a time.
///
/// # Panics
/// If `a` or `c` has another length than its shape says.
#[track_caller]
pub fn matmul_rows(a: &[f32], m: usize, k: usize, b: &dyn Rows, n: usize, c: &mut [f32]) {
    expect_shape("a", a.len(), m, k);
    expect_shape("c", c.len(), m, n);
    replace(kernel::best(), View::new(a, m, k), Operand::Source(b), ViewMut::new(c, m, n));
}

/// `c` [m, n] = `a` [m, k] · `b`ᵀ, `b` [n, k].
///
/// # Panics
/// If a matrix has another length than its shape says.
#[track_caller]
pub fn matmul_nt(a: &[f32], b: &[f32], c: &mut [f32], m: usize, n: usize, k: usize) {
    expect_shape("a", a.len(), m, k);
    expect_shape("b", b.len(), n, k);
    expect_shape("c", c.len(), m, n);
    replace(kernel::best(), View::new(a, m, k), Operand::Rows(View::new(b, n, k)), ViewMut::new(c, m, n));
}

/// `c` [m, n] -= `a` [m, k] · `b` [k, n], as blocked factorisations need it.
///
/// # Panics
/// If the shapes do not fit each other, or a view's data is too short for its shape and stride.
#[track_caller]
pub fn matmul_nn_sub(a: View<'_>, b: View<'_>, c: ViewMut<'_>) {
    expect_view("a", a);
    expect_view("b", b);
    expect_view("c", View { data: c.data, rows: c.rows, columns: c.columns, stride: c.stride });
    let fits = a.rows == c.rows && a.columns == b.rows && b.columns == c.columns;
    assert!(
        fits,
        "c [{}, {}] -= a [{}, {}] · b [{}, {}]: the shapes do not fit",
        c.rows, c.columns, a.rows, a.columns, b.rows, b.columns
    );
    subtract(kernel::best(), a, b, c);
}

fn replace(kernel: &Kernel, a: View<'_>, b: Operand<'_>, c: ViewMut<'_>) {
    Product { kernel, a: Operand::Rows(a), b, k: a.columns, update: Update::Replace, part: Part::All }.run(c);
}

fn subtract(kernel: &Kernel, a: View<'_>, b: View<'_>, c: ViewMut<'_>) {
    let (k, b) = (a.columns, Operand::Columns(b));
    Product { kernel, a: Operand::Rows(a), b, k, update: Update::Subtract, part: Part::All }.run(c);
}

/// Panics unless `length` is that of a matrix [rows, columns].
#[track_caller]
pub(crate) fn expect_shape(name: &str, length: usize, rows: usize, columns: usize) {
    let fits = rows.checked_mul(columns) == Some(length);
    assert!(fits, "{name} has {length} numbers, which is not [{rows}, {columns}]");
}

/// Panics if a view reaches beyond its data.
#[track_caller]
fn expect_view(name: &str, View { data, rows, columns, stride }: View<'_>) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(stride >= columns, "{name} has {columns} columns and a stride of {stride}, which is less");
    let end = (rows - 1).checked_mul(stride).and_then(|start| start.checked_add(columns));
    let fits = end.is_some_and(|end| end <= data.len());
    assert!(fits, "{name} has {} numbers, too few for [{rows}, {columns}] with a stride of {stride}", data.len());
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use proptest::prelude::*;

    use super::*;
    use crate::kernel::available;
    use crate::reference::{Element, numbers, shapes};

    /// A matrix that is read.
    struct Stored<'a>(View<'a>);

    impl Rows for Stored<'_> {
        fn read(&self, rows: Range<usize>, out: &mut [f32]) {
            let (k, stride) = (self.0.columns, self.0.stride);
            assert_eq!(out.len(), rows.len() * k);
            for (row, out) in rows.zip(out.chunks_mut(k)) {
                out.copy_from_slice(&self.0.data[row * stride..][..k]);
            }
        }
    }

    /// Numbers for a matrix whose rows are `stride` apart.
    fn data(rows: usize, stride: usize, seed: u32) -> Vec<f32> {
        numbers(rows * stride, seed)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn products_are_near_double_precision((m, n, k) in shapes(), pad in 0..3usize, seed: u32) {
            let (a, b) = (data(m, k + pad, seed), data(n, k + 2 * pad, !seed));
            let (a, b) = (View { stride: k + pad, ..View::new(&a, m, k) }, View { stride: k + 2 * pad, ..View::new(&b, n, k) });
            for kernel in available() {
                let (mut stored, mut read) = (vec![f32::NAN; m * n], vec![f32::NAN; m * n]);
                replace(kernel, a, Operand::Rows(b), ViewMut::new(&mut stored, m, n));
                replace(kernel, a, Operand::Source(&Stored(b)), ViewMut::new(&mut read, m, n));
                prop_assert_eq!(&stored, &read, "{}", kernel.name);
                for (at, &got) in stored.iter().enumerate() {
                    let (i, j) = (at / n, at % n);
                    let mut expected = Element::default();
                    (0..k).for_each(|p| expected.add(f64::from(a.data[i * a.stride + p]) * f64::from(b.data[j * b.stride + p])));
                    prop_assert!(expected.is_near(got, k), "{} ({i}, {j}): {got}, not {}", kernel.name, expected.value);
                }
            }
        }

        #[test]
        fn differences_are_near_double_precision((m, n, k) in shapes(), pad in 0..3usize, seed: u32) {
            let (a, b, c) = (data(m, k + pad, seed), data(k, n + 2 * pad, !seed), data(m, n + pad, seed ^ 0x5555));
            let (a, b) = (View { stride: k + pad, ..View::new(&a, m, k) }, View { stride: n + 2 * pad, ..View::new(&b, k, n) });
            for kernel in available() {
                let mut result = c.clone();
                subtract(kernel, a, b, ViewMut { stride: n + pad, ..ViewMut::new(&mut result, m, n) });
                for (at, (&got, &before)) in result.iter().zip(&c).enumerate() {
                    let (i, j) = (at / (n + pad), at % (n + pad));
                    if j >= n {
                        prop_assert_eq!(got, before, "{}: padding at ({}, {})", kernel.name, i, j);
                        continue;
                    }
                    let mut expected = Element::default();
                    expected.add(f64::from(before));
                    (0..k).for_each(|p| expected.add(-f64::from(a.data[i * a.stride + p]) * f64::from(b.data[p * b.stride + j])));
                    prop_assert!(expected.is_near(got, k + 1), "{} ({i}, {j}): {got}, not {}", kernel.name, expected.value);
                }
            }
        }
    }

    /// More rows than are packed at once, and so few columns that the rows are shared out.
    #[test]
    fn tall_products_are_products_of_their_rows() {
        let (m, n, k) = (5000, 40, 1024);
        let (a, b) = (numbers(m * k, 1), numbers(n * k, 2));
        for kernel in available() {
            let (mut whole, mut alone) = (vec![0.0; m * n], vec![0.0; n]);
            let b = View::new(&b, n, k);
            replace(kernel, View::new(&a, m, k), Operand::Rows(b), ViewMut::new(&mut whole, m, n));
            for row in [0, 1, 1234, 4095, 4096, 4999] {
                let a = View::new(&a[row * k..][..k], 1, k);
                replace(kernel, a, Operand::Rows(b), ViewMut::new(&mut alone, 1, n));
                assert_eq!(whole[row * n..][..n], alone, "{}: row {row}", kernel.name);
            }
        }
    }
}
