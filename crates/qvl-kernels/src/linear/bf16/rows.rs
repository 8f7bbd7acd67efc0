//! Rows in bf16, in the order in which tiles read them.

use std::mem::MaybeUninit;

use super::{LINES, Line, SIDE, STEP};
use crate::amx::{Bf16, ROWS};
use crate::pool::for_each;

/// Rows in bf16. What is missing to the last strip or the last step is zeros.
pub(super) struct Rounded {
    /// Steps of a row.
    pub(super) steps: usize,
    /// [strips, steps, rows of a strip].
    lines: Vec<Line>,
}

impl Rounded {
    /// Rounds the rows of `x`, which have `inputs` numbers each; there is one at least.
    pub(super) fn new(_machine: Bf16, x: &[f32], inputs: usize) -> Self {
        let steps = inputs.div_ceil(STEP);
        let count = x.len().div_ceil(SIDE * inputs) * steps * LINES;
        // To fill them with zeros first would take as long as to round the rows.
        let mut lines = Vec::with_capacity(count);
        let strips = lines.spare_capacity_mut()[..count].chunks_mut(steps * LINES);
        for_each(strips.zip(x.chunks(SIDE * inputs)), |(strip, x)| {
            // SAFETY: the machine has the features, or there would be no `Bf16`.
            unsafe { round(x, inputs, strip) }
        });
        // SAFETY: all of them have been written, strip by strip.
        unsafe { lines.set_len(count) }
        Self { steps, lines }
    }

    /// All steps of strip `strip`.
    pub(super) fn strip(&self, strip: usize) -> &[Line] {
        let each = self.steps * LINES;
        &self.lines[strip * each..][..each]
    }
}

/// Writes all of `strip`, of whose rows those of `x` are there. Tiles lie one behind the other: [steps, two, rows of a
/// tile].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn round(x: &[f32], inputs: usize, strip: &mut [MaybeUninit<Line>]) {
    let count = x.len() / inputs;
    for (row, x) in x.chunks_exact(inputs).enumerate() {
        for (x, step) in x.chunks(STEP).zip(strip.chunks_exact_mut(LINES)) {
            step[row].write(Line::of_numbers(x));
        }
    }
    for step in strip.chunks_exact_mut(LINES) {
        step[count..].iter_mut().for_each(|line| {
            line.write(Line::default());
        });
    }
}

const _: () = assert!(LINES == 2 * ROWS);
