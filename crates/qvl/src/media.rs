//! Pictures and videos from files and from bytes.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use qvl_processor::Media;
pub use qvl_processor::{
    ImageError, ImageLimits, ResizedPicture, Rgb8, VideoMeta, VideoOptions, decode_frames, decode_image,
    frames_to_video,
};

use crate::error::Error;

/// Frames per second of frame lists that are said to be sampled already: the rate that Qwen3-VL samples videos at.
pub const SAMPLED_FPS: f64 = 2.0;

/// Reads a picture file.
///
/// # Errors
/// If the file cannot be read or is no picture that the model can be shown.
pub fn read_image(path: &Path) -> Result<Media, Error> {
    Ok(Media::Image(read_picture(path, &ImageLimits::default())?))
}

/// Reads the frames of one video from picture files.
///
/// With `fps`, the frames are all those of a video at that rate, and the model's own rate is sampled from them; without,
/// every frame is used, [`SAMPLED_FPS`] of them a second.
///
/// # Errors
/// If a file cannot be read or is no picture, or all frames together have more pixels than an animation may have.
pub fn read_frames(paths: &[PathBuf], fps: Option<f64>) -> Result<Media, Error> {
    let limits = ImageLimits::default();
    let mut frames = Vec::with_capacity(paths.len());
    let mut pixels = 0_u64;
    for path in paths {
        let frame = read_picture(path, &limits)?;
        pixels += (frame.width * frame.height) as u64;
        if pixels > limits.max_animation_pixels || frames.len() == limits.max_frames {
            return Err(Error::TooManyFrames {
                path: path.clone(),
                pixels: limits.max_animation_pixels,
                frames: limits.max_frames,
            });
        }
        frames.push(frame);
    }
    let meta = VideoMeta::new(fps.unwrap_or(SAMPLED_FPS), frames.len());
    Ok(Media::Video { frames, meta, sampled: fps.is_none() })
}

/// Reads an animated GIF or WebP file as a video.
///
/// # Errors
/// If the file cannot be read or holds no animation.
pub fn read_video(path: &Path) -> Result<Media, Error> {
    let limits = ImageLimits::default();
    let frames = decode_frames(&read_file(path, &limits)?, &limits).map_err(|source| media_error(path, source))?;
    let (frames, meta) = frames_to_video(frames);
    Ok(Media::Video { frames, meta, sampled: false })
}

fn read_picture(path: &Path, limits: &ImageLimits) -> Result<Rgb8, Error> {
    decode_image(&read_file(path, limits)?, limits).map_err(|source| media_error(path, source))
}

/// The file's bytes; of one that is too large, one byte more than the limit, which the decoder refuses.
fn read_file(path: &Path, limits: &ImageLimits) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(|source| Error::io(path, source))?;
    let mut bytes = Vec::new();
    file.take(limits.max_file_bytes + 1).read_to_end(&mut bytes).map_err(|source| Error::io(path, source))?;
    Ok(bytes)
}

fn media_error(path: &Path, source: ImageError) -> Error {
    Error::Media { path: path.to_path_buf(), source }
}
