use half::f16;
use proptest::prelude::*;

use super::*;
use crate::linear::half_problem::Problem;
use crate::pool::ThreadPool;

/// The results of rows `rows`.
fn compute(problem: &Problem, machine: Bf16, rows: Range<usize>) -> Vec<f32> {
    let m = rows.len();
    problem.results(rows, |x, product| linear(machine, x, m, vec![product]))
}

/// An output in double precision, and the largest that rounding may take from it.
///
/// A number is rounded by up to 2⁻⁸ of itself, or to zero below 2⁻¹²⁶, and a product of two by 2 · 2⁻⁸ + 2⁻¹⁶. To
/// the sum that adds what a float32 sum of so many numbers may be off in any order (Higham, "Accuracy and Stability
/// of Numerical Algorithms", 2nd edition, section 4.2). Any product, and any sum, that would be below 2⁻¹²⁶ may
/// count as zero.
fn expected(problem: &Problem, row: usize, output: usize) -> (f64, f64) {
    let (unit, tiny) = (2_f64.powi(-8), 2_f64.powi(-126));
    let (mut sum, mut size, mut lost) = (0.0, 0.0, tiny);
    for input in 0..problem.inputs {
        let x = f64::from(problem.x[row * problem.inputs + input]);
        let weight = problem.weights[input * problem.outputs + output].to_f64();
        sum += x * weight;
        size += (x * weight).abs();
        lost += tiny * (2.0 + weight.abs());
    }
    let bias = problem.bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
    let terms = (problem.inputs + 3) as f64 * f64::from(f32::EPSILON) / 2.0;
    let rounding = size * (2.0 * unit + unit * unit);
    (sum + bias, rounding + terms * (size + rounding + bias.abs()) + lost)
}

/// Holds every result against double precision; gives how far they are from it, relative to how large they are.
fn check(problem: &Problem, machine: Bf16) -> f64 {
    let m = problem.x.len() / problem.inputs.max(1);
    let (mut wrong, mut size) = (0.0, 0.0);
    for (at, found) in compute(problem, machine, 0..m).into_iter().enumerate() {
        let (expected, error) = expected(problem, at / problem.outputs, at % problem.outputs);
        let distance = (f64::from(found) - expected).abs();
        assert!(distance <= error, "{found} for {expected} ± {error} at {at}");
        (wrong, size) = (wrong + distance * distance, size + expected * expected);
    }
    (wrong / size).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn is_as_near_as_rounding_allows(
        m in prop_oneof![1..70usize, Just(64usize)],
        inputs in prop_oneof![1..100usize, Just(128), 1100..1300usize],
        outputs in prop_oneof![0..70usize, Just(128), 500..600usize],
        bias: bool,
        scale in prop_oneof![Just(0_i32), Just(-125), -140..120],
        seed: u32,
    ) {
        let Some(machine) = Bf16::get() else { return Ok(()) };
        let mut problem = Problem::new((m, inputs, outputs), bias, seed);
        problem.x.iter_mut().for_each(|x| *x = (f64::from(*x) * 2_f64.powi(scale)) as f32);
        check(&problem, machine);
    }
}

#[test]
fn results_are_off_by_the_rounding_of_two_numbers() {
    let Some(machine) = Bf16::get() else { return };
    // Errors of up to half a step, as often of any size, have a third of its square on average.
    let error = check(&Problem::new((40, 4096, 100), false, 7), machine);
    assert!((1e-3..4e-3).contains(&error), "{error}");
}

#[test]
fn there_may_be_no_inputs_or_rows() {
    let Some(machine) = Bf16::get() else { return };
    let problem = Problem::new((0, 0, 40), true, 1);
    assert_eq!(compute(&problem, machine, 0..0), []);
    let mut out = [f32::NAN; 3 * 40];
    linear(machine, &[], 3, vec![&mut problem.product(&mut out)]);
    assert_eq!(&out[80..], problem.bias.as_ref().unwrap());
}

#[test]
fn rows_depend_neither_on_threads_nor_on_the_rows_beside_them() {
    let Some(machine) = Bf16::get() else { return };
    // More than one stretch of inputs and more than one piece of columns.
    let problem = Problem::new((1003, 1200, 1100), true, 3);
    let with = |threads, rows| ThreadPool::new(threads).unwrap().install(|| compute(&problem, machine, rows));
    let all = with(1, 0..1003);
    for (threads, rows) in [(1, 0..1), (1, 0..7), (1, 5..50), (2, 0..1003), (5, 17..900), (40, 990..1003)] {
        let beside = &all[rows.start * problem.outputs..rows.end * problem.outputs];
        let same = with(threads, rows.clone()).iter().zip(beside).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{threads} threads, rows {rows:?}");
    }
}

#[test]
fn products_of_the_same_rows_are_computed_together() {
    let Some(machine) = Bf16::get() else { return };
    let problems = [(50, 100, 40), (50, 100, 70), (50, 100, 0)].map(|shape| Problem::new(shape, true, 9));
    let mut out = problems.each_ref().map(|problem| vec![0.0; 50 * problem.outputs]);
    let mut products: Vec<_> = problems.iter().zip(&mut out).map(|(problem, out)| problem.product(out)).collect();
    linear(machine, &problems[0].x, 50, products.iter_mut().collect());
    for (problem, out) in problems.iter().zip(&out) {
        assert_eq!(&compute(problem, machine, 0..50), out);
    }
}

#[test]
fn not_a_number_stays_where_it_is_used() {
    let Some(machine) = Bf16::get() else { return };
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut problem = Problem::new((40, 150, 40), false, 5);
        problem.x[7 * 150 + 140] = bad;
        problem.weights[30 * 40 + 11] = f16::from_f32(bad);
        for (at, found) in compute(&problem, machine, 0..40).into_iter().enumerate() {
            assert_eq!(found.is_finite(), at / 40 != 7 && at % 40 != 11, "{bad} at {at}");
            assert_eq!(found.is_nan(), bad.is_nan() && !found.is_finite(), "{bad} at {at}");
        }
    }
}

#[test]
fn numbers_at_the_ends_of_the_range_become_zero_or_infinite() {
    let Some(machine) = Bf16::get() else { return };
    let mut problem = Problem::new((4, 1, 1), false, 1);
    problem.weights.fill(f16::ONE);
    problem.x = vec![f32::MAX, f32::MIN_POSITIVE, f32::MIN_POSITIVE / 2.0, -f32::MAX];
    assert_eq!(compute(&problem, machine, 0..4), [f32::INFINITY, f32::MIN_POSITIVE, 0.0, f32::NEG_INFINITY]);
    // The least float16 number is exact.
    (problem.x, problem.weights) = (vec![4.0; 4], vec![f16::from_bits(1)]);
    assert_eq!(compute(&problem, machine, 0..4), [2_f32.powi(-22); 4]);
}

#[test]
fn stretches_are_about_as_long_as_each_other() {
    for (steps, most, expected) in
        [(0, 5, vec![]), (5, 5, vec![5]), (36, 18, vec![18, 18]), (135, 36, vec![34, 34, 34, 33])]
    {
        let found: Vec<_> = stretches(steps, most).map(|stretch| stretch.len()).collect();
        assert_eq!(found, expected);
    }
}
