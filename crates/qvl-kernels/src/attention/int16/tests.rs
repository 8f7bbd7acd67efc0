use proptest::prelude::*;

use super::*;
use crate::attention::{Frame, plain};
use crate::int16::available;
use crate::pool::ThreadPool;
use crate::reference::numbers;

/// Rows of queries, keys and values side by side, and numbers between the rows.
struct Rows {
    rows: Vec<f32>,
    n: usize,
    heads: usize,
    size: usize,
    stride: usize,
}

impl Rows {
    /// Numbers up to `factor`.
    fn new(n: usize, heads: usize, size: usize, spare: usize, factor: f32, seed: u32) -> Self {
        let stride = 3 * heads * size + spare;
        let rows = numbers(n * stride, seed).into_iter().map(|x| x * factor).collect();
        Self { rows, n, heads, size, stride }
    }

    fn parts(&self) -> [&[f32]; 3] {
        [0, 1, 2].map(|part| self.rows.get(part * self.heads * self.size..).unwrap_or_default())
    }

    fn attend(&self, kernel: &Int16Kernel) -> Vec<f32> {
        let frame = Frame::new(self.parts(), self.stride, self.n, self.heads, self.size);
        let mut out = vec![-1.0; self.n * self.heads * self.size];
        run(kernel, &frame, self.n, &mut out);
        out
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn is_near_the_plain_one(
        (n, heads) in (0..200usize, 1..4usize),
        size in prop_oneof![Just(64usize), Just(72), 1..100usize],
        (spare, factor) in (0..9usize, 1..6u8),
        seed: u32,
    ) {
        let factor = f32::from(factor);
        let frame = Rows::new(n, heads, size, spare, factor, seed);
        let mut expected = vec![f32::NAN; n * heads * size];
        plain::full(frame.parts(), frame.stride, n, heads, size, &mut expected);
        for kernel in available() {
            for (found, expected) in frame.attend(kernel).iter().zip(&expected) {
                // Scores grow with the square of what is multiplied, and the values with it.
                let tolerance = 1e-3 * factor.powi(3);
                prop_assert!((found - expected).abs() <= tolerance, "{}: {} for {}", kernel.name, found, expected);
            }
        }
    }

    #[test]
    fn weights_of_few_bits_are_not_lost_behind_a_large_one(n in 130..400usize, at in 0..130usize, seed: u32) {
        // One position has as much weight as all others together, which alone have less than a bit of it each.
        let (size, mut frame) = (64, Rows::new(n, 1, 64, 0, 1.0, seed));
        for (position, row) in frame.rows.chunks_mut(3 * size).enumerate() {
            row[..2 * size].fill(0.0);
            row[0] = 1.0;
            row[size] = if position == at { 8.0 * (n as f32).ln() } else { 0.0 };
        }
        let mut expected = vec![f32::NAN; n * size];
        plain::full(frame.parts(), frame.stride, n, 1, size, &mut expected);
        for kernel in available() {
            for (found, expected) in frame.attend(kernel).iter().zip(&expected) {
                prop_assert!((found - expected).abs() <= 1e-3, "{}: {} for {}", kernel.name, found, expected);
            }
        }
    }
}

#[test]
fn rows_do_not_depend_on_the_threads() {
    let frame = Rows::new(700, 3, 72, 5, 3.0, 9);
    for kernel in available() {
        let with = |threads| ThreadPool::new(threads).unwrap().install(|| frame.attend(kernel));
        let alone = with(1);
        for threads in [2, 5, 40] {
            let differences = with(threads).iter().zip(&alone).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            assert_eq!(differences, 0, "{}, {threads} threads", kernel.name);
        }
    }
}

#[test]
fn not_a_number_stays_where_it_is_seen() {
    let (n, heads, size) = (100, 2, 20);
    let width = heads * size;
    for kernel in available() {
        for bad in [f32::NAN, f32::INFINITY] {
            // Head 1 of position 70.
            for (part, sees) in [(0, "the row"), (1, "the head"), (2, "the column")] {
                let mut frame = Rows::new(n, heads, size, 0, 1.0, 4);
                frame.rows[70 * frame.stride + part * width + size + 3] = bad;
                for (index, x) in frame.attend(kernel).iter().enumerate() {
                    let (row, column) = (index / width, index % width);
                    let expected = match part {
                        0 => row == 70 && column >= size,
                        1 => column >= size,
                        _ => column == size + 3,
                    };
                    assert_eq!(x.is_nan(), expected, "{}: {sees}, {bad} at ({row}, {column})", kernel.name);
                }
            }
        }
    }
}

#[test]
fn sums_of_products_fit() {
    for size in 1..2000 {
        let largest = i64::from(largest_key(size) as i16);
        assert!(largest > 900 && size as i64 * largest * largest <= i64::from(i32::MAX), "{size}: {largest}");
    }
    let values = BLOCK as i64 * LARGEST_WEIGHT as i64 * LARGEST_VALUE as i64;
    assert!(values <= i64::from(i32::MAX));
}
