//! The resize against a plain reading of its specification, and the bounds of the sizes chosen.

#![allow(clippy::unwrap_used, reason = "a failure is what a test is for")]

use proptest::prelude::*;
use qvl_processor::{ImageError, PixelBudget, Rgb8, resize, smart_resize, smart_resize_video};

/// The Catmull-Rom kernel (a = −0.5).
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    } else {
        0.0
    }
}

/// First sample and float weights of every output sample.
fn taps(input: usize, output: usize) -> Vec<(usize, Vec<f64>)> {
    let scale = input as f64 / output as f64;
    let stretch = scale.max(1.0);
    let support = 2.0 * stretch;
    (0..output)
        .map(|i| {
            let centre = scale * (i as f64 + 0.5);
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(input);
            let weights: Vec<f64> = (first..end).map(|j| cubic((j as f64 - centre + 0.5) / stretch)).collect();
            let sum: f64 = weights.iter().sum();
            (first, weights.iter().map(|w| w / sum).collect())
        })
        .collect()
}

/// One line of samples, in fixed point as reference/SPEC.md §1.3 says.
fn resize_line(line: &[u8], output: usize) -> Vec<u8> {
    let taps = taps(line.len(), output);
    let largest = taps.iter().flat_map(|(_, weights)| weights.iter().copied()).fold(f64::MIN, f64::max);
    let mut precision = 0;
    while precision < 22 && 0.5 + largest * f64::from(1 << (precision + 1)) < 32768.0 {
        precision += 1;
    }
    taps.iter()
        .map(|(first, weights)| {
            let mut sum = 1_i64 << (precision - 1);
            for (weight, &sample) in weights.iter().zip(&line[*first..]) {
                let fixed = (weight * f64::from(1 << precision)).round() as i64;
                sum += fixed * i64::from(sample);
            }
            (sum >> precision).clamp(0, 255) as u8
        })
        .collect()
}

fn transpose(picture: &Rgb8) -> Rgb8 {
    let mut data = Vec::with_capacity(picture.data.len());
    for x in 0..picture.width {
        for y in 0..picture.height {
            let at = (y * picture.width + x) * 3;
            data.extend_from_slice(&picture.data[at..at + 3]);
        }
    }
    Rgb8::new(picture.height, picture.width, data).unwrap()
}

fn resize_rows(picture: &Rgb8, width: usize) -> Rgb8 {
    if picture.width == width {
        return picture.clone();
    }
    let mut data = vec![0; picture.height * width * 3];
    for y in 0..picture.height {
        for channel in 0..3 {
            let line: Vec<u8> =
                (0..picture.width).map(|x| picture.data[(y * picture.width + x) * 3 + channel]).collect();
            for (x, sample) in resize_line(&line, width).into_iter().enumerate() {
                data[(y * width + x) * 3 + channel] = sample;
            }
        }
    }
    Rgb8::new(width, picture.height, data).unwrap()
}

fn resize_plainly(picture: &Rgb8, height: usize, width: usize) -> Rgb8 {
    transpose(&resize_rows(&transpose(&resize_rows(picture, width)), height))
}

/// Noise: every sample from a multiplicative hash of its place and a seed.
fn noise(width: usize, height: usize, seed: u64) -> Rgb8 {
    let sample = |i: usize| {
        let mixed = (i as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 56) as u8
    };
    Rgb8::new(width, height, (0..width * height * 3).map(sample).collect()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn resize_equals_the_plain_reading(
        (width, height, out_width, out_height) in (1_usize..90, 1_usize..90, 1_usize..120, 1_usize..120),
        seed: u64,
    ) {
        let picture = noise(width, height, seed);
        let fast = resize(&picture, out_height, out_width).unwrap();
        prop_assert!(*fast == resize_plainly(&picture, out_height, out_width));
    }

    #[test]
    fn a_flat_picture_stays_flat(
        (width, height, out_width, out_height) in (1_usize..60, 1_usize..60, 1_usize..200, 1_usize..200),
        sample: u8,
    ) {
        let picture = Rgb8::new(width, height, vec![sample; width * height * 3]).unwrap();
        let resized = resize(&picture, out_height, out_width).unwrap();
        prop_assert_eq!((resized.width, resized.height), (out_width, out_height));
        prop_assert!(resized.data.iter().all(|&s| s == sample));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn sizes_are_multiples_within_the_budget(
        height in 1_usize..60_000,
        width in 1_usize..60_000,
        min_pixels in 0_u64..300_000,
        room in 0_u64..20_000_000,
    ) {
        let budget = PixelBudget { min_pixels, max_pixels: (min_pixels + room).max(1) };
        let within_aspect = height.max(width) <= 200 * height.min(width);
        match smart_resize(height, width, 32, &budget) {
            Err(_) => prop_assert!(!within_aspect),
            Ok((h, w)) => {
                prop_assert!(within_aspect);
                prop_assert!(h % 32 == 0 && w % 32 == 0 && h > 0 && w > 0);
                let area = (h * w) as u64;
                // A side at its minimum of one block, or a budget narrower than the step of a block, may leave it.
                let one_block = h == 32 || w == 32;
                let one_step_less = ((h - 32) * (w - 32)) as u64;
                prop_assert!(area <= budget.max_pixels || one_block || one_step_less < min_pixels);
                prop_assert!(area >= min_pixels || area > budget.max_pixels || ((h + 32) * (w + 32)) as u64 > min_pixels);
            }
        }
    }

    #[test]
    fn any_size_gets_an_answer(height: usize, width: usize, frames: usize, min_pixels: u64, max_pixels: u64) {
        let budget = PixelBudget { min_pixels, max_pixels };
        for shift in [0, 20, 40, 52] {
            let (height, width, frames) = (height >> shift, width >> shift, frames >> shift);
            for size in [
                smart_resize(height, width, 32, &budget),
                smart_resize_video(frames, height, width, 2, 32, &budget),
            ].into_iter().flatten() {
                prop_assert!(size.0 % 32 == 0 && size.1 % 32 == 0);
            }
        }
    }

    #[test]
    fn videos_count_all_frames(frames in 2_usize..800, height in 1_usize..4000, width in 1_usize..4000) {
        if let Ok((h, w)) = smart_resize_video(frames, height, width, 2, 32, &PixelBudget::VIDEO) {
            prop_assert!(h % 32 == 0 && w % 32 == 0 && h > 0 && w > 0);
            // Up to one frame is lost in rounding the number of frames to pairs.
            prop_assert!(((frames - 1) * h * w) as u64 <= PixelBudget::VIDEO.max_pixels || h == 32 || w == 32);
        } else {
            prop_assert!(height.max(width) > 100 * height.min(width));
        }
    }
}

#[test]
fn a_side_that_no_picture_can_have_is_refused() {
    let picture = Rgb8::new(1, 1, vec![0; 3]).unwrap();
    for (height, width) in [(1, usize::MAX), (usize::MAX, 1)] {
        assert!(matches!(resize(&picture, height, width), Err(ImageError::BadLayout { .. })));
    }
}
