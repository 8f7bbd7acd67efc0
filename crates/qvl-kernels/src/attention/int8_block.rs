//! Keys and values in int8.

use half::bf16;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::element::{CacheElement, KEY_PANEL, LoadNumbers};
use crate::lanes::Lanes;

/// Numbers of a block. Fewer would cost memory for scales, more would let one large number cost others their places; the
/// vectors of every unit divide it.
const SIZE: usize = 32;

// In a panel of keys, block b of all keys becomes as many blocks as it has numbers: block j of them has number j of every
// key's block, and the scale of key j's.
const _: () = assert!(SIZE == KEY_PANEL);

/// The largest code.
const LARGEST: f32 = 127.0;

/// 32 numbers of a head in int8, with a scale in bfloat16: 34 bytes.
///
/// The scale is the largest magnitude over 127, so a number is off by at most half of it. The last block of a head whose
/// size is no multiple of 32 is filled up with zeros. A block with a number that is not finite is NaN.
#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Int8Block {
    scale: bf16,
    codes: [i8; SIZE],
}

impl CacheElement for Int8Block {
    const NUMBERS: usize = SIZE;

    fn of(numbers: &[f32]) -> Self {
        let is_finite = numbers.iter().all(|x| x.is_finite());
        let largest = numbers.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let scale = if is_finite { bf16::from_f32(largest / LARGEST) } else { bf16::NAN };
        let inverse = if scale > bf16::ZERO { 1.0 / widened(scale) } else { 0.0 };
        let mut codes = [0; SIZE];
        for (code, x) in codes.iter_mut().zip(numbers) {
            *code = (x * inverse).round_ties_even().clamp(-LARGEST, LARGEST) as i8;
        }
        Self { scale, codes }
    }

    fn round_key(numbers: &[f32], panel: &mut [Self], lane: usize) {
        for (numbers, blocks) in numbers.chunks(SIZE).zip(panel.chunks_exact_mut(SIZE)) {
            let Self { scale, codes } = Self::of(numbers);
            blocks[lane].scale = scale;
            blocks.iter_mut().zip(codes).for_each(|(block, code)| block.codes[lane] = code);
        }
    }

    fn key_number(panel: &[Self], lane: usize, index: usize) -> f32 {
        let blocks = &panel[index / SIZE * SIZE..][..SIZE];
        f32::from(blocks[index % SIZE].codes[lane]) * widened(blocks[lane].scale)
    }

    fn number(head: &[Self], index: usize) -> f32 {
        let block = &head[index / SIZE];
        f32::from(block.codes[index % SIZE]) * widened(block.scale)
    }
}

/// The number, without the question whether it is NaN, whose bits need no care here.
#[inline(always)]
fn widened(scale: bf16) -> f32 {
    f32::from_bits(u32::from(scale.to_bits()) << 16)
}

impl LoadNumbers for Int8Block {
    #[inline(always)]
    fn load<V: Lanes>(head: &[Self], first: usize) -> V {
        let block = &head[first / SIZE];
        V::load_i8(&block.codes[first % SIZE..]).mul(V::splat(widened(block.scale)))
    }

    #[inline(always)]
    fn widen_keys<V: Lanes>(panel: &[Self], keys: &mut [f32]) {
        for (blocks, keys) in panel.chunks_exact(SIZE).zip(keys.chunks_mut(SIZE * KEY_PANEL)) {
            let mut scales = [0.0; KEY_PANEL];
            scales.iter_mut().zip(blocks).for_each(|(scale, block)| *scale = widened(block.scale));
            for (block, keys) in blocks.iter().zip(keys.chunks_exact_mut(KEY_PANEL)) {
                for at in (0..KEY_PANEL).step_by(V::COUNT) {
                    V::load_i8(&block.codes[at..]).mul(V::load(&scales[at..])).store(&mut keys[at..]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::numbers;

    #[test]
    fn a_block_takes_little_more_than_its_codes() {
        assert_eq!((size_of::<Int8Block>(), Int8Block::count(128), Int8Block::count(129)), (34, 4, 5));
    }

    proptest! {
        #[test]
        fn a_number_is_off_by_at_most_half_a_step(size in 1..140_usize, exponent in -30..30_i32, seed: u32) {
            let numbers: Vec<f32> = numbers(size, seed).iter().map(|x| x * 10.0_f32.powi(exponent)).collect();
            let mut head = vec![Int8Block { scale: bf16::NAN, codes: [1; SIZE] }; Int8Block::count(size)];
            Int8Block::round(&numbers, &mut head);
            for (at, numbers) in numbers.chunks(SIZE).enumerate() {
                let largest = numbers.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
                for (index, x) in numbers.iter().enumerate() {
                    // Half a step, and what bfloat16 rounds a scale up by.
                    let step = largest / LARGEST * (1.0 + 1.0 / 256.0);
                    let error = (Int8Block::number(&head, at * SIZE + index) - x).abs();
                    prop_assert!(error <= step / 2.0, "{} of {}", error, step);
                }
            }
            prop_assert!(head.last().unwrap().codes[(size - 1) % SIZE + 1..].iter().all(|code| *code == 0));
        }
    }

    #[test]
    fn what_is_no_number_spoils_its_block_only() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut numbers = [0.5; 40];
            numbers[3] = bad;
            let mut head = [Int8Block::of(&[]); 2];
            Int8Block::round(&numbers, &mut head);
            assert!((0..32).all(|index| Int8Block::number(&head, index).is_nan()), "{bad}");
            assert!((32..40).all(|index| (Int8Block::number(&head, index) - 0.5).abs() < 1e-3), "{bad}");
        }
        let mut zeros = [Int8Block::of(&[f32::NAN])];
        Int8Block::round(&[0.0; 32], &mut zeros);
        assert_eq!(Int8Block::number(&zeros, 7), 0.0);
    }
}
