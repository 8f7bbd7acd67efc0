//! Frames of an animated WebP.
//!
//! Each is decoded as a file of its own. The decoder's own animations do not clear what a frame shall be cleared of, and trust that
//! a frame's bitstream has the size that the frame says.

use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, RgbaImage};

use super::canvas::{Canvas, Place};
use super::{Chunk, Chunks, check_chunks, damaged};
use crate::decode::{decode_with_image, too_much_memory};
use crate::format::Format;
use crate::{ImageError, ImageLimits};

/// The flag of `VP8X` that says that there are frames.
const ANIMATED: u8 = 0b10;

/// The flag of `VP8X` that says that there is transparency.
const TRANSPARENT: u8 = 0b1_0000;

/// Bytes of `VP8X`.
const HEADER_LEN: usize = 10;

/// Bytes before the picture in `ANMF`.
const FRAME_HEADER_LEN: usize = 16;

/// The flag of a frame that is cleared before the next one is shown.
const CLEARED: u8 = 0b01;

/// The flag of a frame that replaces what is below it, instead of being laid over it.
const REPLACING: u8 = 0b10;

/// An animated file.
#[derive(Debug, Clone)]
pub(crate) struct Animation<'b> {
    chunks: Chunks<'b>,
    canvas: Canvas,
}

/// What is seen for a while.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The whole canvas.
    pub(crate) picture: RgbaImage,
    /// How long it is seen, milliseconds.
    pub(crate) delay_ms: u32,
}

impl<'b> Animation<'b> {
    /// The animation in the bytes of a WebP file; none if it is a still picture.
    ///
    /// # Errors
    /// If the canvas exceeds the limits, or the file is damaged.
    pub(crate) fn find(bytes: &'b [u8], limits: &ImageLimits) -> Result<Option<Self>, ImageError> {
        check_chunks(bytes)?;
        let mut chunks = Chunks::of(bytes);
        let Some(Chunk { name: b"VP8X", body }) = chunks.next().transpose()? else { return Ok(None) };
        let Some(header) = body.first_chunk::<HEADER_LEN>().filter(|header| header[0] & ANIMATED != 0) else {
            return Ok(None);
        };
        let [width, height] = [4, 7].map(|at| three_bytes(header, at) + 1);
        limits.check_pixels(width.into(), height.into())?;
        if 4 * u64::from(width) * u64::from(height) > limits.max_decoder_bytes {
            return Err(too_much_memory(Format::WebP, limits));
        }
        Ok(Some(Self { chunks, canvas: Canvas::new(width, height) }))
    }

    /// The first frame, and how it is to be turned, for a reader of still pictures.
    ///
    /// # Errors
    /// If it is damaged, or there is none.
    pub(crate) fn into_still(mut self, limits: &ImageLimits) -> Result<(DynamicImage, Orientation), ImageError> {
        let mut others = self.chunks.clone();
        let first = self.next(limits)?.ok_or_else(|| damaged("the animation has no frames"))?;
        let exif = others.find_map(|chunk| chunk.ok().filter(|chunk| chunk.name == b"EXIF"));
        let orientation = exif.and_then(|chunk| Orientation::from_exif_chunk(chunk.body));
        Ok((DynamicImage::ImageRgba8(first.picture), orientation.unwrap_or(Orientation::NoTransforms)))
    }

    /// What is seen next; none behind the last frame.
    ///
    /// # Errors
    /// If it is damaged or exceeds the limits.
    pub(crate) fn next(&mut self, limits: &ImageLimits) -> Result<Option<Shown>, ImageError> {
        for chunk in self.chunks.by_ref() {
            let Chunk { name: b"ANMF", body } = chunk? else { continue };
            let frame = Frame::read(body).ok_or_else(|| damaged("a frame has no header"))?;
            let picture = frame.decode(limits)?;
            if !self.canvas.draw(&picture, frame.place, frame.flags & REPLACING == 0) {
                return Err(damaged("a frame lies outside the canvas, or has another size than it says"));
            }
            let picture = self.canvas.picture().clone();
            if frame.flags & CLEARED != 0 {
                self.canvas.clear_before_next(frame.place);
            }
            return Ok(Some(Shown { picture, delay_ms: frame.delay_ms }));
        }
        Ok(None)
    }
}

/// A frame as it stands in the file.
struct Frame<'b> {
    place: Place,
    delay_ms: u32,
    flags: u8,
    /// Chunks with the picture.
    data: &'b [u8],
}

impl<'b> Frame<'b> {
    fn read(body: &'b [u8]) -> Option<Self> {
        let (header, data) = body.split_first_chunk::<FRAME_HEADER_LEN>()?;
        let place = Place {
            x: 2 * three_bytes(header, 0),
            y: 2 * three_bytes(header, 3),
            width: three_bytes(header, 6) + 1,
            height: three_bytes(header, 9) + 1,
        };
        Some(Self { place, delay_ms: three_bytes(header, 12), flags: header[15], data })
    }

    fn decode(&self, limits: &ImageLimits) -> Result<RgbaImage, ImageError> {
        let file = self.as_file();
        check_chunks(&file)?;
        let (picture, _) = decode_with_image(&file, ImageFormat::WebP, Format::WebP, limits)?;
        Ok(picture.into_rgba8())
    }

    /// A still picture of this frame; one with a plane of transparency needs the extended layout.
    fn as_file(&self) -> Vec<u8> {
        let mut chunks = b"WEBP".to_vec();
        if self.data.starts_with(b"ALPH") {
            chunks.extend_from_slice(b"VP8X");
            chunks.extend_from_slice(&(HEADER_LEN as u32).to_le_bytes());
            chunks.extend_from_slice(&[TRANSPARENT, 0, 0, 0]);
            for side in [self.place.width, self.place.height] {
                chunks.extend_from_slice(&(side - 1).to_le_bytes()[..3]);
            }
        }
        chunks.extend_from_slice(self.data);
        let size = (chunks.len() as u32).to_le_bytes();
        [b"RIFF", &size[..], &chunks].concat()
    }
}

/// The number that begins at byte `at`.
fn three_bytes(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], 0])
}
