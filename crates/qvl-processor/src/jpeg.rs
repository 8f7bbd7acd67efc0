//! JPEG with the pixels of libjpeg-turbo, which the reference decodes with.
//!
//! The `image` crate's own decoder differs from it by a few levels in up to a quarter of the samples (inverse cosine
//! transform and chroma upsampling), enough to change features.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use libjpeg_turbo_rs::{ColorSpace, DecodeLimits, Decoder, JpegError, PixelFormat};

use crate::decode::too_much_memory;
use crate::format::Format;
use crate::{ImageError, ImageLimits};

/// Scans a progressive picture may have; encoders write about ten, a bomb thousands.
const MAX_SCANS: usize = 500;

/// Decodes to RGB, and tells the EXIF orientation, which is not applied yet.
pub(crate) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<(DynamicImage, Orientation), ImageError> {
    let wrap = |error| decoder_error(limits, error);
    let decoder_limits = DecodeLimits {
        max_width: usize::from(u16::MAX),
        max_height: usize::from(u16::MAX),
        max_pixels: limits.max_pixels,
        max_scans: MAX_SCANS,
        max_memory: Some(limits.max_decoder_bytes),
    };
    let mut decoder = Decoder::new_with_limits(bytes, decoder_limits).map_err(wrap)?;
    let header = decoder.header();
    limits.check_pixels(header.width.into(), header.height.into())?;
    let is_cmyk = matches!(decoder.jpeg_color_space(), ColorSpace::Cmyk | ColorSpace::Ycck);
    decoder.set_output_format(if is_cmyk { PixelFormat::Cmyk } else { PixelFormat::Rgb });
    decoder.set_block_smoothing(true);
    let orientation = decoder.exif_orientation().and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms);
    let decoded = decoder.decode_image().map_err(wrap)?;
    let (width, height) = (decoded.width as u32, decoded.height as u32);
    let rgb = if is_cmyk { cmyk_to_rgb(&decoded.data) } else { decoded.data };
    let picture = RgbImage::from_raw(width, height, rgb).ok_or(ImageError::BadLayout {
        width: decoded.width,
        height: decoded.height,
        bytes: 0,
    })?;
    Ok((picture.into(), orientation))
}

/// `round(c·k / 255)`: JPEG files hold CMYK inverted, the convention of Adobe that all writers follow.
fn cmyk_to_rgb(cmyk: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(cmyk.len() / 4 * 3);
    for pixel in cmyk.chunks_exact(4) {
        let key = u32::from(pixel[3]);
        let mix = |ink: u8| ((u32::from(ink) * key + 127) / 255) as u8;
        rgb.extend_from_slice(&[mix(pixel[0]), mix(pixel[1]), mix(pixel[2])]);
    }
    rgb
}

fn decoder_error(limits: &ImageLimits, error: JpegError) -> ImageError {
    match error {
        JpegError::LimitExceeded { .. } | JpegError::AllocationFailed { .. } => too_much_memory(Format::Jpeg, limits),
        other => ImageError::Damaged { format: Format::Jpeg.name(), source: Box::new(other) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverted_cmyk() {
        let white_black_red = [255, 255, 255, 255, 9, 9, 9, 0, 255, 0, 0, 255];
        assert_eq!(cmyk_to_rgb(&white_black_red), [255, 255, 255, 0, 0, 0, 255, 0, 0]);
    }
}
