//! JPEG with the pixels of libjpeg-turbo, which the reference decodes with.
//!
//! The `image` crate's own decoder differs from it by a few levels in up to a quarter of the samples (inverse cosine
//! transform and chroma upsampling), enough to change features.

use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, RgbImage};
use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat};

use crate::decode::{decode_with_image, too_much_memory};
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
    if header.components.len() == 4 {
        // This decoder panics on damaged files of four inks, and the reference has no pixels of them to be equal to.
        return decode_with_image(bytes, ImageFormat::Jpeg, Format::Jpeg, limits);
    }
    decoder.set_output_format(PixelFormat::Rgb);
    decoder.set_block_smoothing(true);
    let orientation = decoder.exif_orientation().and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms);
    let decoded = decoder.decode_image().map_err(wrap)?;
    let (width, height) = (decoded.width as u32, decoded.height as u32);
    let picture = RgbImage::from_raw(width, height, decoded.data).ok_or(ImageError::BadLayout {
        width: decoded.width,
        height: decoded.height,
        bytes: 0,
    })?;
    Ok((picture.into(), orientation))
}

fn decoder_error(limits: &ImageLimits, error: JpegError) -> ImageError {
    match error {
        JpegError::LimitExceeded { .. } | JpegError::AllocationFailed { .. } => too_much_memory(Format::Jpeg, limits),
        other => ImageError::Damaged { format: Format::Jpeg.name(), source: Box::new(other) },
    }
}
