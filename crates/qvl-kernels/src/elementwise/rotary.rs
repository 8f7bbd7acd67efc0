//! Rotary embedding of heads.

use crate::lanes::{Lanes, Task};

/// Rotates element i of the first half of each head of `x` against element i of the second.
pub(super) struct Rotate<'a> {
    pub(super) x: &'a mut [f32],
    pub(super) cos: &'a [f32],
    pub(super) sin: &'a [f32],
}

impl Task for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let half = self.cos.len();
        for head in self.x.chunks_exact_mut(2 * half) {
            let (first, second) = head.split_at_mut(half);
            for (((first, second), cos), sin) in first.iter_mut().zip(second).zip(self.cos).zip(self.sin) {
                let (a, b) = (*first, *second);
                *first = a * cos - b * sin;
                *second = b * cos + a * sin;
            }
        }
    }
}
