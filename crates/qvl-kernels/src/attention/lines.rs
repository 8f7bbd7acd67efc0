//! Where keys and values are.

use std::ops::Range;

use super::CacheElement;
use super::element::KEY_PANEL;
use crate::lanes::Lanes;
use crate::pool::for_each;

/// Values, or keys that are not in panels: position p of head h has `data[h · head_stride + p · stride..]`, as many
/// elements as a head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines<'a, T> {
    pub(super) data: &'a [T],
    pub(super) head_stride: usize,
    pub(super) stride: usize,
}

impl<'a, T> Lines<'a, T> {
    /// Those of head `head` at `positions`, of `size` numbers each.
    pub(super) fn of_head(&self, head: usize, positions: &Range<usize>, size: usize) -> HeadLines<'a, T> {
        let start = head * self.head_stride + positions.start * self.stride;
        let data = self.data.get(start..).unwrap_or_default();
        HeadLines { data, stride: self.stride, count: positions.len(), size }
    }
}

/// Values of one head at some positions, or keys that are not in panels.
#[derive(Clone, Copy)]
pub(crate) struct HeadLines<'a, T> {
    pub(super) data: &'a [T],
    /// Distance of one position's elements to the next one's.
    pub(super) stride: usize,
    /// Positions.
    pub(super) count: usize,
    /// Numbers of a position.
    pub(super) size: usize,
}

impl<T: CacheElement> HeadLines<'_, T> {
    /// The elements of position `index`.
    #[inline(always)]
    pub(super) fn line(&self, index: usize) -> &[T] {
        &self.data[index * self.stride..][..T::count(self.size)]
    }

    /// Begins to bring the two vectors from number `first` on of position `index` nearer, if there is one.
    #[inline(always)]
    pub(super) fn prefetch<V: Lanes>(&self, index: usize, first: usize) {
        if index < self.count {
            let line = self.line(index);
            let end = (first + 2 * V::COUNT).div_ceil(T::NUMBERS).min(line.len());
            V::prefetch(&line[(first / T::NUMBERS).min(end)..end]);
        }
    }
}

/// Keys in panels of [`KEY_PANEL`] positions: those of head h begin at `data[h · head_stride]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panels<'a, T> {
    pub(super) data: &'a [T],
    pub(super) head_stride: usize,
}

impl<'a, T: CacheElement> Panels<'a, T> {
    /// The panels of head `head` that have `positions`, which begin with a panel; keys are of `size` numbers.
    pub(super) fn of_head(&self, head: usize, positions: &Range<usize>, size: usize) -> &'a [T] {
        let elements = |panels: usize| panels * KEY_PANEL * T::count(size);
        let start = head * self.head_stride + elements(positions.start / KEY_PANEL);
        &self.data[start..][..elements(positions.len().div_ceil(KEY_PANEL))]
    }
}

/// The keys at the first `positions` positions in panels, [heads, panels, size, [`KEY_PANEL`]]; what is missing to whole
/// panels is 0.
pub(super) fn panels_of(keys: &Lines<'_, f32>, positions: usize, heads: usize, size: usize) -> Vec<f32> {
    let panels = positions.div_ceil(KEY_PANEL);
    let mut data = vec![0.0; heads * panels * size * KEY_PANEL];
    for_each(data.chunks_exact_mut(size * KEY_PANEL).enumerate(), |(index, panel)| {
        let first = index % panels * KEY_PANEL;
        let lines = keys.of_head(index / panels, &(first..positions.min(first + KEY_PANEL)), size);
        (0..lines.count).for_each(|lane| f32::round_key(lines.line(lane), panel, lane));
    });
    data
}
