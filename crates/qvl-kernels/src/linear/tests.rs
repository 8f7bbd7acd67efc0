//! Every kernel against plain Rust.

use half::f16;
use proptest::prelude::*;

use super::*;
use crate::elementwise::{gated_silu, rms_norm};
use crate::reference::{Element, numbers};

/// A matrix in blocks, of chance.
#[derive(Debug)]
struct Stored {
    inputs: usize,
    outputs: usize,
    bits: usize,
    size: usize,
    codes: Vec<u8>,
    scales: Vec<f32>,
    zero_points: Option<Vec<u8>>,
    bias: Option<Vec<f32>>,
}

impl Stored {
    fn matrix(&self) -> Matrix<'_> {
        let (codes, scales, zero_points) = (&self.codes[..], &self.scales[..], self.zero_points.as_deref());
        let blocks = Blocks { bits: self.bits, size: self.size, codes, scales, zero_points };
        Matrix { inputs: self.inputs, outputs: self.outputs, elements: Elements::Blocks(blocks) }
    }
}

/// `length` bytes that look like chance.
fn bytes(length: usize, seed: u32) -> Vec<u8> {
    numbers(length, seed).into_iter().map(|x| (x * 1e6) as i32 as u8).collect()
}

fn stored(inputs: usize) -> impl Strategy<Value = Stored> {
    let outputs = prop_oneof![3 => 0..=70usize, 1 => 30..=300usize];
    let size = (4..=8u32).prop_map(|power| 1 << power);
    (outputs, prop_oneof![Just(4), Just(8)], size, any::<[bool; 2]>(), any::<u32>()).prop_map(
        move |(outputs, bits, size, [zero_points, bias], seed)| {
            let per_row = inputs.div_ceil(size);
            Stored {
                inputs,
                outputs,
                bits,
                size,
                codes: bytes(outputs * per_row * size * bits / 8, seed),
                scales: numbers(outputs * per_row, !seed),
                zero_points: zero_points.then(|| bytes(outputs * (per_row * bits).div_ceil(8), seed ^ 0x5555)),
                bias: bias.then(|| numbers(outputs, seed ^ 0x1234)),
            }
        },
    )
}

/// Rows, inputs and some matrices.
fn problems() -> impl Strategy<Value = (usize, usize, Vec<Stored>, u32)> {
    let m = prop_oneof![4 => 0..=9usize, 1 => 10..=40usize];
    let inputs = prop_oneof![3 => 0..=300usize, 1 => 300..=2600usize];
    (m, inputs).prop_flat_map(|(m, inputs)| {
        (Just(m), Just(inputs), prop::collection::vec(stored(inputs), 0..=3), any::<u32>())
    })
}

/// The results of `compute` on products with `matrices`.
fn results(m: usize, matrices: &[Stored], compute: impl FnOnce(&mut [Linear<'_>])) -> Vec<Vec<f32>> {
    let mut out: Vec<Vec<f32>> = matrices.iter().map(|matrix| vec![f32::NAN; m * matrix.outputs]).collect();
    let each = matrices.iter().zip(&mut out);
    let mut products: Vec<Linear<'_>> =
        each.map(|(stored, out)| Linear { matrix: stored.matrix(), bias: stored.bias.as_deref(), out }).collect();
    compute(&mut products);
    out
}

/// Numbers to which NaN is equal to NaN.
fn bits(results: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let bits = |x: &f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
    results.iter().map(|out| out.iter().map(bits).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn int8_is_that_of_plain_rust((m, inputs, matrices, seed) in problems(), bad in prop::option::of(any::<prop::sample::Index>())) {
        let mut x = numbers(m * inputs, seed);
        if let Some(bad) = bad && !x.is_empty() {
            x[bad.index(m * inputs)] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38, 1e-40, 0.0][seed as usize % 6];
        }
        let expected = bits(&results(m, &matrices, |products| plain::linear(&x, m, products, Arithmetic::Int8)));
        for kernel in int8::kernel::available() {
            let got = results(m, &matrices, |products| int8::linear(kernel, Input::Rows(&x), m, products.iter_mut().collect()));
            prop_assert_eq!(&bits(&got), &expected, "{}", kernel.name);
        }
    }

    #[test]
    fn rows_may_be_computed_on_the_way((m, inputs, matrices, seed) in problems(), dense: bool) {
        prop_assume!(inputs > 0);
        let (x, other, weight) = (numbers(m * inputs, seed), numbers(m * inputs, !seed), numbers(inputs, seed ^ 1));
        let (mut normed, mut gated) = (vec![f32::NAN; x.len()], x.clone());
        rms_norm(&x, &weight, 1e-3, &mut normed);
        gated_silu(&mut gated, &other);
        let arithmetic = if dense { Arithmetic::Float32 } else { Arithmetic::Int8 };
        let of = |input: Input<'_>| bits(&results(m, &matrices, |products| linear_of(input, m, products, arithmetic)));
        let (mut out, mut gate) = (vec![f32::NAN; x.len()], x.clone());
        prop_assert_eq!(
            of(Input::Normed { x: &x, weight: &weight, epsilon: 1e-3, out: &mut out }),
            of(Input::Rows(&normed))
        );
        prop_assert_eq!(of(Input::Gated { gate: &mut gate, up: &other }), of(Input::Rows(&gated)));
        if !matrices.is_empty() {
            prop_assert_eq!((out, gate), (normed, gated));
        }
    }

    #[test]
    fn float32_is_near_double_precision((m, inputs, matrices, seed) in problems(), dense: bool) {
        let x = numbers(m * inputs, seed);
        for stored in &matrices {
            let n = stored.outputs;
            let mut rows = vec![0.0; n * inputs];
            if let Elements::Blocks(blocks) = stored.matrix().elements && inputs > 0 {
                rows.chunks_mut(inputs).enumerate().for_each(|(row, out)| blocks.read_row(row, out));
            }
            let halves: Vec<f16> = (0..n * inputs).map(|at| f16::from_f32(rows[at % n * inputs + at / n])).collect();
            let wide: Vec<f32> = halves.iter().map(|half| half.to_f32()).collect();
            let elements = [stored.matrix().elements, Elements::Float32(&wide), Elements::Float16(&halves)];
            for (kind, elements) in elements.into_iter().enumerate().skip(usize::from(dense)) {
                let weight = |i: usize, p: usize| if kind == 0 { rows[i * inputs + p] } else { wide[p * n + i] };
                for kernel in kernel::available() {
                    let mut out = vec![f32::NAN; m * n];
                    let matrix = Matrix { inputs, outputs: n, elements };
                    let mut product = Linear { matrix, bias: stored.bias.as_deref(), out: &mut out };
                    dense::linear(kernel, &x, m, vec![&mut product]);
                    for (at, &got) in out.iter().enumerate() {
                        let (row, i) = (at / n, at % n);
                        let mut expected = Element::default();
                        expected.add(f64::from(stored.bias.as_ref().map_or(0.0, |bias| bias[i])));
                        (0..inputs).for_each(|p| expected.add(f64::from(x[row * inputs + p]) * f64::from(weight(i, p))));
                        prop_assert!(expected.is_near(got, inputs + 1), "{} kind {kind} ({row}, {i})", kernel.name);
                    }
                }
            }
        }
    }
}

/// The first rows of many are what they are alone, whichever loops compute them.
#[test]
fn rows_do_not_depend_on_the_rows_beside_them() {
    let (m, inputs, outputs) = (800, 1100, 200);
    let x = numbers(m * inputs, 1);
    let (codes, scales) = (bytes(outputs * 1152 / 2, 2), numbers(outputs * 35, 3));
    let blocks = |size: usize| {
        let count = outputs * inputs.div_ceil(size);
        Blocks { bits: 4, size, codes: &codes[..count * size / 2], scales: &scales[..count], zero_points: None }
    };
    let wide = numbers(inputs * outputs, 4);
    let halves: Vec<f16> = wide.iter().copied().map(f16::from_f32).collect();
    let (small, large) = (Elements::Blocks(blocks(32)), Elements::Blocks(blocks(128)));
    for elements in [small, large, Elements::Float32(&wide), Elements::Float16(&halves)] {
        for arithmetic in [Arithmetic::Int8, Arithmetic::Int16, Arithmetic::Bf16, Arithmetic::Float32] {
            let compute = |m: usize| {
                let mut out = vec![f32::NAN; m * outputs];
                let matrix = Matrix { inputs, outputs, elements };
                linear(&x[..m * inputs], m, &mut [Linear { matrix, bias: None, out: &mut out }], arithmetic);
                out
            };
            let all = compute(m);
            for few in [1, 2, 6, 7, 200] {
                assert_eq!(compute(few), all[..few * outputs], "{few} rows, {arithmetic:?}");
            }
        }
    }
}
