//! From a prepared prompt to an answer: encode, prefill, decode.

use std::ops::ControlFlow;

use qvl_engine::{Engine, Logits};
use qvl_processor::{Prompt, Tokenizer};

use crate::answer::{Answer, FinishReason, ImageInfo, Timings, Usage, timed};
use crate::cached_prompt::PromptLayout;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::generation::GenerationConfig;
use crate::prompt_pass::PromptPass;
use crate::sampler::{Sampler, SeenTokens};
use crate::sequence::Sequence;
use crate::text_stream::TextStream;
use crate::vision_cache::VisionCache;

/// Receives each piece of text as soon as it can be shown; breaking off ends the answer.
pub type OnText<'a> = &'a mut dyn FnMut(&str) -> ControlFlow<()>;

/// Answers one prompt.
pub(crate) struct Generation<'a> {
    pub(crate) engine: &'a mut dyn Engine,
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) vision: &'a mut VisionCache,
    pub(crate) settings: &'a GenerationConfig,
    /// Most tokens of the answer.
    pub(crate) limit: usize,
    pub(crate) cancel: &'a CancelFlag,
    /// Tokens of a prompt that are computed between two looks at the cancel flag.
    pub(crate) prefill_chunk: usize,
    pub(crate) timings: Timings,
}

/// The generated tokens, their text and the reason why there are no more.
struct Decoded {
    token_ids: Vec<u32>,
    text: String,
    finish_reason: FinishReason,
}

impl Generation<'_> {
    /// Runs the whole way.
    ///
    /// # Errors
    /// If the engine fails or the logits are broken.
    pub(crate) fn run(
        mut self,
        sequence: &mut Sequence,
        prompt: &Prompt,
        on_text: OnText<'_>,
    ) -> Result<Answer, Error> {
        let decoded = self.answer(sequence, prompt, on_text)?;
        Ok(Answer {
            usage: Usage { prompt_tokens: prompt.token_ids.len(), completion_tokens: decoded.token_ids.len() },
            text: decoded.text,
            token_ids: decoded.token_ids,
            prompt_token_ids: prompt.token_ids.clone(),
            finish_reason: decoded.finish_reason,
            images: ImageInfo::of_prompt(prompt),
            timings: self.timings,
        })
    }

    fn answer(&mut self, sequence: &mut Sequence, prompt: &Prompt, on_text: OnText<'_>) -> Result<Decoded, Error> {
        let layout = PromptLayout::new(prompt, self.engine.config())?;
        let cached = sequence.reuse(self.engine, &layout)?;
        let cancelled =
            || Decoded { token_ids: Vec::new(), text: String::new(), finish_reason: FinishReason::Cancelled };
        let mut timings = self.timings;
        let loaded = self.engine.load_time();
        let features = timed(&mut timings.vision, || self.pass().encode(prompt, &layout, cached))?;
        // The engine may open the vision graph only now; that counts as loading.
        timings.vision = timings.vision.saturating_sub(self.engine.load_time().saturating_sub(loaded));
        let Some(features) = features else { return Ok(cancelled()) };
        let logits = timed(&mut timings.prefill, || self.pass().prefill(sequence, &layout, &features, cached))?;
        let Some(logits) = logits else { return Ok(cancelled()) };
        let decoded = timed(&mut timings.decode, || self.decode(sequence, prompt, logits, on_text));
        self.timings = timings;
        decoded
    }

    fn pass(&mut self) -> PromptPass<'_> {
        PromptPass { engine: self.engine, vision: self.vision, cancel: self.cancel, prefill_chunk: self.prefill_chunk }
    }

    fn decode(
        &mut self,
        sequence: &mut Sequence,
        prompt: &Prompt,
        mut logits: Logits,
        on_text: OnText<'_>,
    ) -> Result<Decoded, Error> {
        let mut sampler = Sampler::new(&self.settings.sampling);
        let mut seen = SeenTokens::default();
        seen.prompt(&prompt.token_ids);
        let mut stream = TextStream::new(&self.settings.stop);
        let mut token_ids = Vec::new();
        // Text goes on one position after the greatest of the prompt on any axis (SPEC §6).
        let mut position = prompt.token_ids.len() as i64 + prompt.rope_delta;
        let finish_reason = loop {
            let token = sampler.choose(logits.last(), &seen)?;
            token_ids.push(token);
            seen.generated(token);
            if !self.settings.ignore_eos && self.settings.eos_token_ids.contains(&token) {
                break FinishReason::Stop;
            }
            if show(&stream.push(self.tokenizer, token), on_text).is_break() {
                break FinishReason::Cancelled;
            }
            if stream.stopped() {
                break FinishReason::Stop;
            }
            if token_ids.len() >= self.limit {
                break FinishReason::Length;
            }
            if self.cancel.is_cancelled() {
                break FinishReason::Cancelled;
            }
            logits = sequence.decode(self.engine, token, position)?;
            position += 1;
        };
        // Whoever broke off sees no more, and nothing else can break off now.
        let _ = show(&stream.finish(), on_text);
        Ok(Decoded { token_ids, text: stream.into_text(), finish_reason })
    }
}

fn show(text: &str, on_text: OnText<'_>) -> ControlFlow<()> {
    if text.is_empty() { ControlFlow::Continue(()) } else { on_text(text) }
}
