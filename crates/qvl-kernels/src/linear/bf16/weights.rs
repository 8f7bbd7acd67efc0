//! Weights in bf16, in the order in which tiles read them.

use std::ops::Range;

use half::f16;

use super::{Job, LINES, Line, SIDE, STEP};
use crate::amx::{Bf16, ROWS};

/// Writes the weights of steps `steps` and outputs `outputs` to `lines` [groups, steps, two tiles, pairs of a step]: a
/// line has the pairs of a tile's 16 outputs. What is missing to the last step is zeros, to the last group any number.
pub(super) fn round(_machine: Bf16, job: &Job<'_>, outputs: Range<usize>, steps: Range<usize>, lines: &mut [Line]) {
    // SAFETY: the machine has the features, or there would be no `Bf16`.
    unsafe { round_with_features(job, outputs, steps, lines) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn round_with_features(job: &Job<'_>, outputs: Range<usize>, steps: Range<usize>, lines: &mut [Line]) {
    let group = steps.len() * LINES;
    for (index, step) in steps.enumerate() {
        for pair in 0..STEP / 2 {
            let input = step * STEP + 2 * pair;
            let (even, odd) = (weights(job, input, &outputs), weights(job, input + 1, &outputs));
            for first in (0..outputs.len()).step_by(ROWS) {
                let tile = first / SIDE * group + index * LINES + first % SIDE;
                lines[tile + pair] = Line::of_pairs(from(even, first), from(odd, first));
            }
        }
    }
}

/// The weights of input `input` and outputs `outputs`; none if there is no such input.
#[inline(always)]
fn weights<'a>(job: &Job<'a>, input: usize, outputs: &Range<usize>) -> &'a [f16] {
    if input < job.inputs { &job.weights[input * job.outputs..][outputs.clone()] } else { &[] }
}

/// Number `first` of `row` and those after it.
#[inline(always)]
fn from(row: &[f16], first: usize) -> &[f16] {
    row.get(first..).unwrap_or_default()
}
