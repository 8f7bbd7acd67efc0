//! Query rows over a stretch of the positions, block by block.

use std::ops::Range;

use super::CacheElement;
use super::block::{BLOCK, Block, Stored};
use super::element::KEY_PANEL;
use super::lines::HeadLines;
use super::partial::Partial;
use super::pieces::Attention;
use crate::lanes::{Lanes, Task};
use crate::product::Aligned;

/// Positions of a stretch. All but the last one of a past are whole.
pub(super) const STRETCH: usize = 16 * BLOCK;

/// Numbers of rows that [`Block`] computes at once.
const PANELS: [usize; 6] = [12, 8, 6, 4, 2, 1];

/// Cuts `rows` rows into panels of at most `most`.
pub(super) fn panels(rows: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let size = *PANELS.iter().find(|size| **size <= most.min(rows - first))?;
        first += size;
        Some(first - size..first)
    })
}

/// The queries of a piece, ready to be multiplied.
pub(super) struct Tile {
    /// The key-value head.
    pub(super) head: usize,
    /// The scaled queries in [`panels`], each [head size, rows].
    pub(super) queries: Vec<f32>,
    /// How many positions each row sees: no row sees fewer than the one before it.
    pub(super) seen: Vec<usize>,
}

impl Tile {
    /// How many stretches the rows see.
    pub(super) fn stretches(&self) -> usize {
        self.seen[self.seen.len() - 1].div_ceil(STRETCH)
    }
}

/// A tile over the positions from `start` on, [`STRETCH`] of them or those that there are.
pub(super) struct Stretch<'a, T> {
    pub(super) attention: &'a Attention<'a, T>,
    pub(super) tile: &'a Tile,
    pub(super) start: usize,
}

impl<T: CacheElement> Stretch<'_, T> {
    /// What the rows gather.
    pub(super) fn run(self) -> Partial {
        let (unit, size) = (self.attention.unit, self.attention.queries.head_size);
        let (count, most) = unit.sizes();
        let (seen, width) = (&self.tile.seen, size.next_multiple_of(count));
        let mut partial = Partial::new(seen.len(), width);
        let (mut wide_keys, mut wide_values) = (Aligned::default(), Aligned::default());
        let end = seen[seen.len() - 1].min(self.start + STRETCH);
        // A single panel reads keys and values only once, so it widens them itself, but for keys in blocks: those have scales
        // of their own in each lane.
        let is_read_once = seen.len() <= most && width == size;
        for first in (self.start..end).step_by(BLOCK) {
            let (Stored { keys, values }, next) = (self.stored(first, end), self.stored(first + BLOCK, end));
            if is_read_once && T::NUMBERS == 1 {
                self.add(&Block { unit, size, first, keys, values, next }, &mut partial);
                continue;
            }
            let wide_keys = wide_keys.take(BLOCK * size);
            unit.run(WidenKeys { panels: keys, size, keys: &mut *wide_keys });
            let keys = &*wide_keys;
            if is_read_once {
                self.add(&Block { unit, size, first, keys, values, next }, &mut partial);
            } else {
                let (wide_values, count) = (wide_values.take(BLOCK * width), values.count);
                unit.run(WidenValues { lines: values, values: &mut *wide_values });
                let values = HeadLines { data: &*wide_values, stride: width, count, size: width };
                self.add(&Block { unit, size, first, keys, values, next }, &mut partial);
            }
        }
        partial
    }

    /// Keys and values of the tile's head in the block from position `first` on, as far as they are before `end`.
    fn stored(&self, first: usize, end: usize) -> Stored<'_, T> {
        let positions = first.min(end)..end.min(first + BLOCK);
        let Attention { queries, keys, values, .. } = self.attention;
        let (head, size) = (self.tile.head, queries.head_size);
        Stored { keys: keys.of_head(head, &positions, size), values: values.of_head(head, &positions, size) }
    }

    /// Adds a block to all rows that see it.
    fn add<K: CacheElement, U: CacheElement>(&self, block: &Block<'_, K, U, T>, partial: &mut Partial) {
        let (seen, size) = (&self.tile.seen, block.size);
        for rows in panels(seen.len(), block.unit.sizes().1).filter(|rows| seen[rows.end - 1] > block.first) {
            let queries = &self.tile.queries[rows.start * size..rows.end * size];
            match rows.len() {
                12 => block.attend::<12>(queries, rows.start, seen, partial),
                8 => block.attend::<8>(queries, rows.start, seen, partial),
                6 => block.attend::<6>(queries, rows.start, seen, partial),
                4 => block.attend::<4>(queries, rows.start, seen, partial),
                2 => block.attend::<2>(queries, rows.start, seen, partial),
                _ => block.attend::<1>(queries, rows.start, seen, partial),
            }
        }
    }
}

/// Writes panels of keys to `keys` [panels, size, [`KEY_PANEL`]].
struct WidenKeys<'a, T> {
    panels: &'a [T],
    size: usize,
    keys: &'a mut [f32],
}

impl<T: CacheElement> Task for WidenKeys<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let panels = self.panels.chunks_exact(T::count(self.size) * KEY_PANEL);
        for (panel, keys) in panels.zip(self.keys.chunks_exact_mut(self.size * KEY_PANEL)) {
            T::widen_keys::<V>(panel, keys);
        }
    }
}

/// Writes values to `values`, a row of whole vectors each, filled up with what was there.
struct WidenValues<'a, T> {
    lines: HeadLines<'a, T>,
    values: &'a mut [f32],
}

impl<T: CacheElement> Task for WidenValues<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let size = self.lines.size;
        for (index, row) in (0..self.lines.count).zip(self.values.chunks_exact_mut(size.next_multiple_of(V::COUNT))) {
            let line = self.lines.line(index);
            let whole = size / V::COUNT * V::COUNT;
            for p in (0..whole).step_by(V::COUNT) {
                T::load::<V>(line, p).store(&mut row[p..]);
            }
            for (p, out) in (whole..size).zip(&mut row[whole..]) {
                *out = T::number(line, p);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_as_large_as_can_be() {
        let cut = |rows, most| panels(rows, most).map(|panel| panel.len()).collect::<Vec<_>>();
        assert_eq!(cut(31, 12), [12, 12, 6, 1]);
        assert_eq!(cut(11, 6), [6, 4, 1]);
        assert_eq!(cut(19, 8), [8, 8, 2, 1]);
        assert_eq!(cut(7, 4), [4, 2, 1]);
        assert!(cut(0, 12).is_empty());
        assert_eq!(panels(13, 12).last(), Some(12..13));
    }
}
