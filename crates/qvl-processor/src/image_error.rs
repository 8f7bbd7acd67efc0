//! What can be wrong with a picture, a video or their configuration.

use std::path::PathBuf;

/// Why a picture or a video could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No bytes at all.
    #[error("the picture is empty (0 bytes)")]
    Empty,
    /// More bytes than [`crate::ImageLimits::max_file_bytes`].
    #[error("the picture file has {bytes} bytes; the limit is {limit}")]
    FileTooLarge {
        /// Size of the file.
        bytes: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The first bytes belong to no format that is read.
    #[error("not a picture: the data begins like none of JPEG, PNG, WebP, GIF, BMP, TIFF")]
    UnknownFormat,
    /// A known format that is not read.
    #[error("{format} pictures are not read; convert it to PNG or JPEG first")]
    UnsupportedFormat {
        /// The format's name.
        format: &'static str,
    },
    /// The container is fine, but holds no moving pictures.
    #[error("{format} holds a single picture; give an animated GIF or WebP, or a list of frames")]
    NotAnimated {
        /// The format's name.
        format: &'static str,
    },
    /// The decoder gave up: truncated or damaged data, or a variant it does not read.
    #[error(
        "the {format} picture is damaged, truncated or of an unusual kind that is not read; save it again as PNG or JPEG"
    )]
    Damaged {
        /// The format's name.
        format: &'static str,
        /// The decoder's words, which stay out of this error's own text: remote clients are not shown them.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// More pixels than [`crate::ImageLimits::max_pixels`].
    #[error("the picture has {width}x{height} pixels; the limit is {limit} pixels")]
    TooManyPixels {
        /// Pixels in a row.
        width: u64,
        /// Rows.
        height: u64,
        /// The limit in force, in pixels.
        limit: u64,
    },
    /// Decoding would take more memory than [`crate::ImageLimits::max_decoder_bytes`].
    #[error("decoding the {format} picture takes more memory than the limit of {limit} bytes")]
    TooMuchMemory {
        /// The format's name.
        format: &'static str,
        /// The limit in force, in bytes.
        limit: u64,
    },
    /// More frames than [`crate::ImageLimits::max_frames`].
    #[error("the animation has more than {limit} frames; shorten it or raise the limit")]
    TooManyFrames {
        /// The limit in force.
        limit: usize,
    },
    /// More pixels in all frames than [`crate::ImageLimits::max_animation_pixels`].
    #[error("the animation has more than {limit} pixels in all its frames; shorten or shrink it, or raise the limit")]
    AnimationTooLarge {
        /// The limit in force, in pixels.
        limit: u64,
    },
    /// A side is 0.
    #[error("the picture has no pixels ({width}x{height})")]
    NoPixels {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Width, height and the number of bytes do not agree.
    #[error("a {width}x{height} RGB picture needs 3 bytes per pixel, but {bytes} bytes were given")]
    BadLayout {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Bytes given.
        bytes: usize,
    },
    /// One side is more than 200 times the other.
    #[error(
        "the picture is {width}x{height}: one side is more than 200 times the other, which the model cannot take; crop it or cut it into parts"
    )]
    AspectRatio {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// The pixel budget makes no sense.
    #[error("pixel budget {min}..{max}: {reason}")]
    BadBudget {
        /// Lower bound, pixels.
        min: u64,
        /// Upper bound, pixels.
        max: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A video of fewer than two frames.
    #[error("a video needs at least 2 frames, this one gives {frames}; give a single frame as a picture")]
    TooFewFrames {
        /// Frames after sampling.
        frames: usize,
    },
    /// Frames of one video differ in size.
    #[error(
        "frame {index} is {width}x{height}, but the first frame is {first_width}x{first_height}; all frames of a video must have one size"
    )]
    FrameSizesDiffer {
        /// Which frame, from 0.
        index: usize,
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
        /// Width of frame 0.
        first_width: usize,
        /// Height of frame 0.
        first_height: usize,
    },
    /// Frames per second that are zero, negative, infinite or not a number.
    #[error("{what} is {fps}; frames per second must be a finite number above 0")]
    BadFps {
        /// Whose rate: the source's or the sampling's.
        what: &'static str,
        /// The value.
        fps: f64,
    },
    /// The description of a video does not fit its frames, or the sampling wish cannot be met.
    #[error("{0}")]
    BadVideo(String),
    /// A configuration file cannot be read.
    #[error(transparent)]
    ReadConfig(#[from] qvl_checkpoint::ReadError),
    /// A configuration file is not valid JSON, or a value has the wrong type.
    #[error("{path}: {source}")]
    ParseConfig {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// A configuration asks for something impossible or not supported.
    #[error("{key} in the picture configuration: {reason}")]
    BadConfig {
        /// The key.
        key: &'static str,
        /// What is wrong, and the mend.
        reason: String,
    },
}
