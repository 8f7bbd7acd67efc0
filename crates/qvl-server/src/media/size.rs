//! How much memory pictures and videos will take.

use qvl::media::{ImageError, Rgb8, VideoOptions};
use qvl::{Media, Processor, PromptOptions};

use super::load::Loaded;

/// Bytes of a pixel in memory, and of the values of a pixel that the model is shown, in single precision.
const BYTES_PER_PIXEL: u64 = 3;
const BYTES_PER_PIXEL_VALUES: u64 = 4 * BYTES_PER_PIXEL;

/// Bytes that the prepared pictures and videos of a request will take, for `choices` answers.
pub(crate) fn estimated_bytes(
    loaded: &[Loaded],
    processor: &Processor,
    options: &PromptOptions,
    choices: usize,
) -> u64 {
    let bytes = loaded.iter().map(|loaded| match loaded {
        Loaded::Decoded(_, picture) => resized_bytes(picture, processor, options),
        Loaded::Ready(medium) => medium_bytes(medium, processor, options, choices),
    });
    // What cannot be prepared takes nothing; that it cannot is said when it is tried.
    bytes.map(Result::unwrap_or_default).fold(0, u64::saturating_add)
}

/// Of a picture that is resized: all answers share it, and its pixel values are there only while it is encoded.
fn resized_bytes(picture: &Rgb8, processor: &Processor, options: &PromptOptions) -> Result<u64, ImageError> {
    let budget = options.image_budget.as_ref();
    let (height, width) = processor.images().target_size(picture.height, picture.width, budget)?;
    Ok(volume(&[height, width]).saturating_mul(BYTES_PER_PIXEL))
}

fn medium_bytes(
    medium: &Media,
    processor: &Processor,
    options: &PromptOptions,
    choices: usize,
) -> Result<u64, ImageError> {
    match medium {
        Media::Resized(picture) => Ok(picture.picture().data.len() as u64),
        // Its values fill both frames of a temporal patch.
        Media::Image(picture) => {
            let pixels = resized_bytes(picture, processor, options)? / BYTES_PER_PIXEL;
            Ok(with_values(pixels.saturating_mul(2), choices))
        }
        Media::Video { frames, meta, sampled } => {
            let options = VideoOptions { sampled: *sampled, ..options.video.clone() };
            let size = processor.videos().target_size(frames, meta, &options)?;
            Ok(with_values(volume(&size), choices))
        }
    }
}

/// Of what is kept as pixel values: the pixels, the values, and a copy of these for each answer.
fn with_values(pixels: u64, choices: usize) -> u64 {
    let copies = (choices as u64).saturating_add(1);
    pixels.saturating_mul(BYTES_PER_PIXEL.saturating_add(BYTES_PER_PIXEL_VALUES.saturating_mul(copies)))
}

fn volume(sides: &[usize]) -> u64 {
    sides.iter().fold(1, |volume, &side| volume.saturating_mul(side as u64))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use qvl::media::VideoMeta;
    use qvl::{Message, Part, Role};

    use super::*;

    fn processor() -> Processor {
        Processor::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference/tiny/dense-tied")).unwrap()
    }

    fn picture(width: usize, height: usize) -> Rgb8 {
        Rgb8::new(width, height, vec![0; 3 * width * height]).unwrap()
    }

    fn video(frames: usize, width: usize, height: usize, sampled: bool) -> Media {
        Media::Video { frames: vec![picture(width, height); frames], meta: VideoMeta::new(2.0, frames), sampled }
    }

    #[test]
    fn all_values_of_videos_are_counted() {
        let processor = processor();
        let more_frames = VideoOptions { num_frames: Some(32), ..VideoOptions::default() };
        for (medium, video) in [
            // Sides below 32 pixels are enlarged, and the other side with them.
            (video(16, 1, 100, false), VideoOptions::default()),
            // Frames are taken more than once.
            (video(2, 64, 64, false), more_frames),
            (video(3, 64, 32, true), VideoOptions::default()),
            (Media::Image(picture(40, 300)), VideoOptions::default()),
        ] {
            let options = PromptOptions { video, ..PromptOptions::default() };
            let part = if matches!(medium, Media::Image(_)) { Part::Image(0) } else { Part::Video(0) };
            let messages = [Message::new(Role::User, vec![part])];
            let bytes = estimated_bytes(&[Loaded::Ready(medium.clone())], &processor, &options, 3);
            let prompt = processor.prepare(&messages, &[medium], &options).unwrap();
            let values = 4 * prompt.pixel_values.len() as u64;
            assert!(values > 0 && bytes > 3 * values && bytes < 5 * values, "{bytes} for {values}");
        }
    }

    #[test]
    fn what_cannot_be_prepared_takes_nothing() {
        let medium = Loaded::Ready(video(1, 1, 1000, false));
        assert_eq!(estimated_bytes(&[medium], &processor(), &PromptOptions::default(), 1), 0);
    }
}
