//! The model sees what a person sees: orientation, transparency, colour models, animations.

#![allow(clippy::unwrap_used, reason = "helpers may panic in a test, too")]

mod support;

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::{Delay, DynamicImage, ImageBuffer, ImageFormat, LumaA, Rgb, Rgba, RgbaImage};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use qvl_processor::{
    ImageLimits, PreprocessorConfig, Rgb8, VideoOptions, VideoProcessor, decode_frames, decode_image, frames_to_video,
};
use support::picture_bytes;

fn decode(bytes: &[u8]) -> Rgb8 {
    decode_image(bytes, &ImageLimits::default()).unwrap()
}

fn encode(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// EXIF data with nothing but an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0]);
    tiff
}

/// Where pixel `(x, y)` of the upright picture lies in the stored one (EXIF 2.3, tag 0x0112), stored as `w` x `h`.
fn stored_place(orientation: u8, x: usize, y: usize, w: usize, h: usize) -> (usize, usize) {
    match orientation {
        1 => (x, y),
        2 => (w - 1 - x, y),
        3 => (w - 1 - x, h - 1 - y),
        4 => (x, h - 1 - y),
        5 => (y, x),
        6 => (y, h - 1 - x),
        7 => (w - 1 - y, h - 1 - x),
        _ => (w - 1 - y, x),
    }
}

fn assert_upright(stored: &Rgb8, upright: &Rgb8, orientation: u8) {
    let (w, h) = (stored.width, stored.height);
    let turned = orientation >= 5;
    let expected = if turned { (h, w) } else { (w, h) };
    assert_eq!((upright.width, upright.height), expected, "{orientation}");
    for y in 0..upright.height {
        for x in 0..upright.width {
            let (sx, sy) = stored_place(orientation, x, y, w, h);
            let to = (y * upright.width + x) * 3;
            let from = (sy * w + sx) * 3;
            assert_eq!(upright.data[to..to + 3], stored.data[from..from + 3], "{orientation}");
        }
    }
}

#[test]
fn all_eight_orientations_of_a_jpeg() {
    let plain = picture_bytes("gray_180x120.jpg");
    let stored = decode(&plain);
    for orientation in 1..=8 {
        let payload = [b"Exif\0\0".as_slice(), &exif(orientation)].concat();
        let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
        let marker = [&[0xff, 0xe1], &length[..], &payload].concat();
        let turned = [&plain[..2], &marker, &plain[2..]].concat();
        assert_upright(&stored, &decode(&turned), orientation);
    }
}

#[test]
fn all_eight_orientations_of_a_webp() {
    let picture = RgbaImage::from_fn(7, 5, |x, y| Rgba([x as u8 * 30, y as u8 * 50, 9, 255]));
    let plain = encode(picture, ImageFormat::WebP);
    let stored = decode(&plain);
    for orientation in 1..=8 {
        let header = vp8x(0b1000, 7, 5);
        let chunks = [header, plain[12..].to_vec(), riff(b"EXIF", &exif(orientation))];
        assert_upright(&stored, &decode(&webp(&chunks)), orientation);
    }
}

#[test]
fn transparency_is_laid_on_white() {
    let picture = RgbaImage::from_fn(3, 1, |x, _| Rgba([200, 0, 100, [0, 128, 255][x as usize]]));
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let seen = decode(&encode(picture.clone(), format));
        assert_eq!(seen.data, [255, 255, 255, 227, 127, 177, 200, 0, 100]);
    }
    let grey = ImageBuffer::from_fn(2, 1, |x, _| LumaA([10_u8, [0, 255][x as usize]]));
    let seen = decode(&encode(grey, ImageFormat::Png));
    assert_eq!(seen.data, [255, 255, 255, 10, 10, 10]);
}

#[test]
fn sixteen_bits_are_scaled() {
    let deep = ImageBuffer::from_fn(2, 1, |x, _| Rgb([[0_u16, 65_535][x as usize], 32_896, 257]));
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let seen = decode(&encode(deep.clone(), format));
        assert_eq!(seen.data, [0, 128, 1, 255, 128, 1]);
    }
}

#[test]
fn cmyk_jpeg() {
    // Inverted inks, as every writer stores them: red is full magenta and yellow, that is (255, 0, 0, 255).
    let red = [255, 0, 0, 255].repeat(16 * 16);
    let bytes = compress(&red, 16, 16, PixelFormat::Cmyk, 100, Subsampling::S444).unwrap();
    let seen = decode(&bytes);
    assert_eq!((seen.width, seen.height), (16, 16));
    for pixel in seen.data.chunks_exact(3) {
        assert!(pixel[0] > 250 && pixel[1] < 5 && pixel[2] < 5, "{pixel:?}");
    }
}

#[test]
fn damaged_cmyk_jpegs_are_no_panic() {
    let inks: Vec<u8> = (0..16 * 16 * 4).map(|i| (i * 37 % 256) as u8).collect();
    let bytes = compress(&inks, 16, 16, PixelFormat::Cmyk, 60, Subsampling::S444).unwrap();
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1 << bit;
            let _ = decode_image(&damaged, &ImageLimits::default());
        }
    }
}

/// A GIF of flat frames: grey level and delay in milliseconds of each.
fn gif(frames: &[(u8, u32)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for &(level, delay) in frames {
        let picture = RgbaImage::from_pixel(64, 32, Rgba([level, level, level, 255]));
        let delay = Delay::from_numer_denom_ms(delay, 1);
        encoder.encode_frame(image::Frame::from_parts(picture, 0, 0, delay)).unwrap();
    }
    drop(encoder);
    bytes
}

#[test]
fn a_gif_is_a_video_and_its_first_frame_a_picture() {
    let bytes = gif(&[(10, 500), (60, 500), (110, 500), (160, 500), (210, 500)]);
    assert!(decode(&bytes).data.iter().all(|&s| s == 10));
    let frames = decode_frames(&bytes, &ImageLimits::default()).unwrap();
    let levels: Vec<u8> = frames.iter().map(|frame| frame.image.data[0]).collect();
    assert_eq!(levels, [10, 60, 110, 160, 210]);
    let (frames, meta) = frames_to_video(frames);
    assert_eq!((meta.fps, meta.total_frames), (2.0, 5));
    let config = PreprocessorConfig::video_from_json("{}").unwrap();
    let video = VideoProcessor::from_config(&config).process(&frames, &meta, &VideoOptions::default()).unwrap();
    assert_eq!(video.indices, [0, 1, 2, 3, 4]);
    assert_eq!(video.timestamps, [0.25, 1.25, 2.0]);
    assert_eq!((video.patches.width, video.patches.height), (64, 32));
}

#[test]
fn no_delay_is_shown_as_browsers_show_it() {
    let frames = decode_frames(&gif(&[(1, 0), (2, 10), (3, 20)]), &ImageLimits::default()).unwrap();
    let delays: Vec<f64> = frames.iter().map(|frame| frame.delay_ms).collect();
    assert_eq!(delays, [100.0, 100.0, 20.0]);
}

#[test]
fn limits_of_an_animation() {
    let bytes = gif(&[(1, 50), (2, 50), (3, 50)]);
    let refusal = |limits: ImageLimits| decode_frames(&bytes, &limits).unwrap_err().to_string();
    let few = ImageLimits { max_frames: 2, ..ImageLimits::default() };
    assert_eq!(refusal(few), "the animation has more than 2 frames; shorten it or raise the limit");
    let small = ImageLimits { max_animation_pixels: 64 * 32 * 2, ..ImageLimits::default() };
    assert_eq!(
        refusal(small),
        "the animation has more than 4096 pixels in all its frames; shorten or shrink it, or raise the limit"
    );
    let still = picture_bytes("exact_256x256.png");
    let error = decode_frames(&still, &ImageLimits::default()).unwrap_err();
    assert_eq!(error.to_string(), "PNG holds a single picture; give an animated GIF or WebP, or a list of frames");
}

/// A RIFF chunk.
fn riff(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    let padding = &[0][..data.len() % 2];
    [kind.as_slice(), &length, data, padding].concat()
}

fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    riff(b"RIFF", &[b"WEBP".as_slice(), &chunks.concat()].concat())
}

fn three_bytes(n: u32) -> [u8; 3] {
    let [a, b, c, _] = n.to_le_bytes();
    [a, b, c]
}

fn vp8x(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let sides = [three_bytes(width - 1), three_bytes(height - 1)].concat();
    riff(b"VP8X", &[&[flags, 0, 0, 0], &sides[..]].concat())
}

#[test]
fn an_animated_webp_is_a_video() {
    let mut chunks = vec![vp8x(0b10, 8, 4), riff(b"ANIM", &[0; 6])];
    for level in [50, 100, 150] {
        let picture = RgbaImage::from_pixel(8, 4, Rgba([level, 0, 0, 255]));
        let still = encode(picture, ImageFormat::WebP);
        let place = [0; 6];
        let sides = [three_bytes(7), three_bytes(3)].concat();
        let delay = three_bytes(250);
        chunks.push(riff(b"ANMF", &[&place, &sides[..], &delay, &[0b10], &still[12..]].concat()));
    }
    let bytes = webp(&chunks);
    let frames = decode_frames(&bytes, &ImageLimits::default()).unwrap();
    let levels: Vec<u8> = frames.iter().map(|frame| frame.image.data[0]).collect();
    assert_eq!(levels, [50, 100, 150]);
    assert_eq!(frames_to_video(frames).1.fps, 4.0);
    assert_eq!(decode(&bytes).data[0], 50);
    let still = encode(RgbaImage::new(2, 2), ImageFormat::WebP);
    assert!(decode_frames(&still, &ImageLimits::default()).is_err());
}

/// 24 x 18 pixels, transparent, with three lossy frames of 8 x 11: a rectangle moves from x = 0 to 4 to 8, and each frame is
/// cleared before the next. Its upper part is opaque, its lower one, from y = 10 on, is not. Written by Pillow 13.
const MOVING: &[u8] = include_bytes!("support/moving.webp");

#[test]
fn frames_of_an_animated_webp_are_cleared() {
    let frames = decode_frames(MOVING, &ImageLimits::default()).unwrap();
    assert_eq!(frames.len(), 3);
    for (index, frame) in frames.iter().enumerate() {
        let pixel = |x: usize, y: usize| &frame.image.data[3 * (24 * y + x)..][..3];
        for place in 0..3 {
            let (upper, lower) = (pixel(4 * place + 2, 6), pixel(4 * place + 2, 11));
            // A frame is eight pixels wide, the next one begins after four.
            let is_seen = place == index || place == index + 1;
            assert_eq!(upper[0] < 240, is_seen, "frame {index}, place {place}: {upper:?}");
            assert_eq!(lower[0] < 200, is_seen, "frame {index}, place {place}: {lower:?}");
        }
    }
    // What Pillow shows of the first one, on white.
    for (y, wanted) in [(6, [199, 0, 94]), (11, [136, 129, 171])] {
        let found = &frames[0].image.data[3 * (24 * y + 2)..][..3];
        assert!(found.iter().zip(wanted).all(|(&found, wanted)| found.abs_diff(wanted) <= 2), "{found:?}");
    }
    assert_eq!(decode(MOVING), frames[0].image);
}

#[test]
fn opaque_frames_are_cleared_too() {
    let frame = |x: u32, colour: [u8; 4]| {
        let still = encode(RgbaImage::from_pixel(4, 4, Rgba(colour)), ImageFormat::WebP);
        let place = [three_bytes(x / 2), [0; 3]].concat();
        let sides = [three_bytes(3), three_bytes(3)].concat();
        riff(b"ANMF", &[&place, &sides[..], &three_bytes(100), &[0b01], &still[12..]].concat())
    };
    let (red, half_blue) = ([200, 0, 0, 255], [0, 0, 200, 128]);
    let file =
        webp(&[vp8x(0b10, 8, 4), riff(b"ANIM", &[0; 6]), frame(0, red), frame(4, half_blue), frame(0, half_blue)]);
    let frames = decode_frames(&file, &ImageLimits::default()).unwrap();
    let row = |index: usize| -> Vec<&[u8]> { [0, 5].map(|x| &frames[index].image.data[3 * x..][..3]).to_vec() };
    let (white, pale) = (&[255, 255, 255][..], &[127, 127, 227][..]);
    assert_eq!([row(0), row(1), row(2)], [[&red[..3], white], [white, pale], [pale, white]]);
}

#[test]
fn a_frame_whose_picture_has_another_size_is_refused() {
    let start_code = MOVING.windows(3).position(|bytes| bytes == [0x9d, 0x01, 0x2a]).unwrap();
    for (width, height) in [(64_u16, 64_u16), (8, 64), (64, 11), (1, 1), (0, 0)] {
        let mut bytes = MOVING.to_vec();
        bytes[start_code + 3..][..2].copy_from_slice(&width.to_le_bytes());
        bytes[start_code + 5..][..2].copy_from_slice(&height.to_le_bytes());
        assert!(decode_frames(&bytes, &ImageLimits::default()).is_err(), "{width} x {height}");
        assert!(decode_image(&bytes, &ImageLimits::default()).is_err(), "{width} x {height}");
    }
}

#[test]
fn what_lies_behind_a_webp_is_passed_over() {
    let plain = encode(RgbaImage::from_pixel(8, 4, Rgba([9, 8, 7, 255])), ImageFormat::WebP);
    for file in [plain, MOVING.to_vec()] {
        assert_eq!(decode(&[&file[..], b"some text that a careless program left"].concat()), decode(&file));
    }
}
