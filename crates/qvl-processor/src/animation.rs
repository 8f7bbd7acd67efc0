//! Animated pictures as videos.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, ImageDecoder, RgbaImage};

use crate::decode::{decoder_error, over_white};
use crate::format::Format;
use crate::webp::Animation;
use crate::{ImageError, ImageLimits, Rgb8, VideoMeta};

/// Delays up to this are shown as [`USUAL_DELAY_MS`], as browsers do: such files were made for old, slow viewers.
const SHORTEST_DELAY_MS: f64 = 10.0;

/// What browsers show frames of no delay for.
const USUAL_DELAY_MS: f64 = 100.0;

/// One composed frame of an animation.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The whole canvas as it is seen, transparency on white.
    pub image: Rgb8,
    /// How long it is seen, milliseconds.
    pub delay_ms: f64,
}

/// Decodes all frames of a GIF or an animated WebP.
///
/// # Errors
/// [`ImageError::NotAnimated`] for a single picture; as [`crate::decode_image`]; [`ImageError::TooManyFrames`] and
/// [`ImageError::AnimationTooLarge`].
pub fn decode_frames(bytes: &[u8], limits: &ImageLimits) -> Result<Vec<Frame>, ImageError> {
    limits.check_file(bytes)?;
    let format = Format::sniff(bytes)?;
    let wrap = |error| decoder_error(format, limits, error);
    let not_animated = ImageError::NotAnimated { format: format.name() };
    match format {
        Format::Gif => {
            let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(wrap)?;
            prepare(&mut decoder, format, limits)?;
            let mut frames = decoder.into_frames();
            collect(format, limits, || {
                let Some(frame) = frames.next().transpose().map_err(wrap)? else { return Ok(None) };
                let (numerator, denominator) = frame.delay().numer_denom_ms();
                let delay_ms = f64::from(numerator) / f64::from(denominator.max(1));
                Ok(Some((frame.into_buffer(), delay_ms)))
            })
        }
        Format::WebP => {
            let mut animation = Animation::find(bytes, limits)?.ok_or(not_animated)?;
            collect(format, limits, || {
                let shown = animation.next(limits)?;
                Ok(shown.map(|shown| (shown.picture, f64::from(shown.delay_ms))))
            })
        }
        _ => Err(not_animated),
    }
}

/// The frames of an animation and their description, ready for [`crate::VideoProcessor`].
///
/// The rate is the mean over the whole animation, so that the last timestamp is right whatever the single delays are.
#[must_use]
pub fn frames_to_video(frames: Vec<Frame>) -> (Vec<Rgb8>, VideoMeta) {
    let seconds: f64 = frames.iter().map(|frame| frame.delay_ms / 1000.0).sum();
    let fps = if seconds > 0.0 { frames.len() as f64 / seconds } else { 1000.0 / USUAL_DELAY_MS };
    let meta = VideoMeta::new(fps, frames.len());
    (frames.into_iter().map(|frame| frame.image).collect(), meta)
}

/// Checks the canvas and hands the limits to the decoder.
fn prepare(decoder: &mut impl ImageDecoder, format: Format, limits: &ImageLimits) -> Result<(), ImageError> {
    let (width, height) = decoder.dimensions();
    limits.check_pixels(width.into(), height.into())?;
    // The canvas, a frame and the result exist at the same time.
    let needed = decoder.total_bytes().saturating_mul(3);
    decoder.set_limits(limits.for_decoder(needed)).map_err(|error| decoder_error(format, limits, error))
}

/// All frames that `next` gives, each with its delay in milliseconds, within the limits.
fn collect(
    format: Format,
    limits: &ImageLimits,
    mut next: impl FnMut() -> Result<Option<(RgbaImage, f64)>, ImageError>,
) -> Result<Vec<Frame>, ImageError> {
    let mut frames = Vec::new();
    let mut pixels = 0_u64;
    while let Some((frame, delay_ms)) = next()? {
        let (width, height) = frame.dimensions();
        pixels = pixels.saturating_add(u64::from(width) * u64::from(height));
        if frames.len() == limits.max_frames {
            return Err(ImageError::TooManyFrames { limit: limits.max_frames });
        }
        if pixels > limits.max_animation_pixels {
            return Err(ImageError::AnimationTooLarge { limit: limits.max_animation_pixels });
        }
        let image = Rgb8::new(width as usize, height as usize, over_white(&frame))?;
        frames.push(Frame { image, delay_ms: shown_for(delay_ms) });
    }
    if frames.is_empty() {
        return Err(ImageError::Damaged { format: format.name(), source: "the animation has no frames".into() });
    }
    Ok(frames)
}

fn shown_for(delay_ms: f64) -> f64 {
    if delay_ms <= SHORTEST_DELAY_MS { USUAL_DELAY_MS } else { delay_ms }
}
