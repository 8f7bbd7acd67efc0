//! Query rows over a stretch of the positions, block by block.

use std::ops::Range;

use super::CacheElement;
use super::block::{BLOCK, Block};
use super::partial::Partial;
use super::pieces::{Attention, Lines};
use crate::lanes::{LINES, Lanes, Task, WIDEST};
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
        let Attention { unit, head_size: size, .. } = *self.attention;
        let (count, most) = unit.sizes();
        let (seen, width) = (&self.tile.seen, size.next_multiple_of(count));
        let mut partial = Partial::new(seen.len(), width);
        let (mut keys, mut widened, mut kept) = (Aligned::default(), Aligned::default(), Aligned::default());
        let end = seen[seen.len() - 1].min(self.start + STRETCH);
        // A single panel reads keys and values only once.
        let is_read_once = seen.len() <= most && width == size;
        for first in (self.start..end).step_by(BLOCK) {
            let positions = first..end.min(first + BLOCK);
            let next = positions.end..end.min(positions.end + BLOCK);
            let Attention { keys: key_lines, values: value_lines, .. } = self.attention;
            let (lines, next_keys) = (self.lines(key_lines, &positions), self.lines(key_lines, &next));
            let (values, next) = (self.lines(value_lines, &positions), self.lines(value_lines, &next));
            if is_read_once {
                let keys = kept.take(BLOCK * size);
                unit.run(KeepKeys { lines, next: next_keys, keys: &mut *keys });
                self.add(&Block { unit, size, first, keys, values, next }, &mut partial);
            } else {
                let (keys, widened, count) = (keys.take(BLOCK * size), widened.take(BLOCK * width), positions.len());
                unit.run(ReadKeys { lines, next: next_keys, keys: &mut *keys });
                unit.run(ReadValues { lines: values, values: &mut *widened });
                let values = HeadLines { data: &*widened, stride: width, count, size: width };
                self.add(&Block { unit, size, first, keys, values, next }, &mut partial);
            }
        }
        partial
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

    /// The lines of the tile's head at `positions`.
    fn lines<'l>(&self, lines: &Lines<'l, T>, positions: &Range<usize>) -> HeadLines<'l, T> {
        lines.of_head(self.tile.head, positions, self.attention.head_size)
    }
}

/// Keys or values of one head at some positions.
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

    /// Begins to bring position `index` nearer, if there is one.
    #[inline(always)]
    pub(super) fn prefetch<V: Lanes>(&self, index: usize) {
        if index < self.count {
            V::prefetch(self.line(index));
        }
    }

    /// As [`Self::prefetch`], of the two vectors from number `first` on.
    #[inline(always)]
    pub(super) fn prefetch_part<V: Lanes>(&self, index: usize, first: usize) {
        if index < self.count {
            let line = self.line(index);
            let end = (first + 2 * V::COUNT).div_ceil(T::NUMBERS).min(line.len());
            V::prefetch(&line[(first / T::NUMBERS).min(end)..end]);
        }
    }
}

/// Writes keys to `keys` in panels [size, two vectors]; what is missing to a multiple of [`LINES`] repeats the last key,
/// farther ones are not touched. On the way it has the keys of the next block brought nearer.
struct ReadKeys<'a, T> {
    lines: HeadLines<'a, T>,
    next: HeadLines<'a, T>,
    keys: &'a mut [f32],
}

impl<T: CacheElement> Task for ReadKeys<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        for_eights::<V, T, f32>(self.lines, self.next, self.keys, interleave::<V, T>);
    }
}

/// As [`ReadKeys`], without widening where that can wait: a single panel of queries does it as fast when it reads them.
struct KeepKeys<'a, T: CacheElement> {
    lines: HeadLines<'a, T>,
    next: HeadLines<'a, T>,
    keys: &'a mut [T::Kept],
}

impl<T: CacheElement> Task for KeepKeys<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        for_eights::<V, T, T::Kept>(self.lines, self.next, self.keys, T::interleave::<V>);
    }
}

/// Calls `interleave` with parts of [`LINES`] lines and where the lines begin in their panel.
#[inline(always)]
fn for_eights<V: Lanes, T: CacheElement, O>(
    lines: HeadLines<'_, T>,
    next: HeadLines<'_, T>,
    panels: &mut [O],
    interleave: impl Fn(&[&[T]; LINES], Range<usize>, &mut [O], usize),
) {
    let (size, width) = (lines.size, 2 * V::COUNT);
    let part = size.div_ceil(LINES).next_multiple_of(WIDEST);
    for first in (0..lines.count).step_by(LINES) {
        let mut eight: [&[T]; LINES] = [&[]; LINES];
        for (index, line) in (first..).zip(&mut eight) {
            *line = lines.line(index.min(lines.count - 1));
        }
        let panel = &mut panels[first / width * size * width..][..size * width];
        for index in 0..LINES {
            next.prefetch::<V>(first + index);
            let part = (index * part).min(size)..((index + 1) * part).min(size);
            interleave(&eight, part, &mut panel[first % width..], width);
        }
    }
}

/// Writes the numbers `part` of each line, number p of line i to `out[p * width + i]`, as float32.
#[inline(always)]
pub(super) fn interleave<V: Lanes, T: CacheElement>(
    lines: &[&[T]; LINES],
    part: Range<usize>,
    out: &mut [f32],
    width: usize,
) {
    let whole = part.end - part.len() % V::COUNT;
    for p in (part.start..whole).step_by(V::COUNT) {
        let mut vectors = [V::splat(0.0); LINES];
        for (vector, line) in vectors.iter_mut().zip(lines) {
            *vector = T::load(line, p);
        }
        V::interleave(vectors, &mut out[p * width..], width);
    }
    for p in whole..part.end {
        for (out, line) in out[p * width..].iter_mut().zip(lines) {
            *out = T::number(line, p);
        }
    }
}

/// Writes values to `values`, a row of whole vectors each, filled up with what was there.
struct ReadValues<'a, T> {
    lines: HeadLines<'a, T>,
    values: &'a mut [f32],
}

impl<T: CacheElement> Task for ReadValues<'_, T> {
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
