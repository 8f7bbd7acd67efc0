//! One question put to a model.

use std::ops::ControlFlow;

use qvl_processor::{Media, PromptOptions};

use super::question::{MediaFile, Question};
use crate::answer::FinishReason;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::generation::GenerationConfig;
use crate::media::{read_image, read_video};
use crate::pipeline::{Pipeline, Request};
use crate::sampler::Sampling;

/// Answers end here unless something else is asked for; reference answers are short.
pub const DEFAULT_MAX_NEW_TOKENS: usize = 96;

/// How questions are put, the same for all of an evaluation.
#[derive(Debug, Clone)]
pub struct AskOptions {
    /// How prompts are made.
    pub prompt: PromptOptions,
    /// Most tokens of an answer.
    pub max_new_tokens: usize,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self { prompt: PromptOptions::default(), max_new_tokens: DEFAULT_MAX_NEW_TOKENS }
    }
}

/// The model's greedy answer, whatever its `generation_config.json` says of sampling; `None` if `cancel` stopped it.
///
/// No question sees another one, but pictures that were encoded before are not encoded again.
///
/// # Errors
/// If a picture or video is not usable, or as [`Pipeline::generate`].
pub fn ask(
    pipeline: &mut Pipeline,
    question: &Question,
    options: &AskOptions,
    cancel: &CancelFlag,
) -> Result<Option<String>, Error> {
    let media = read_media(question)?;
    let generation = GenerationConfig {
        sampling: Sampling::default(),
        max_new_tokens: options.max_new_tokens,
        ..pipeline.generation_config().clone()
    };
    let request = Request {
        messages: &question.messages,
        media: &media,
        prompt: &options.prompt,
        generation: &generation,
        cancel,
    };
    let answer = pipeline.generate(&request, &mut |_| ControlFlow::Continue(()))?;
    Ok((answer.finish_reason != FinishReason::Cancelled).then_some(answer.text))
}

/// The pictures and videos of a question, decoded.
///
/// # Errors
/// If one is not usable.
pub fn read_media(question: &Question) -> Result<Vec<Media>, Error> {
    question.media.iter().map(read_media_file).collect()
}

/// A picture or video, decoded.
///
/// # Errors
/// If it is not usable.
pub(crate) fn read_media_file(file: &MediaFile) -> Result<Media, Error> {
    match file {
        MediaFile::Image(path) => read_image(path),
        MediaFile::Video(path) => read_video(path),
    }
}
