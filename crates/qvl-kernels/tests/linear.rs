//! Linear layers through the crate's public face.
#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::panic::catch_unwind;

use qvl_kernels::{Arithmetic, Blocks, Elements, Linear, Matrix, ThreadPool, linear};

/// Numbers of both signs that float32 sums in another order would round in another way.
fn numbers(length: usize, seed: usize) -> Vec<f32> {
    (0..length).map(|i| ((i * 7919 + seed * 104_729) % 10_007) as f32 / 5003.0 - 1.0).collect()
}

/// Rows `x` times two matrices in one call, one in blocks of four bits and one in float32, after another.
fn results(x: &[f32], m: usize, (inputs, outputs): (usize, usize), arithmetic: Arithmetic) -> Vec<f32> {
    let per_row = inputs.div_ceil(64);
    let codes: Vec<u8> = (0..outputs * per_row * 32).map(|i| (i * 151 % 251) as u8).collect();
    let (scales, wide, bias) = (numbers(outputs * per_row, 2), numbers(inputs * outputs, 3), numbers(outputs, 4));
    let blocks = Blocks { bits: 4, size: 64, codes: &codes, scales: &scales, zero_points: None };
    let (mut first, mut second) = (vec![0.0; m * outputs], vec![0.0; m * outputs]);
    let matrix = |elements| Matrix { inputs, outputs, elements };
    let mut products = [
        Linear { matrix: matrix(Elements::Blocks(blocks)), bias: Some(&bias), out: &mut first },
        Linear { matrix: matrix(Elements::Float32(&wide)), bias: None, out: &mut second },
    ];
    linear(x, m, &mut products, arithmetic);
    [first, second].concat()
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for m in [1, 5, 300] {
        for arithmetic in [Arithmetic::Int8, Arithmetic::Float32] {
            let x = numbers(m * 1500, 1);
            let with = |threads| {
                let pool = ThreadPool::new(threads).unwrap();
                pool.install(|| results(&x, m, (1500, 333), arithmetic))
            };
            let one = with(1);
            for threads in [2, 5] {
                let differences = with(threads).iter().zip(&one).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
                assert_eq!(differences, 0, "{m} rows, {threads} threads, {arithmetic:?}");
            }
        }
    }
}

#[test]
fn what_is_not_a_number_stays_in_its_row() {
    let (m, shape) = (9, (200, 40));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for arithmetic in [Arithmetic::Int8, Arithmetic::Float32] {
            let mut x = numbers(m * shape.0, 1);
            x[4 * shape.0 + 199] = bad;
            for (at, out) in results(&x, m, shape, arithmetic).into_iter().enumerate() {
                assert_eq!(out.is_finite(), at / shape.1 % m != 4, "{bad} {arithmetic:?} at {at}");
            }
        }
    }
}

#[test]
fn products_of_nothing_are_the_bias() {
    let out = results(&[], 3, (0, 4), Arithmetic::Int8);
    assert_eq!(out, [numbers(4, 4).repeat(3), vec![0.0; 12]].concat());
    assert!(results(&[], 0, (8, 4), Arithmetic::Int8).is_empty());
}

#[test]
fn wrong_lengths_are_named() {
    let panic = |size: usize, scales: &[f32], x: usize| {
        let (x, scales) = (vec![0.0; x], scales.to_vec());
        let run = move || {
            let blocks = Blocks { bits: 8, size, codes: &[0; 32], scales: &scales, zero_points: None };
            let matrix = Matrix { inputs: 16, outputs: 2, elements: Elements::Blocks(blocks) };
            linear(&x, 1, &mut [Linear { matrix, bias: None, out: &mut [0.0; 2] }], Arithmetic::Int8);
        };
        *catch_unwind(run).unwrap_err().downcast::<String>().unwrap()
    };
    assert_eq!(panic(16, &[1.0; 2], 15), "x has 15 numbers, which is not [1, 16]");
    assert_eq!(panic(16, &[1.0; 3], 16), "scales has 3 numbers, which is not [2, 1]");
    assert_eq!(panic(24, &[1.0; 2], 16), "blocks have a power of two from 16 to 256 elements, not 24");
}
