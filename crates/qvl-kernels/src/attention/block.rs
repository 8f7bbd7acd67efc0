//! A panel of query rows over a block of positions: two small products with a softmax between them.

use super::CacheElement;
use super::partial::Partial;
use super::stretch::HeadLines;
use crate::lanes::{self, Lanes, Task, Unit};

/// Positions of a block. A block of keys and values of size 128 stays in the second cache, and a panel of scores in the
/// first; what was summed before is scaled once for so many.
pub(super) const BLOCK: usize = 64;

/// Keys and values of some positions, as the products read them.
pub(super) struct Block<'a, K, T, U> {
    pub(super) unit: Unit,
    /// Size of a head.
    pub(super) size: usize,
    /// The first position, a multiple of [`BLOCK`].
    pub(super) first: usize,
    /// In panels [size, two vectors].
    pub(super) keys: &'a [K],
    /// Whole vectors, as many as a row of the sums.
    pub(super) values: HeadLines<'a, T>,
    /// The values of the next block, as they are stored. They are brought nearer while memory would have nothing to do.
    pub(super) next: HeadLines<'a, U>,
}

/// The scores of `R` rows, on whole cache lines.
#[repr(align(64))]
struct Scores<const R: usize>([[f32; BLOCK]; R]);

impl<K: CacheElement, T: CacheElement, U: CacheElement> Block<'_, K, T, U> {
    /// Adds the block to the `R` rows from `row` on, whose queries are [size, R], each as far as it sees.
    pub(super) fn attend<const R: usize>(&self, queries: &[f32], row: usize, seen: &[usize], partial: &mut Partial) {
        let (queries, count) = (queries.as_chunks::<R>().0, self.values.count);
        let mut scores = Scores([[0.0; BLOCK]; R]);
        // The first panel is enough.
        let next = HeadLines { count: if row == 0 { self.next.count } else { 0 }, ..self.next };
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
        self.unit.run(WeighedSums { scores: &scores, factors: &factors, values: self.values, next, sums });
    }
}

/// The products of `queries` [size, R] and the first `count` keys, and of what follows in their panels.
struct Products<'a, T, U, const R: usize> {
    queries: &'a [[f32; R]],
    keys: &'a [T],
    size: usize,
    count: usize,
    /// What is brought nearer on the way: the first half of it.
    next: HeadLines<'a, U>,
    scores: &'a mut Scores<R>,
}

impl<T: CacheElement, U: CacheElement, const R: usize> Task for Products<'_, T, U, R> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let panel = 2 * V::COUNT;
        for (column, keys) in (0..self.count).step_by(panel).zip(self.keys.chunks_exact(self.size * panel)) {
            let mut sums = [[V::splat(0.0); 2]; R];
            // Half of a block in all of its panels.
            let mut next = column / 2..column / 2 + V::COUNT;
            let each = self.size.div_ceil(V::COUNT);
            for (queries, keys) in self.queries.chunks(each).zip(keys.chunks(each * panel)) {
                if let Some(index) = next.next() {
                    self.next.prefetch::<V>(index);
                }
                for (query, keys) in queries.iter().zip(keys.chunks_exact(panel)) {
                    let keys = [T::load::<V>(keys, 0), T::load(keys, V::COUNT)];
                    for (sums, query) in sums.iter_mut().zip(query) {
                        let query = V::splat(*query);
                        sums[0] = query.mul_add(keys[0], sums[0]);
                        sums[1] = query.mul_add(keys[1], sums[1]);
                    }
                }
            }
            for (row, sums) in self.scores.0.iter_mut().zip(sums) {
                sums[0].store(&mut row[column..]);
                sums[1].store(&mut row[column + V::COUNT..]);
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
    /// What is brought nearer on the way: the second half of it.
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
            if position % 2 == 0 {
                self.next.prefetch_part::<V>(BLOCK / 2 + position / 2, column);
            }
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
