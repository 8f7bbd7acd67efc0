//! What keys and values are kept in.

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use crate::lanes::{Lanes, WIDEST};

/// Keys of a panel, whose numbers are beside each other: number p of all of them, then number p + 1. So a vector has keys
/// that follow each other, as products with a query want them.
pub const KEY_PANEL: usize = 2 * WIDEST;

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

    /// Makes the elements of `numbers` key `lane` of a panel, which has [`KEY_PANEL`] times as many elements as a head.
    ///
    /// # Panics
    /// If the panel has no such key.
    fn round_key(numbers: &[f32], panel: &mut [Self], lane: usize);

    /// Number `index` of key `lane` of a panel.
    fn key_number(panel: &[Self], lane: usize, index: usize) -> f32;

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

    /// Writes the numbers of a panel of keys to `keys` [numbers of a key, [`KEY_PANEL`]].
    #[inline(always)]
    fn widen_keys<V: Lanes>(panel: &[Self], keys: &mut [f32]) {
        for at in (0..keys.len()).step_by(V::COUNT) {
            Self::load::<V>(panel, at).store(&mut keys[at..]);
        }
    }
}

/// Writes `numbers` to key `lane` of a panel.
fn scatter<T: Copy>(numbers: &[T], panel: &mut [T], lane: usize) {
    panel[lane..].iter_mut().step_by(KEY_PANEL).zip(numbers).for_each(|(place, number)| *place = *number);
}

impl CacheElement for f32 {
    const NUMBERS: usize = 1;

    fn of(numbers: &[f32]) -> Self {
        numbers[0]
    }

    fn number(head: &[Self], index: usize) -> f32 {
        head[index]
    }

    fn round_key(numbers: &[f32], panel: &mut [Self], lane: usize) {
        scatter(numbers, panel, lane);
    }

    fn key_number(panel: &[Self], lane: usize, index: usize) -> f32 {
        panel[index * KEY_PANEL + lane]
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

    fn round_key(numbers: &[f32], panel: &mut [Self], lane: usize) {
        let mut rounded = [Self::ZERO; KEY_PANEL];
        for (numbers, panel) in numbers.chunks(KEY_PANEL).zip(panel.chunks_mut(KEY_PANEL * KEY_PANEL)) {
            let rounded = &mut rounded[..numbers.len()];
            rounded.convert_from_f32_slice(numbers);
            scatter(rounded, panel, lane);
        }
    }

    fn key_number(panel: &[Self], lane: usize, index: usize) -> f32 {
        panel[index * KEY_PANEL + lane].to_f32()
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
