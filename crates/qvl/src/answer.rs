//! What comes back: the answer's text and tokens, why it ended, and what it took.

use std::time::{Duration, Instant};

use qvl_checkpoint::Grid;
use qvl_processor::{MediaInfo, Prompt};
use serde::{Serialize, Serializer};

use crate::prompt_lookup::Speculation;

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model ended it, or a stop text appeared.
    Stop,
    /// It reached its greatest length, or the model's context is full.
    Length,
    /// It was stopped from outside.
    Cancelled,
}

/// An answer; serialised, it is the object that `qvl run --json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// The text, without control tokens, cut before a stop text.
    pub text: String,
    /// The generated tokens; a token that ended the answer is the last of them.
    pub token_ids: Vec<u32>,
    /// The prompt's tokens, with a placeholder for each merged patch of pictures and video frames.
    pub prompt_token_ids: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The pictures and videos, in the order of the prompt.
    pub images: Vec<ImageInfo>,
    /// Token counts.
    pub usage: Usage,
    /// What prompt lookup did.
    pub speculation: Speculation,
    /// Durations.
    #[serde(rename = "timings_ms")]
    pub timings: Timings,
}

/// What a picture or video became.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ImageInfo {
    /// Patches along time, height and width.
    pub grid_thw: Grid,
    /// Width in pixels after resizing.
    pub width: usize,
    /// Height in pixels after resizing.
    pub height: usize,
    /// How many tokens of the prompt it takes.
    pub tokens: usize,
}

impl ImageInfo {
    fn new(media: &MediaInfo) -> Self {
        Self { grid_thw: media.grid, width: media.width, height: media.height, tokens: media.tokens }
    }

    /// The infos of everything in `prompt`.
    pub fn of_prompt(prompt: &Prompt) -> Vec<Self> {
        prompt.media.iter().map(Self::new).collect()
    }
}

/// Token counts, named as in OpenAI's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt, placeholders included.
    pub prompt_tokens: usize,
    /// Tokens generated.
    pub completion_tokens: usize,
}

/// How long each part took; serialised as milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Timings {
    /// Opening the package.
    #[serde(serialize_with = "milliseconds")]
    pub load: Duration,
    /// Preparing the prompt (template, tokens, pictures) and running the vision encoder.
    #[serde(serialize_with = "milliseconds")]
    pub vision: Duration,
    /// From the vision features to the first logits.
    #[serde(serialize_with = "milliseconds")]
    pub prefill: Duration,
    /// All tokens after the first logits.
    #[serde(serialize_with = "milliseconds")]
    pub decode: Duration,
}

/// To three decimals, which is more than such a clock is worth.
fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_micros() as f64 / 1000.0)
}

/// Runs `work` and adds the time it takes to `total`.
pub(crate) fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *total += start.elapsed();
    result
}
