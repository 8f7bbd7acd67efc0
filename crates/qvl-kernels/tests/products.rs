//! The products through the crate's public face.
#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::ops::Range;
use std::panic::catch_unwind;

use qvl_kernels::{Rows, ThreadPool, View, ViewMut, add_gram, matmul_nn_sub, matmul_nt, matmul_rows};

/// Row i is i everywhere.
struct Counted;

impl Rows for Counted {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let k = out.len() / rows.len();
        rows.zip(out.chunks_mut(k)).for_each(|(row, out)| out.fill(row as f32));
    }
}

/// Numbers of both signs that float32 sums in another order would round in another way.
fn numbers(length: usize, seed: usize) -> Vec<f32> {
    (0..length).map(|i| ((i * 7919 + seed * 104_729) % 10_007) as f32 / 5003.0 - 1.0).collect()
}

/// All products of two matrices, one after another.
fn results(m: usize, n: usize, k: usize) -> Vec<f32> {
    let (a, b) = (numbers(m * k, 1), numbers(n * k, 2));
    let (mut c, mut d, mut read) = (vec![0.0; m * n], numbers(m * n, 3), vec![0.0; m * n]);
    matmul_nt(&a, &b, &mut c, m, n, k);
    matmul_nn_sub(View::new(&a, m, k), View::new(&b, k, n), ViewMut::new(&mut d, m, n));
    matmul_rows(&a, m, k, &Counted, n, &mut read);
    let mut gram = vec![0.0; n * n];
    add_gram(&b, &numbers(k, 4), n, &mut gram);
    [c, d, read, gram].concat()
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let with = |threads| {
        let pool = ThreadPool::new(threads).unwrap();
        pool.install(|| results(150, 333, 1000))
    };
    let one = with(1);
    for threads in [2, 5] {
        let differences = with(threads).iter().zip(&one).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        assert_eq!(differences, 0, "{threads} threads");
    }
}

#[test]
fn rows_are_read_where_they_belong() {
    let (m, n, k) = (3, 1000, 5);
    let mut c = vec![f32::NAN; m * n];
    matmul_rows(&vec![1.0; m * k], m, k, &Counted, n, &mut c);
    c.chunks(n).for_each(|c| c.iter().enumerate().for_each(|(j, c)| assert_eq!(*c, (j * k) as f32)));
}

#[test]
fn sums_of_nothing_are_zero() {
    let mut c = [f32::NAN; 6];
    matmul_nt(&[], &[], &mut c, 2, 3, 0);
    assert_eq!(c, [0.0; 6]);
    let mut c = [f32::NAN; 6];
    matmul_rows(&[], 2, 0, &Counted, 3, &mut c);
    assert_eq!(c, [0.0; 6]);
}

#[test]
fn subtracting_nothing_changes_nothing() {
    let mut c = [1.0, 2.0];
    matmul_nn_sub(View::new(&[], 2, 0), View::new(&[], 0, 1), ViewMut::new(&mut c, 2, 1));
    assert_eq!(c, [1.0, 2.0]);
    add_gram(&[], &[], 1, &mut c[..1]);
    assert_eq!(c, [1.0, 2.0]);
}

#[test]
fn results_without_elements_are_left_alone() {
    matmul_nt(&[], &[1.0, 2.0], &mut [], 0, 1, 2);
    matmul_nt(&[1.0, 2.0], &[], &mut [], 1, 0, 2);
    matmul_rows(&[1.0, 2.0], 1, 2, &Counted, 0, &mut []);
    matmul_nn_sub(View::new(&[], 0, 2), View::new(&[1.0, 2.0], 2, 1), ViewMut::new(&mut [], 0, 1));
    add_gram(&[], &[1.0], 0, &mut []);
}

#[test]
fn what_is_not_a_number_stays_in_its_row_and_column() {
    let (m, n, k) = (20, 40, 30);
    for (bad, zero) in [(f32::NAN, 1.0), (f32::INFINITY, 0.0)] {
        let (mut a, mut b, mut c) = (vec![1.0; m * k], vec![1.0; n * k], vec![0.0; m * n]);
        a[7 * k + 29] = bad;
        b[33 * k + 29] = zero;
        matmul_nt(&a, &b, &mut c, m, n, k);
        for (at, c) in c.iter().enumerate() {
            let (i, j) = (at / n, at % n);
            match i {
                7 if bad.is_nan() || j == 33 => assert!(c.is_nan(), "({i}, {j})"),
                7 => assert_eq!(*c, bad, "({i}, {j})"),
                _ => assert!(c.is_finite(), "({i}, {j})"),
            }
        }
    }
}

#[test]
fn gram_carries_what_is_not_a_number() {
    let (n, mut x) = (40, vec![1.0; 2 * 40]);
    x[n + 5] = f32::INFINITY;
    x[n + 6] = f32::NAN;
    let mut out = vec![0.0; n * n];
    add_gram(&x, &[1.0, 1.0], n, &mut out);
    for (at, out) in out.iter().enumerate() {
        let (i, j) = (at / n, at % n);
        match (i == 6 || j == 6, i == 5 || j == 5) {
            (true, _) => assert!(out.is_nan(), "({i}, {j})"),
            (false, true) => assert_eq!(*out, f32::INFINITY, "({i}, {j})"),
            (false, false) => assert_eq!(*out, 2.0, "({i}, {j})"),
        }
    }
}

/// The text of the panic of `f`.
fn panic_of(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
    *catch_unwind(f).unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn wrong_lengths_are_named() {
    let text = panic_of(|| matmul_nt(&[1.0; 5], &[1.0; 6], &mut [0.0; 4], 2, 2, 3));
    assert_eq!(text, "a has 5 numbers, which is not [2, 3]");
    let text = panic_of(|| matmul_rows(&[1.0; 6], 2, 3, &Counted, 2, &mut [0.0; 3]));
    assert_eq!(text, "c has 3 numbers, which is not [2, 2]");
    let text = panic_of(|| add_gram(&[1.0; 6], &[1.0; 4], 2, &mut [0.0; 4]));
    assert_eq!(text, "x has 6 numbers, which is not [4, 2]");
    let text = panic_of(|| matmul_nt(&[], &[], &mut [], usize::MAX, 1, usize::MAX));
    assert_eq!(text, format!("a has 0 numbers, which is not [{0}, {0}]", usize::MAX));
}

#[test]
fn wrong_views_are_named() {
    let view = |rows, columns, stride| View { data: &[1.0; 6], rows, columns, stride };
    let sub = |a: View<'_>, b: View<'_>| matmul_nn_sub(a, b, ViewMut::new(&mut [0.0; 4], 2, 2));
    let text = panic_of(|| sub(view(2, 3, 2), view(3, 2, 2)));
    assert_eq!(text, "a has 3 columns and a stride of 2, which is less");
    let text = panic_of(|| sub(view(2, 3, 3), view(3, 2, 3)));
    assert_eq!(text, "b has 6 numbers, too few for [3, 2] with a stride of 3");
    let text = panic_of(|| sub(view(2, 3, 3), view(2, 3, 3)));
    assert_eq!(text, "c [2, 2] -= a [2, 3] · b [2, 3]: the shapes do not fit");
}
