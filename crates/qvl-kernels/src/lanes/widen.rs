//! float16 numbers as float32.

use half::f16;

use super::{Lanes, Task, Unit};

/// Fills `out` with `halves`, of which there are as many.
pub(crate) fn widen(halves: &[f16], out: &mut [f32]) {
    Unit::best().run(Widen { halves, out });
}

struct Widen<'a> {
    halves: &'a [f16],
    out: &'a mut [f32],
}

impl Task for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        widen_with::<V>(self.halves, self.out);
    }
}

/// [`widen`] inside of a loop that has its vectors already.
#[inline(always)]
pub(crate) fn widen_with<V: Lanes>(halves: &[f16], out: &mut [f32]) {
    let (mut halves, mut out) = (halves.chunks_exact(V::COUNT), out.chunks_exact_mut(V::COUNT));
    for (halves, out) in halves.by_ref().zip(out.by_ref()) {
        V::load_f16(halves).store(out);
    }
    out.into_remainder().iter_mut().zip(halves.remainder()).for_each(|(out, half)| *out = half.to_f32());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_widened_exactly() {
        let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).filter(|half| !half.is_nan()).collect();
        for unit in Unit::available() {
            for length in [0, 1, 15, 16, 33, halves.len()] {
                let mut out = vec![-1.0; length];
                unit.run(Widen { halves: &halves[..length], out: &mut out });
                let expected: Vec<f32> = halves[..length].iter().map(|half| half.to_f32()).collect();
                assert_eq!(out, expected, "{unit:?}");
            }
        }
    }
}
