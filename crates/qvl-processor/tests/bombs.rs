//! Small files that claim, or unpack to, far more than memory holds: refused before the memory is taken.

#![allow(clippy::unwrap_used, reason = "helpers may panic in a test, too")]

mod support;

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use qvl_processor::{ImageLimits, decode_frames, decode_image};

/// A PNG chunk.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], kind, data, &crc.sum().to_be_bytes()].concat()
}

/// So many zero bytes, compressed.
fn zeros(count: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let block = vec![0; 1 << 20];
    for _ in 0..count.div_ceil(block.len()) {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap()
}

/// A grey 8-bit PNG of this size with more chunks before the data.
fn png(width: u32, height: u32, chunks: &[Vec<u8>], data: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(chunk(b"IHDR", &header));
    bytes.extend(chunks.concat());
    bytes.extend(chunk(b"IDAT", data));
    bytes.extend(chunk(b"IEND", b""));
    bytes
}

/// The most memory this process ever held, bytes.
#[cfg(target_os = "linux")]
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}

#[cfg(not(target_os = "linux"))]
fn peak_memory() -> u64 {
    0
}

fn refusal(bytes: &[u8]) -> String {
    let error = decode_image(bytes, &ImageLimits::default()).unwrap_err();
    error.to_string()
}

fn claimed_sizes() {
    let zipped = zeros(1 << 20);
    assert_eq!(
        refusal(&png(50_000, 50_000, &[], &zipped)),
        "the picture has 50000x50000 pixels; the limit is 178956970 pixels"
    );
    let too_many = "the limit is 178956970 pixels";
    let mut jpeg = support::picture_bytes("gray_180x120.jpg");
    let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0x00, 0xff, 0x00]);
    assert!(refusal(&jpeg).ends_with(too_many));
    let gif = b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;".to_vec();
    assert!(refusal(&gif).ends_with(too_many), "{}", refusal(&gif));
    let frames = decode_frames(&gif, &ImageLimits::default()).unwrap_err();
    assert!(frames.to_string().ends_with(too_many));
    let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bmp.extend(50_000_i32.to_le_bytes());
    bmp.extend(50_000_i32.to_le_bytes());
    bmp.extend([1, 0, 24, 0]);
    bmp.extend([0; 24]);
    assert!(refusal(&bmp).ends_with(too_many), "{}", refusal(&bmp));
    assert!(refusal(&tiff(50_000, 50_000)).ends_with(too_many));
}

/// A TIFF whose only strip is said to hold the whole picture.
fn tiff(width: u32, height: u32) -> Vec<u8> {
    let entries: [(u16, u32); 9] =
        [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, u32::MAX)];
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(4_u16.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

/// A WebP whose EXIF chunk is said to be almost 4 GiB long.
fn lying_metadata() {
    let mut bytes = Cursor::new(Vec::new());
    let picture = image::RgbImage::new(4, 4);
    picture.write_to(&mut bytes, image::ImageFormat::WebP).unwrap();
    let still = bytes.into_inner();
    let extended = b"VP8X\x0a\0\0\0\x08\0\0\0\x03\0\0\x03\0\0".as_slice();
    let exif = b"EXIF\xf0\xff\xff\xff".as_slice();
    for chunks in [[extended, &still[12..], exif], [extended, exif, &still[12..]]] {
        let body = [b"WEBP".as_slice(), &chunks.concat()].concat();
        for length in [body.len() as u32, u32::MAX] {
            let file = [b"RIFF".as_slice(), &length.to_le_bytes(), &body].concat();
            assert!(decode_image(&file, &ImageLimits::default()).is_err());
        }
    }
}

fn packed_metadata() {
    let packed = zeros(512 << 20);
    let text = [b"Comment\0\0".as_slice(), &packed].concat();
    let profile = [b"icc\0\0".as_slice(), &packed].concat();
    for bomb in [chunk(b"zTXt", &text), chunk(b"iCCP", &profile)] {
        let bytes = png(4, 4, &[bomb], &zeros(1));
        // Refusing the file and passing over the chunk are both right; unpacking it is not.
        let _ = decode_image(&bytes, &ImageLimits::default());
    }
    // The picture itself unpacks to far more than it has pixels.
    let _ = decode_image(&png(4, 4, &[], &packed), &ImageLimits::default());
}

/// One test, because the peak belongs to the whole process.
#[test]
fn bombs_take_no_memory() {
    claimed_sizes();
    lying_metadata();
    packed_metadata();
    let peak = peak_memory();
    assert!(peak < 128 << 20, "the peak was {peak} bytes");
}
