//! A panel of query rows over a block of positions: two small products with a softmax between them.

use super::CacheElement;
use super::element::{KEY_PANEL, LoadNumbers};
use super::lines::HeadLines;
use super::partial::Partial;
use crate::lanes::{self, Lanes, Task, Unit};

/// Positions of a block. A block of keys and values of size 128 stays in the second cache, and a panel of scores in the
/// first; what was summed before is scaled once for so many.
pub(super) const BLOCK: usize = 2 * KEY_PANEL;

/// Keys and values of some positions, as the products read them.
pub(super) struct Block<'a, K, T, U> {
    pub(super) unit: Unit,
    /// Size of a head.
    pub(super) size: usize,
    /// The first position, a multiple of [`BLOCK`].
    pub(super) first: usize,
    /// In panels [size, [`KEY_PANEL`]].
    pub(super) keys: &'a [K],
    /// Whole vectors, as many as a row of the sums.
    pub(super) values: HeadLines<'a, T>,
    /// The next block. It is brought nearer while memory would have nothing to do.
    pub(super) next: Stored<'a, U>,
}

/// Keys and values of a block, as they are stored.
#[derive(Clone, Copy)]
pub(super) struct Stored<'a, T> {
    /// In panels of [`KEY_PANEL`].
    pub(super) keys: &'a [T],
    pub(super) values: HeadLines<'a, T>,
}

/// The scores of `R` rows, on whole cache lines.
#[repr(align(64))]
struct Scores<const R: usize>([[f32; BLOCK]; R]);

impl<K: LoadNumbers, T: CacheElement, U: CacheElement> Block<'_, K, T, U> {
    /// Adds the block to the `R` rows from `row` on, whose queries are [size, R], each as far as it sees.
    pub(super) fn attend<const R: usize>(&self, queries: &[f32], row: usize, seen: &[usize], partial: &mut Partial) {
        let (queries, count) = (queries.as_chunks::<R>().0, self.values.count);
        let mut scores = Scores([[0.0; BLOCK]; R]);
        // The first panel is enough.
        let is_first = row == 0;
        let next = if is_first { self.next.keys } else { &[] };
        self.unit.run(Products { queries, keys: self.keys, size: self.size, count, next, scores: &mut scores });
        let width = partial.width;
        let (largest, totals, sums) = partial.parts();
        let mut factors = [1.0; R];
        for index in 0..R {
            factors[index] = self.unit.run(Exponentials {
                scores: &mut scores.0[index],
                valid: seen[row + index].saturating_sub(self.first).min(count),
                largest: &mut largest[row + index],
                total: &mut totals[row + index],
            });
        }
        let sums = &mut sums[row * width..(row + R) * width];
        let next = HeadLines { count: if is_first { self.next.values.count } else { 0 }, ..self.next.values };
        self.unit.run(WeighedSums { scores: &scores, factors: &factors, values: self.values, next, sums });
    }
}

/// The products of `queries` [size, R] and the first `count` keys, and of what follows in their panels.
struct Products<'a, T, U, const R: usize> {
    queries: &'a [[f32; R]],
    keys: &'a [T],
    size: usize,
    count: usize,
    /// What is brought nearer on the way.
    next: &'a [U],
    scores: &'a mut Scores<R>,
}

impl<T: LoadNumbers, U: CacheElement, const R: usize> Task for Products<'_, T, U, R> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let mut next = self.next.chunks(KEY_PANEL * U::count(self.size) / self.size);
        let panels = self.keys.chunks_exact(self.size * KEY_PANEL);
        for (panel, first) in panels.zip((0..self.count).step_by(KEY_PANEL)) {
            for at in (0..KEY_PANEL.min(self.count - first)).step_by(2 * V::COUNT) {
                let mut sums = [[V::splat(0.0); 2]; R];
                for (query, keys) in self.queries.iter().zip(panel.chunks_exact(KEY_PANEL)) {
                    if at == 0
                        && let Some(line) = next.next()
                    {
                        V::prefetch(line);
                    }
                    let keys = [T::load::<V>(keys, at), T::load(keys, at + V::COUNT)];
                    for (sums, query) in sums.iter_mut().zip(query) {
                        let query = V::splat(*query);
                        sums[0] = query.mul_add(keys[0], sums[0]);
                        sums[1] = query.mul_add(keys[1], sums[1]);
                    }
                }
                for (row, sums) in self.scores.0.iter_mut().zip(sums) {
                    sums[0].store(&mut row[first + at..]);
                    sums[1].store(&mut row[first + at + V::COUNT..]);
                }
            }
        }
    }
}

/// Replaces the `valid` first scores of a row by e^(score − largest) and the others by 0, and brings the row's largest
/// score and total up to date. Gives by what the row's sums are to be multiplied.
struct Exponentials<'a> {
    scores: &'a mut [f32; BLOCK],
    valid: usize,
    largest: &'a mut f32,
    total: &'a mut f32,
}

impl Task for Exponentials<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<V: Lanes>(self) -> f32 {
        let Self { scores, valid, largest, total } = self;
        if valid == 0 {
            scores.fill(0.0);
            return 1.0;
        }
        scores[valid..].fill(f32::NEG_INFINITY);
        let mut top = V::splat(*largest);
        for scores in scores.chunks_exact(V::COUNT) {
            top = V::load(scores).max(top);
        }
        let top = top.largest();
        let mut sum = V::splat(0.0);
        for scores in scores.chunks_exact_mut(V::COUNT) {
            let power = lanes::exp(V::load(scores).sub(V::splat(top)));
            power.store(scores);
            sum = sum.add(power);
        }
        let factor = if top == *largest { 1.0 } else { (*largest - top).exp() };
        *total = *total * factor + sum.sum();
        *largest = top;
        factor
    }
}

/// Multiplies `sums` [R, width of the values] by the factors and adds the products of the scores and the values.
struct WeighedSums<'a, T, U, const R: usize> {
    scores: &'a Scores<R>,
    factors: &'a [f32; R],
    values: HeadLines<'a, T>,
    /// What is brought nearer on the way.
    next: HeadLines<'a, U>,
    sums: &'a mut [f32],
}

impl<T: CacheElement, U: CacheElement, const R: usize> Task for WeighedSums<'_, T, U, R> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(mut self) {
        let width = self.values.size;
        let pairs = width / (2 * V::COUNT) * (2 * V::COUNT);
        for column in (0..pairs).step_by(2 * V::COUNT) {
            self.add_two::<V>(column);
        }
        if pairs < width {
            self.add_one::<V>(pairs);
        }
    }
}

impl<T: CacheElement, U: CacheElement, const R: usize> WeighedSums<'_, T, U, R> {
    /// Computes two vectors of each row, from `column` on.
    #[inline(always)]
    fn add_two<V: Lanes>(&mut self, column: usize) {
        let mut gathered = [[V::splat(0.0); 2]; R];
        for (position, values) in (0..self.values.count.min(BLOCK)).zip(self.values.data.chunks(self.values.stride)) {
            self.next.prefetch::<V>(position, column);
            let values = [T::load::<V>(values, column), T::load(values, column + V::COUNT)];
            for (gathered, scores) in gathered.iter_mut().zip(&self.scores.0) {
                let score = V::splat(scores[position]);
                gathered[0] = score.mul_add(values[0], gathered[0]);
                gathered[1] = score.mul_add(values[1], gathered[1]);
            }
        }
        for (row, gathered) in gathered.into_iter().enumerate() {
            self.bring::<V>(row, column, gathered[0]);
            self.bring::<V>(row, column + V::COUNT, gathered[1]);
        }
    }

    /// Computes the last vector of each row, from `column` on.
    #[inline(always)]
    fn add_one<V: Lanes>(&mut self, column: usize) {
        let mut gathered = [V::splat(0.0); R];
        for (position, values) in (0..self.values.count.min(BLOCK)).zip(self.values.data.chunks(self.values.stride)) {
            let values = T::load::<V>(values, column);
            for (gathered, scores) in gathered.iter_mut().zip(&self.scores.0) {
                *gathered = V::splat(scores[position]).mul_add(values, *gathered);
            }
        }
        for (row, gathered) in gathered.into_iter().enumerate() {
            self.bring::<V>(row, column, gathered);
        }
    }

    /// Brings what was gathered for a vector of a row to its sums.
    #[inline(always)]
    fn bring<V: Lanes>(&mut self, row: usize, column: usize, gathered: V) {
        let sums = &mut self.sums[row * self.values.size + column..];
        V::load(sums).mul_add(V::splat(self.factors[row]), gathered).store(sums);
    }
}
