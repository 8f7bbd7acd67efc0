//! From the frames of a video to patches and timestamps (reference/SPEC.md §2).

use crate::patches::{Normalizer, PatchShape, patchify};
use crate::resize::resize;
use crate::sampling::{Rate, check_fps, sample_indices, timestamps};
use crate::smart_resize::smart_resize_video;
use crate::{ImageError, Patches, PixelBudget, PreprocessorConfig, Rgb8};

/// Where frames come from.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoMeta {
    /// Frames per second of the source video.
    pub fps: f64,
    /// Frames in the source video.
    pub total_frames: usize,
    /// For frames that were sampled already: the place of each in the source. `None` counts 0, 1, 2, …
    pub frame_indices: Option<Vec<usize>>,
}

impl VideoMeta {
    /// A source of `total_frames` frames at `fps`.
    #[must_use]
    pub fn new(fps: f64, total_frames: usize) -> Self {
        Self { fps, total_frames, frame_indices: None }
    }
}

/// Wishes for one video; what is `None` comes from the checkpoint's configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VideoOptions {
    /// The frames were sampled already: take all of them.
    pub sampled: bool,
    /// Frames to take per second. Excludes `num_frames`.
    pub fps: Option<f64>,
    /// Frames to take. Excludes `fps`.
    pub num_frames: Option<usize>,
    /// Never sample fewer than this, as far as the video has them.
    pub min_frames: Option<usize>,
    /// Never sample more than this.
    pub max_frames: Option<usize>,
    /// Bounds for the area of all sampled frames together, in pixels.
    pub budget: Option<PixelBudget>,
    /// Limit each frame to 768 tokens, as the original release does and `transformers` 5.23 by default does not.
    pub cap_pixels_per_frame: bool,
}

/// A video as the model takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoPatches {
    /// Values and grid; `grid.t` is the number of frame groups.
    pub patches: Patches,
    /// Seconds of each frame group, `grid.t` values.
    pub timestamps: Vec<f64>,
    /// The source frames taken.
    pub indices: Vec<usize>,
}

/// Samples, resizes, normalises and cuts videos as one checkpoint wants them.
#[derive(Debug, Clone)]
pub struct VideoProcessor {
    shape: PatchShape,
    budget: PixelBudget,
    normalizer: Normalizer,
    fps: f64,
    min_frames: usize,
    max_frames: usize,
}

impl VideoProcessor {
    /// A processor for a checked configuration.
    #[must_use]
    pub fn from_config(config: &PreprocessorConfig) -> Self {
        Self {
            shape: config.shape(),
            budget: config.budget,
            normalizer: Normalizer::new(config.mean, config.std),
            fps: config.fps,
            min_frames: config.min_frames,
            max_frames: config.max_frames,
        }
    }

    /// The budget used when a call names none.
    #[must_use]
    pub fn budget(&self) -> PixelBudget {
        self.budget
    }

    /// The frames of a source that will be taken; a caller that decodes only these passes them on with
    /// [`VideoOptions::sampled`] and [`VideoMeta::frame_indices`].
    ///
    /// # Errors
    /// [`ImageError::BadFps`], [`ImageError::TooFewFrames`], [`ImageError::BadVideo`] for wishes that contradict each other.
    pub fn sample(&self, meta: &VideoMeta, options: &VideoOptions) -> Result<Vec<usize>, ImageError> {
        sample_indices(meta.total_frames, meta.fps, self.rate(options)?)
    }

    /// Seconds of each group of frames, for source frames `indices` of a video at `fps`.
    ///
    /// # Errors
    /// [`ImageError::BadFps`].
    pub fn timestamps(&self, indices: &[usize], fps: f64) -> Result<Vec<f64>, ImageError> {
        check_fps("the video's frame rate", fps)?;
        Ok(timestamps(indices, fps, self.shape.temporal))
    }

    /// The `[frames, height, width]` that a video is brought to, frames in whole temporal patches.
    ///
    /// # Errors
    /// As [`VideoProcessor::process`].
    pub fn target_size(
        &self,
        frames: &[Rgb8],
        meta: &VideoMeta,
        options: &VideoOptions,
    ) -> Result<[usize; 3], ImageError> {
        let (taken, _) = self.taken(frames, meta, options)?;
        let (height, width) = self.frame_size(&taken, options)?;
        Ok([taken.len().next_multiple_of(self.shape.temporal), height, width])
    }

    /// Prepares the frames of one video, all of one size.
    ///
    /// Without [`VideoOptions::sampled`] `frames` are all the frames of the source, of which some are taken.
    ///
    /// # Errors
    /// As [`VideoProcessor::sample`] and [`smart_resize_video`]; [`ImageError::BadVideo`] when `meta` does not describe
    /// `frames`, [`ImageError::FrameSizesDiffer`].
    pub fn process(
        &self,
        frames: &[Rgb8],
        meta: &VideoMeta,
        options: &VideoOptions,
    ) -> Result<VideoPatches, ImageError> {
        let (taken, indices) = self.taken(frames, meta, options)?;
        let patches = self.patches(&taken, options)?;
        let timestamps = self.timestamps(&indices, meta.fps)?;
        Ok(VideoPatches { patches, timestamps, indices })
    }

    /// The frames that the model is shown, and where each stands in the source.
    fn taken<'a>(
        &self,
        frames: &'a [Rgb8],
        meta: &VideoMeta,
        options: &VideoOptions,
    ) -> Result<(Vec<&'a Rgb8>, Vec<usize>), ImageError> {
        check_fps("the video's frame rate", meta.fps)?;
        if options.sampled {
            return Ok((frames.iter().collect(), source_indices(frames, meta)?));
        }
        if meta.total_frames != frames.len() {
            return Err(ImageError::BadVideo(format!(
                "the video is said to have {} frames, but {} were given; give all of them, or say that they are sampled",
                meta.total_frames,
                frames.len()
            )));
        }
        let indices = self.sample(meta, options)?;
        let taken = indices.iter().filter_map(|&i| frames.get(i)).collect();
        Ok((taken, indices))
    }

    fn patches(&self, frames: &[&Rgb8], options: &VideoOptions) -> Result<Patches, ImageError> {
        let (height, width) = self.frame_size(frames, options)?;
        let resized = frames.iter().map(|frame| resize(frame, height, width)).collect::<Result<Vec<_>, _>>()?;
        let views: Vec<&Rgb8> = resized.iter().map(AsRef::as_ref).collect();
        Ok(patchify(&views, self.shape, &self.normalizer))
    }

    /// The `(height, width)` that each of the frames is resized to.
    fn frame_size(&self, frames: &[&Rgb8], options: &VideoOptions) -> Result<(usize, usize), ImageError> {
        let (height, width) = one_size(frames)?;
        let mut budget = options.budget.unwrap_or(self.budget);
        if options.cap_pixels_per_frame {
            budget = budget.capped_per_frame(frames.len());
        }
        let PatchShape { temporal, .. } = self.shape;
        let factor = self.shape.factor();
        smart_resize_video(frames.len(), height, width, temporal, factor, &budget)
    }

    fn rate(&self, options: &VideoOptions) -> Result<Rate, ImageError> {
        let max = options.max_frames.unwrap_or(self.max_frames);
        let min = options.min_frames.unwrap_or(self.min_frames).min(max);
        match (options.num_frames, options.fps) {
            (Some(_), Some(_)) => {
                Err(ImageError::BadVideo("num_frames and fps exclude each other; give one of them".into()))
            }
            (Some(count), None) if count > max => Err(ImageError::BadVideo(format!(
                "{count} frames are asked for, but at most {max} are allowed; raise max_frames or ask for fewer"
            ))),
            (Some(count), None) => Ok(Rate::Frames(count)),
            (None, fps) => Ok(Rate::Fps { fps: fps.unwrap_or(self.fps), min, max }),
        }
    }
}

/// The places of already sampled frames in their source.
fn source_indices(frames: &[Rgb8], meta: &VideoMeta) -> Result<Vec<usize>, ImageError> {
    match &meta.frame_indices {
        None => Ok((0..frames.len()).collect()),
        Some(indices) if indices.len() == frames.len() => Ok(indices.clone()),
        Some(indices) => Err(ImageError::BadVideo(format!(
            "{} frame indices were given for {} frames; give one for each",
            indices.len(),
            frames.len()
        ))),
    }
}

/// The common `(height, width)` of the frames.
fn one_size(frames: &[&Rgb8]) -> Result<(usize, usize), ImageError> {
    let Some(first) = frames.first() else {
        return Err(ImageError::TooFewFrames { frames: 0 });
    };
    for (index, frame) in frames.iter().enumerate() {
        frame.check()?;
        if (frame.width, frame.height) != (first.width, first.height) {
            return Err(ImageError::FrameSizesDiffer {
                index,
                width: frame.width,
                height: frame.height,
                first_width: first.width,
                first_height: first.height,
            });
        }
    }
    Ok((first.height, first.width))
}
