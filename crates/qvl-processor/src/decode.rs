//! From a picture file to RGB, so that the model sees what a person sees.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use crate::format::Format;
use crate::webp::Animation;
use crate::{ImageError, Rgb8, jpeg};

/// What a decoder may take beside the pixels: rows, tables, colour profiles, comments.
const DECODER_WORK_BYTES: u64 = 32 << 20;

/// What a picture file may cost; all of it is checked before the memory is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageLimits {
    /// Bytes of the file.
    pub max_file_bytes: u64,
    /// Pixels of one picture or frame.
    pub max_pixels: u64,
    /// Bytes a decoder may take for one picture, for its buffers and its result each.
    pub max_decoder_bytes: u64,
    /// Frames of an animation.
    pub max_frames: usize,
    /// Pixels of all frames of an animation together.
    pub max_animation_pixels: u64,
}

impl Default for ImageLimits {
    /// 256 MiB of file, 178 956 970 pixels (where Pillow refuses, too), 1 GiB of decoder, 4096 frames of 2^28 pixels in all.
    fn default() -> Self {
        Self {
            max_file_bytes: 256 << 20,
            max_pixels: 178_956_970,
            max_decoder_bytes: 1 << 30,
            max_frames: 4096,
            max_animation_pixels: 1 << 28,
        }
    }
}

impl ImageLimits {
    pub(crate) fn check_file(&self, bytes: &[u8]) -> Result<(), ImageError> {
        let (bytes, limit) = (bytes.len() as u64, self.max_file_bytes);
        if bytes > limit {
            return Err(ImageError::FileTooLarge { bytes, limit });
        }
        Ok(())
    }

    pub(crate) fn check_pixels(&self, width: u64, height: u64) -> Result<(), ImageError> {
        if width == 0 || height == 0 {
            let (width, height) = (width as usize, height as usize);
            return Err(ImageError::NoPixels { width, height });
        }
        if width.saturating_mul(height) > self.max_pixels {
            return Err(ImageError::TooManyPixels { width, height, limit: self.max_pixels });
        }
        Ok(())
    }

    /// The limits in the words of the `image` crate, for a picture that needs so many bytes.
    pub(crate) fn for_decoder(&self, needed: u64) -> image::Limits {
        let mut limits = image::Limits::no_limits();
        let sensible = needed.saturating_add(DECODER_WORK_BYTES);
        limits.max_alloc = Some(sensible.min(self.max_decoder_bytes));
        limits
    }
}

/// Decodes a JPEG, PNG, WebP, BMP or TIFF picture, or the first frame of a GIF.
///
/// The format is told by the bytes. The EXIF orientation is applied, transparency is laid on white, grey, palette, 16-bit
/// and CMYK samples become 8-bit RGB; colour profiles are not applied, as the reference does not. The pixels of a JPEG
/// are those of libjpeg-turbo with its default settings, bit for bit (reference/SPEC.md §1.1).
///
/// # Errors
/// [`ImageError`] says what the bytes are instead, which limit they exceed, or that they are damaged.
pub fn decode_image(bytes: &[u8], limits: &ImageLimits) -> Result<Rgb8, ImageError> {
    limits.check_file(bytes)?;
    let (mut picture, orientation) = match Format::sniff(bytes)? {
        Format::Jpeg => jpeg::decode(bytes, limits)?,
        Format::Png => decode_with_image(bytes, ImageFormat::Png, Format::Png, limits)?,
        Format::WebP => match Animation::find(bytes, limits)? {
            Some(animation) => animation.into_still(limits)?,
            None => decode_with_image(bytes, ImageFormat::WebP, Format::WebP, limits)?,
        },
        Format::Gif => decode_with_image(bytes, ImageFormat::Gif, Format::Gif, limits)?,
        Format::Bmp => decode_with_image(bytes, ImageFormat::Bmp, Format::Bmp, limits)?,
        Format::Tiff => decode_with_image(bytes, ImageFormat::Tiff, Format::Tiff, limits)?,
    };
    picture.apply_orientation(orientation);
    flatten(picture)
}

/// Decodes with the `image` crate.
pub(crate) fn decode_with_image(
    bytes: &[u8],
    image_format: ImageFormat,
    format: Format,
    limits: &ImageLimits,
) -> Result<(DynamicImage, Orientation), ImageError> {
    let wrap = |error| decoder_error(format, limits, error);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), image_format);
    // Until its size is known a picture may take only what headers and metadata need.
    reader.limits(limits.for_decoder(0));
    let mut decoder = reader.into_decoder().map_err(wrap)?;
    let (width, height) = decoder.dimensions();
    limits.check_pixels(width.into(), height.into())?;
    let needed = decoder.total_bytes();
    if needed > limits.max_decoder_bytes {
        return Err(too_much_memory(format, limits));
    }
    let needed = needed.saturating_add(bytes.len() as u64);
    decoder.set_limits(limits.for_decoder(needed)).map_err(wrap)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(wrap)?;
    Ok((picture, orientation))
}

/// Brings any decoded picture to RGB, laying what is transparent on white.
fn flatten(picture: DynamicImage) -> Result<Rgb8, ImageError> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let data =
        if picture.color().has_alpha() { over_white(&picture.into_rgba8()) } else { picture.into_rgb8().into_raw() };
    Rgb8::new(width, height, data)
}

/// Lays RGBA samples on white: `round((s·a + 255·(255 − a)) / 255)`.
pub(crate) fn over_white(rgba: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        let white = 255 * (255 - alpha);
        let lay = |sample: u8| ((u32::from(sample) * alpha + white + 127) / 255) as u8;
        rgb.extend_from_slice(&[lay(pixel[0]), lay(pixel[1]), lay(pixel[2])]);
    }
    rgb
}

/// Translates an error of the `image` crate.
pub(crate) fn decoder_error(format: Format, limits: &ImageLimits, error: image::ImageError) -> ImageError {
    match error {
        image::ImageError::Limits(_) => too_much_memory(format, limits),
        other => ImageError::Damaged { format: format.name(), source: Box::new(other) },
    }
}

pub(crate) fn too_much_memory(format: Format, limits: &ImageLimits) -> ImageError {
    ImageError::TooMuchMemory { format: format.name(), limit: limits.max_decoder_bytes }
}
