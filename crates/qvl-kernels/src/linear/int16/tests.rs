use proptest::prelude::*;

use super::*;
use crate::int16::available;
use crate::linear::half_problem::Problem;
use crate::pool::ThreadPool;

/// The results of the first `m` rows.
fn compute(problem: &Problem, kernel: &Int16Kernel, m: usize) -> Vec<f32> {
    problem.results(0..m, |x, product| linear(kernel, x, product))
}

/// An output in double precision, and the largest that rounding may take from it.
fn expected(problem: &Problem, row: usize, output: usize) -> (f64, f64) {
    let mut sum = problem.bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
    let mut error = 1e-6 * sum.abs();
    for block in (0..problem.inputs).collect::<Vec<_>>().chunks(BLOCK) {
        let x = |input: usize| f64::from(problem.x[row * problem.inputs + input]);
        let weight = |input: usize| problem.weights[input * problem.outputs + output].to_f64();
        let largest = |of: &dyn Fn(usize) -> f64| block.iter().map(|input| of(*input).abs()).fold(0.0, f64::max);
        let step = |largest: f64| largest / f64::from(LARGEST) * 0.501;
        let (steps, largest) = ([step(largest(&x)), step(largest(&weight))], [largest(&x), largest(&weight)]);
        sum += block.iter().map(|input| x(*input) * weight(*input)).sum::<f64>();
        let each = steps[0] * largest[1] + steps[1] * largest[0] + steps[0] * steps[1];
        error += block.len() as f64 * (each + 1e-6 * largest[0] * largest[1]);
    }
    (sum, error)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn is_as_near_as_rounding_allows(
        m in prop_oneof![0..30usize, Just(48usize)],
        inputs in prop_oneof![0..300usize, Just(128), Just(384), 500..700usize],
        outputs in prop_oneof![0..70usize, Just(128), 200..300usize],
        bias: bool,
        seed: u32,
    ) {
        let problem = Problem::new((m, inputs, outputs), bias, seed);
        for kernel in available() {
            let found = compute(&problem, kernel, m);
            prop_assert_eq!(found.len(), m * outputs);
            for (at, found) in found.into_iter().enumerate() {
                let (expected, error) = expected(&problem, at / outputs, at % outputs);
                let is_near = (f64::from(found) - expected).abs() <= error;
                prop_assert!(is_near, "{}: {found} for {expected} ± {error} at {at}", kernel.name);
            }
        }
    }
}

#[test]
fn rows_depend_neither_on_threads_nor_on_the_rows_beside_them() {
    let (m, inputs, outputs) = (2 * MOST_ROWS + 5, 200, 150);
    let problem = Problem::new((m, inputs, outputs), true, 3);
    for kernel in available() {
        let with = |threads, m| ThreadPool::new(threads).unwrap().install(|| compute(&problem, kernel, m));
        let all = with(1, m);
        for (threads, m) in [(1, 1), (1, 7), (2, m), (5, MOST_ROWS + 1), (40, 13)] {
            let same = with(threads, m).iter().zip(&all).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{}: {threads} threads, {m} rows", kernel.name);
        }
    }
}

#[test]
fn not_a_number_stays_where_it_is_used() {
    for kernel in available() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut problem = Problem::new((20, 150, 40), false, 5);
            problem.x[7 * 150 + 140] = bad;
            problem.weights[30 * 40 + 11] = f16::from_f32(bad);
            for (at, found) in compute(&problem, kernel, 20).into_iter().enumerate() {
                assert_eq!(found.is_finite(), at / 40 != 7 && at % 40 != 11, "{}: {bad} at {at}", kernel.name);
            }
        }
    }
}

#[test]
fn sums_of_products_fit() {
    assert!(BLOCK as i64 * (LARGEST as i64).pow(2) <= i64::from(i32::MAX));
    for kernel in available() {
        // All products as large as can be, and of one sign.
        let mut problem = Problem::new((1, BLOCK, 1), false, 1);
        problem.x.fill(-3.0);
        problem.weights.fill(f16::from_f32(-2.0));
        let found = compute(&problem, kernel, 1)[0];
        assert!((found - 6.0 * BLOCK as f32).abs() < 1e-3, "{}: {found}", kernel.name);
    }
}
