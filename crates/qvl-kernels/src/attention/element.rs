//! What keys and values are kept in.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use super::stretch::interleave;
use crate::lanes::{LINES, Lanes};

/// An element of the KV cache: [`f32`], [`half::f16`] or [`Int8Block`](super::Int8Block).
pub trait CacheElement: LoadNumbers + Copy + Send + Sync {
    /// Numbers of an element.
    const NUMBERS: usize;

    /// Elements of a head of `size` numbers.
    fn count(size: usize) -> usize {
        size.div_ceil(Self::NUMBERS)
    }

    /// The element of at most [`NUMBERS`](Self::NUMBERS) numbers, rounded to the nearest that it has.
    fn of(numbers: &[f32]) -> Self;

    /// Number `index` of a head.
    fn number(head: &[Self], index: usize) -> f32;

    /// Fills `head` with [the elements of](Self::of) `numbers`.
    ///
    /// # Panics
    /// If `head` has another length than [`count`](Self::count) says.
    #[track_caller]
    fn round(numbers: &[f32], head: &mut [Self]) {
        assert_eq!(head.len(), Self::count(numbers.len()), "elements of a head");
        head.iter_mut().zip(numbers.chunks(Self::NUMBERS)).for_each(|(element, numbers)| *element = Self::of(numbers));
    }
}

/// What vectors of float32 are loaded from.
///
/// It is public in name only, since a supertrait must be.
pub trait LoadNumbers: Sized {
    /// The numbers of a head from number `first` on, a multiple of a vector's numbers, in a vector.
    fn load<V: Lanes>(head: &[Self], first: usize) -> V;

    /// What keys of this type are kept in while a single panel of queries is multiplied with them.
    type Kept: CacheElement + Default;

    /// Writes the numbers `part` of each head, number p of head i to `out[p * width + i]`.
    fn interleave<V: Lanes>(heads: &[&[Self]; LINES], part: Range<usize>, out: &mut [Self::Kept], width: usize);
}

impl CacheElement for f32 {
    const NUMBERS: usize = 1;

    fn of(numbers: &[f32]) -> Self {
        numbers[0]
    }

    fn number(head: &[Self], index: usize) -> f32 {
        head[index]
    }

    fn round(numbers: &[f32], head: &mut [Self]) {
        head.copy_from_slice(numbers);
    }
}

impl LoadNumbers for f32 {
    #[inline(always)]
    fn load<V: Lanes>(head: &[Self], first: usize) -> V {
        V::load(&head[first..])
    }

    type Kept = f32;

    #[inline(always)]
    fn interleave<V: Lanes>(heads: &[&[f32]; LINES], part: Range<usize>, out: &mut [f32], width: usize) {
        interleave::<V, f32>(heads, part, out, width);
    }
}

impl CacheElement for f16 {
    const NUMBERS: usize = 1;

    fn of(numbers: &[f32]) -> Self {
        f16::from_f32(numbers[0])
    }

    fn number(head: &[Self], index: usize) -> f32 {
        head[index].to_f32()
    }

    fn round(numbers: &[f32], head: &mut [Self]) {
        head.convert_from_f32_slice(numbers);
    }
}

impl LoadNumbers for f16 {
    #[inline(always)]
    fn load<V: Lanes>(head: &[Self], first: usize) -> V {
        V::load_f16(&head[first..])
    }

    type Kept = f16;

    #[inline(always)]
    fn interleave<V: Lanes>(heads: &[&[f16]; LINES], part: Range<usize>, out: &mut [f16], width: usize) {
        V::interleave_f16(heads, part, out, width);
    }
}
