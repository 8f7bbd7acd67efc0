//! What keys and values are kept in.

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use crate::lanes::Lanes;

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
}
