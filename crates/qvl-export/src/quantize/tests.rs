use proptest::prelude::*;

use super::*;

fn format(bits: usize, symmetric: bool, method: Method) -> BlockFormat {
    BlockFormat { bits, size: 16, symmetric, method, accuracy_level: 0 }
}

fn all_formats() -> Vec<BlockFormat> {
    let mut formats = Vec::new();
    for bits in [4, 8] {
        for symmetric in [true, false] {
            formats.extend([Method::Rtn, Method::Search].map(|method| format(bits, symmetric, method)));
        }
    }
    formats
}

/// What is stored for a row, and what it stands for.
fn round_trip(format: &BlockFormat, row: &[f32]) -> Vec<f32> {
    let blocks = format.blocks(row.len());
    let mut codes = vec![0; blocks * format.blob()];
    let mut scales = vec![0; blocks * 4];
    let mut zero_points = vec![0; if format.symmetric { 0 } else { format.zero_point_bytes(row.len()) }];
    format.quantize_row(row, &mut codes, &mut scales, &mut zero_points);
    let unpack = |packed: &[u8], index: usize| match format.bits {
        8 => f32::from(packed[index]),
        _ => f32::from(packed[index / 2] >> (4 * (index % 2)) & 15),
    };
    let value = |i: usize| {
        let block = i / format.size;
        let scale = f32::from_le_bytes(scales[4 * block..][..4].try_into().unwrap());
        let zero_point = if format.symmetric { format.middle() } else { unpack(&zero_points, block) };
        (unpack(&codes, i) - zero_point) * scale
    };
    (0..row.len()).map(value).collect()
}

fn squared_error(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[test]
fn the_layout_is_that_of_matmul_n_bits() {
    // -8 … 7, times 0.5: the scale is 4 / 8 = 0.5, the codes are 0 … 15.
    let row: Vec<f32> = (-8..8).map(|i| i as f32 * 0.5).collect();
    let format = format(4, true, Method::Rtn);
    let (mut codes, mut scales) = ([0; 8], [0; 4]);
    format.quantize_row(&row, &mut codes, &mut scales, &mut []);
    assert_eq!(codes, [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
    assert_eq!(f32::from_le_bytes(scales), 0.5);
}

#[test]
fn zero_points_are_packed_two_in_a_byte() {
    let row: Vec<f32> = (0..48).map(|i| if i < 32 { (i % 16) as f32 } else { (i % 16) as f32 - 15.0 }).collect();
    let format = format(4, false, Method::Rtn);
    let (mut codes, mut scales, mut zero_points) = ([0; 24], [0; 12], [0xff; 2]);
    format.quantize_row(&row, &mut codes, &mut scales, &mut zero_points);
    assert_eq!(zero_points, [0x00, 0x0f]);
    assert_eq!(round_trip(&format, &row), row);
}

#[test]
fn rows_that_do_not_fill_their_last_block_are_filled_with_zeros() {
    for format in all_formats() {
        let row: Vec<f32> = (0..21).map(|i| (i as f32 * 0.7).sin()).collect();
        let padded = [row.clone(), vec![0.0; 11]].concat();
        assert_eq!(round_trip(&format, &row), round_trip(&format, &padded)[..21], "{format:?}");
    }
}

#[test]
fn blocks_of_zeros_and_of_the_smallest_numbers_stay_finite() {
    for format in all_formats() {
        assert_eq!(round_trip(&format, &[0.0; 16]), [0.0; 16], "{format:?}");
        let tiny = round_trip(&format, &[f32::from_bits(1); 16]);
        assert!(tiny.iter().all(|value| value.is_finite() && value.abs() < 1e-40), "{format:?} {tiny:?}");
    }
}

proptest! {
    #[test]
    fn no_value_is_off_by_more_than_a_step(row in proptest::collection::vec(-3.0_f32..3.0, 16..=96)) {
        for format in all_formats().into_iter().filter(|format| format.method == Method::Rtn) {
            let found = round_trip(&format, &row);
            for (block, found) in row.chunks(16).zip(found.chunks(16)) {
                let (low, high) = range(block);
                // A symmetric block's far end is cut off by up to a step, and rounding adds half of one.
                let step = if format.symmetric { 2.0 * high.max(-low) } else { high - low } / format.last();
                for (a, b) in block.iter().zip(found) {
                    prop_assert!((a - b).abs() <= 1.05 * step + 1e-6, "{:?}: {a} became {b}, a step is {step}", format);
                }
            }
        }
    }

    #[test]
    fn search_is_never_worse_than_rounding(row in proptest::collection::vec(-3.0_f32..3.0, 16..=96)) {
        for format in all_formats().into_iter().filter(|format| format.method == Method::Search) {
            let plain = BlockFormat { method: Method::Rtn, ..format };
            let (found, rounded) = (round_trip(&format, &row), round_trip(&plain, &row));
            let (searched, rounded) = (squared_error(&row, &found), squared_error(&row, &rounded));
            prop_assert!(searched <= rounded * 1.0001 + 1e-9, "{format:?}: {searched} against {rounded}");
        }
    }
}

#[test]
fn search_is_better_on_bell_shaped_weights() {
    // Sums of twelve uniform numbers from a small generator.
    let mut state = 1_u32;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let row: Vec<f32> = (0..4096).map(|_| (0..12).map(|_| uniform()).sum()).collect();
    for (symmetric, at_most) in [(true, 0.88), (false, 0.95)] {
        let error = |method| {
            let format = BlockFormat { size: 32, ..format(4, symmetric, method) };
            squared_error(&row, &round_trip(&format, &row))
        };
        let ratio = error(Method::Search) / error(Method::Rtn);
        assert!(ratio < at_most, "symmetric {symmetric}: {ratio}");
    }
}

#[test]
fn the_loss_is_that_of_the_stored_values() {
    let row: Vec<f32> = (0..85).map(|i| (i as f32 * 0.7).sin() + 0.3).collect();
    for format in all_formats() {
        let energy: f64 = row.iter().map(|value| f64::from(*value).powi(2)).sum();
        let expected = squared_error(&row, &round_trip(&format, &row)) / energy;
        let found = format.row_loss(&row).relative();
        assert!((found - expected).abs() < 1e-6 * expected, "{format:?}: {found} instead of {expected}");
    }
    assert_eq!(format(4, true, Method::Search).row_loss(&[0.0; 16]).relative(), 0.0);
}

#[test]
fn losses_are_written_with_four_digits() {
    let blocks = [(1.0, 3.0), (1.0, 4.0)].map(|(error, energy)| Loss { error, energy });
    assert_eq!(blocks.into_iter().sum::<Loss>().relative_rounded(), 0.2857);
}
