//! What users give that is no proper picture, and the words they get for it.

#![allow(clippy::unwrap_used, reason = "helpers may panic in a test, too")]

mod support;

use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use qvl_processor::{
    ImageError, ImageLimits, ImageProcessor, PreprocessorConfig, Rgb8, VideoMeta, VideoOptions, VideoProcessor,
    decode_frames, decode_image,
};
use support::picture_bytes;

fn refusal(bytes: &[u8]) -> String {
    refusal_within(bytes, &ImageLimits::default())
}

fn refusal_within(bytes: &[u8], limits: &ImageLimits) -> String {
    decode_image(bytes, limits).unwrap_err().to_string()
}

fn encode(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 9]));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn processor() -> ImageProcessor {
    ImageProcessor::from_config(&PreprocessorConfig::image_from_json("{}").unwrap())
}

#[test]
fn nothing_and_no_picture() {
    assert_eq!(refusal(b""), "the picture is empty (0 bytes)");
    assert_eq!(
        refusal(b"{\"not\": \"a picture\"}"),
        "not a picture: the data begins like none of JPEG, PNG, WebP, GIF, BMP, TIFF"
    );
    assert_eq!(
        refusal(b"<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>"),
        "SVG pictures are not read; convert it to PNG or JPEG first"
    );
}

#[test]
fn truncated_pictures() {
    let jpeg = picture_bytes("smooth_640x427.jpg");
    assert_eq!(
        refusal(&jpeg[..jpeg.len() / 2]),
        "the JPEG picture is damaged, truncated or of an unusual kind that is not read; save it again as PNG or JPEG"
    );
    let formats = [ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff];
    for format in formats {
        let bytes = encode(64, 48, format);
        assert!(decode_image(&bytes, &ImageLimits::default()).is_ok());
        for keep in [bytes.len() / 2, 40, 20, 12] {
            let text = refusal(&bytes[..keep]);
            assert!(text.contains("damaged, truncated"), "{format:?} {keep}: {text}");
        }
    }
}

#[test]
fn the_decoder_speaks_only_as_the_source() {
    let jpeg = picture_bytes("smooth_640x427.jpg");
    let error = decode_image(&jpeg[..999], &ImageLimits::default()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(!source.is_empty() && !error.to_string().contains(&source));
}

#[test]
fn damaged_bytes_never_panic() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    let pictures = [
        picture_bytes("gray_180x120.jpg"),
        picture_bytes("exif6_320x200.jpg"),
        encode(24, 18, ImageFormat::Png),
        encode(24, 18, ImageFormat::Gif),
        encode(24, 18, ImageFormat::WebP),
        include_bytes!("support/moving.webp").to_vec(),
        encode(24, 18, ImageFormat::Bmp),
        encode(24, 18, ImageFormat::Tiff),
    ];
    let limits = ImageLimits { max_pixels: 1 << 20, max_decoder_bytes: 1 << 24, ..ImageLimits::default() };
    for picture in pictures {
        for _ in 0..200 {
            let mut bytes = picture.clone();
            for _ in 0..1 + random() % 8 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            let _ = decode_image(&bytes, &limits);
            let _ = decode_frames(&bytes, &limits);
        }
    }
}

#[test]
fn one_pixel_is_fine() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
        let picture = decode_image(&encode(1, 1, format), &ImageLimits::default()).unwrap();
        let patches = processor().process(&picture, None).unwrap();
        assert_eq!((patches.grid.h, patches.grid.w), (16, 16));
    }
}

#[test]
fn long_and_thin() {
    let bytes = encode(1, 100_000, ImageFormat::Png);
    let picture = decode_image(&bytes, &ImageLimits::default()).unwrap();
    let error = processor().process(&picture, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the picture is 1x100000: one side is more than 200 times the other, which the model cannot take; crop it or cut it into parts"
    );
    let at_the_limit = decode_image(&encode(4, 800, ImageFormat::Png), &ImageLimits::default());
    let patches = processor().process(&at_the_limit.unwrap(), None).unwrap();
    assert_eq!((patches.width, patches.height), (32, 3648));
    let just_over = decode_image(&encode(4, 801, ImageFormat::Png), &ImageLimits::default());
    assert!(processor().process(&just_over.unwrap(), None).is_err());
}

#[test]
fn limits_of_a_picture() {
    let bytes = encode(40, 30, ImageFormat::Png);
    let limits = ImageLimits { max_file_bytes: 100, ..ImageLimits::default() };
    let expected = format!("the picture file has {} bytes; the limit is 100", bytes.len());
    assert_eq!(refusal_within(&bytes, &limits), expected);
    let limits = ImageLimits { max_pixels: 1199, ..ImageLimits::default() };
    assert_eq!(refusal_within(&bytes, &limits), "the picture has 40x30 pixels; the limit is 1199 pixels");
    let limits = ImageLimits { max_decoder_bytes: 3599, ..ImageLimits::default() };
    assert_eq!(
        refusal_within(&bytes, &limits),
        "decoding the PNG picture takes more memory than the limit of 3599 bytes"
    );
    let jpeg = encode(40, 30, ImageFormat::Jpeg);
    assert_eq!(
        refusal_within(&jpeg, &limits),
        "decoding the JPEG picture takes more memory than the limit of 3599 bytes"
    );
}

#[test]
fn malformed_rgb() {
    let picture = Rgb8 { width: 10, height: 10, data: vec![0; 7] };
    let error = processor().process(&picture, None).unwrap_err();
    assert!(matches!(error, ImageError::BadLayout { .. }));
}

fn flat(width: usize, height: usize) -> Rgb8 {
    Rgb8::new(width, height, vec![0; width * height * 3]).unwrap()
}

#[test]
fn bad_videos() {
    let processor = VideoProcessor::from_config(&PreprocessorConfig::video_from_json("{}").unwrap());
    let refusal = |frames: &[Rgb8], meta: VideoMeta, options: VideoOptions| {
        let error = processor.process(frames, &meta, &options).unwrap_err();
        error.to_string()
    };
    let options = VideoOptions::default;
    let two = [flat(64, 64), flat(64, 64)];
    for fps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        for sampled in [false, true] {
            let wishes = VideoOptions { sampled, ..options() };
            assert_eq!(
                refusal(&two, VideoMeta::new(fps, 2), wishes),
                format!("the video's frame rate is {fps}; frames per second must be a finite number above 0")
            );
        }
    }
    assert_eq!(
        refusal(&two[..1], VideoMeta::new(1.0, 1), options()),
        "a video needs at least 2 frames, this one gives 1; give a single frame as a picture"
    );
    assert_eq!(
        refusal(&[], VideoMeta::new(1.0, 0), options()),
        "a video needs at least 2 frames, this one gives 0; give a single frame as a picture"
    );
    assert_eq!(
        refusal(&two, VideoMeta::new(1.0, usize::MAX), options()),
        "the video is said to have 18446744073709551615 frames, but 2 were given; give all of them, or say that they are sampled"
    );
    assert_eq!(
        refusal(&[flat(64, 64), flat(64, 32)], VideoMeta::new(1.0, 2), options()),
        "frame 1 is 64x32, but the first frame is 64x64; all frames of a video must have one size"
    );
    let contradiction = VideoOptions { fps: Some(1.0), num_frames: Some(2), ..options() };
    assert_eq!(
        refusal(&two, VideoMeta::new(1.0, 2), contradiction),
        "num_frames and fps exclude each other; give one of them"
    );
    let too_many = VideoOptions { num_frames: Some(1_000_000_000), ..options() };
    assert_eq!(
        refusal(&two, VideoMeta::new(1.0, 2), too_many),
        "1000000000 frames are asked for, but at most 768 are allowed; raise max_frames or ask for fewer"
    );
    let meta = VideoMeta { frame_indices: Some(vec![0]), ..VideoMeta::new(1.0, 2) };
    let sampled = VideoOptions { sampled: true, ..options() };
    assert_eq!(refusal(&two, meta, sampled), "1 frame indices were given for 2 frames; give one for each");
}
