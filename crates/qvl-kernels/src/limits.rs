//! What the machine could do at most, so that what it does can be put beside it.
//!
//! Each limit is that of the current pool: all its threads work at once, and the slowest one's time counts. It is
//! measured a few times within a fraction of a second, and the best counts.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::linear::int8::kernel;
use crate::pool::{current_num_threads, for_each};

/// Bytes that are read. A last cache that is shared by many cores may be large.
const BYTES: usize = 512 << 20;

/// Bytes that a thread reads at once.
const STRETCH: usize = 1 << 20;

/// How long a peak is measured each time.
const LONG_ENOUGH: Duration = Duration::from_millis(10);

/// How often a limit is measured.
const TIMES: usize = 5;

/// Bytes a second that can be read from memory. For a moment 512 MiB of it are taken.
pub fn read_bandwidth() -> f64 {
    let mut numbers = vec![0_u64; BYTES / size_of::<u64>()];
    let stretch = STRETCH / size_of::<u64>();
    // Pages that were not written to would all be the same page of zeros.
    for_each(numbers.chunks_mut(stretch), |numbers| numbers.fill(1));
    let seconds = || {
        let begin = Instant::now();
        for_each(numbers.chunks(stretch), |numbers| {
            black_box(sum(numbers));
        });
        begin.elapsed().as_secs_f64()
    };
    BYTES as f64 / fastest(seconds)
}

/// The sum of a stretch, from several places at once: one alone is read more slowly than memory could be.
fn sum(numbers: &[u64]) -> u64 {
    const PLACES: usize = 8;
    let lines = numbers.as_chunks::<8>().0;
    let mut sums = [0_u64; 8];
    for i in 0..lines.len() / PLACES {
        for place in 0..PLACES {
            let line = &lines[place * (lines.len() / PLACES) + i];
            sums.iter_mut().zip(line).for_each(|(sum, number)| *sum = sum.wrapping_add(*number));
        }
    }
    sums.into_iter().fold(0, u64::wrapping_add)
}

/// Operations a second of integer dot products in registers, with the instructions that [`crate::linear()`] uses in int8;
/// a multiplication and an addition are two.
pub fn int8_peak() -> f64 {
    peak(|steps| kernel::best().dots(steps))
}

/// Operations a second of float32 multiply-adds in registers; a multiplication and an addition are two.
pub fn float32_peak() -> f64 {
    peak(|steps| kernel::best().multiply_adds(steps))
}

/// Operations a second of products of bf16 tiles in registers, where [`crate::linear()`] uses them; a multiplication
/// and an addition are two.
#[cfg(target_arch = "x86_64")]
pub fn bf16_peak() -> Option<f64> {
    crate::amx::Bf16::get().map(|machine| peak(|steps| crate::amx::bf16_dots(machine, steps)))
}

/// Operations a second of products of bf16 tiles: this kind of machine has none.
#[cfg(not(target_arch = "x86_64"))]
pub fn bf16_peak() -> Option<f64> {
    None
}

/// What the instructions are called that [`crate::linear()`] uses in int8 on this machine.
pub fn int8_unit() -> &'static str {
    kernel::best().name
}

/// Operations a second of `products`, which adds products for so many steps and says how many.
fn peak(products: impl Fn(usize) -> usize + Sync) -> f64 {
    let mut steps = 1 << 10;
    while time(&products, steps) < LONG_ENOUGH {
        steps *= 2;
    }
    let count = current_num_threads() * products(1) * steps;
    2.0 * count as f64 / fastest(|| time(&products, steps).as_secs_f64())
}

/// How long all threads need for so many steps each.
fn time(products: &(impl Fn(usize) -> usize + Sync), steps: usize) -> Duration {
    let begin = Instant::now();
    for_each(0..current_num_threads(), |_| {
        black_box(products(steps));
    });
    begin.elapsed()
}

fn fastest(seconds: impl Fn() -> f64) -> f64 {
    (0..TIMES).map(|_| seconds()).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_those_of_a_machine() {
        // A core does less than 10¹⁰ instructions a second, and more than 10⁶ even where it is shared.
        for peak in [int8_peak(), float32_peak()].into_iter().chain(bf16_peak()) {
            let each = peak / current_num_threads() as f64;
            assert!(each > 1e6 && each < 1e14, "{peak:e}");
        }
    }

    #[test]
    fn stretches_are_read_whole() {
        let numbers: Vec<u64> = (0..STRETCH as u64 / 8).collect();
        assert_eq!(sum(&numbers), numbers.iter().sum());
    }

    #[test]
    fn all_kernels_count_what_they_multiply() {
        for kernel in kernel::available() {
            assert_eq!(kernel.dots(3), 3 * kernel.dots(1), "{}", kernel.name);
            assert!(kernel.dots(1) >= kernel.width && kernel.multiply_adds(1) >= kernel.width / 2, "{}", kernel.name);
        }
    }
}
