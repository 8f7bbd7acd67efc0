//! From a prepared prompt to an answer: encode, prefill, decode.

use std::ops::ControlFlow;

use qvl_engine::{Engine, Logits};
use qvl_processor::{Prompt, Tokenizer};

use crate::answer::{Answer, Timings, timed};
use crate::answer_state::{AnswerState, Step};
use crate::beams::{self, BeamSearch, Found, Task};
use crate::cached_prompt::PromptLayout;
use crate::cancel::CancelFlag;
use crate::decoding;
use crate::error::Error;
use crate::generation::GenerationConfig;
use crate::pixel_source::PixelSource;
use crate::prompt_pass::PromptPass;
use crate::sequence::Sequence;
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

impl Generation<'_> {
    /// Runs the whole way; takes the pixel values out of `prompt`.
    ///
    /// # Errors
    /// If the engine fails or the logits are broken.
    pub(crate) fn run(
        mut self,
        sequence: &mut Sequence,
        mut prompt: Prompt,
        on_text: OnText<'_>,
    ) -> Result<Answer, Error> {
        let layout = PromptLayout::new(&prompt, self.engine.config())?;
        sequence.reuse(self.engine, &layout)?;
        let mut pass = PromptPass::new(layout, PixelSource::take(&mut prompt), self.timings);
        let logits = pass.complete(self.engine, self.vision, sequence, self.prefill_chunk, self.cancel)?;
        self.timings = pass.timings;
        match &self.settings.beams {
            None => self.decode(sequence, &prompt, logits.as_ref(), on_text),
            Some(beams) => self.search(beams, sequence, &prompt, logits.as_ref(), on_text),
        }
    }

    /// Takes token after token; without logits, because the prompt was cancelled, none.
    fn decode(
        mut self,
        sequence: &mut Sequence,
        prompt: &Prompt,
        logits: Option<&Logits>,
        on_text: OnText<'_>,
    ) -> Result<Answer, Error> {
        let Self { engine, tokenizer, .. } = self;
        let mut answer = AnswerState::new(prompt, self.settings, self.limit, self.cancel);
        let mut show = |text: &str| if text.is_empty() { ControlFlow::Continue(()) } else { on_text(text) };
        let mut broke_off = false;
        let mut on_step = |step: Step| {
            let flow = show(&step.text);
            broke_off |= flow.is_break();
            flow
        };
        timed(&mut self.timings.decode, || {
            let Some(logits) = logits else { return Ok(()) };
            answer.take(tokenizer, logits.last(), &mut on_step)?;
            while answer.finished().is_none() {
                decoding::step(engine, sequence, tokenizer, &mut answer, &mut on_step)?;
            }
            Ok::<(), Error>(())
        })?;
        let (answer, rest) = answer.into_answer(prompt, self.timings);
        // Whoever broke off sees no more, and nothing else can break off now.
        if !broke_off {
            let _ = show(&rest);
        }
        Ok(answer)
    }

    /// Searches the most likely answer; without logits, because the prompt was cancelled, there is none.
    fn search(
        mut self,
        beams: &BeamSearch,
        sequence: &Sequence,
        prompt: &Prompt,
        logits: Option<&Logits>,
        on_text: OnText<'_>,
    ) -> Result<Answer, Error> {
        let Self { tokenizer, settings, limit, cancel, .. } = self;
        let task = Task { tokenizer, prompt, config: settings, limit, cancel };
        let found = timed(&mut self.timings.decode, || match logits {
            Some(logits) => beams::search(self.engine, sequence, beams, &task, logits.last()),
            None => Ok(Found::nothing()),
        })?;
        let answer = found.into_answer(prompt, self.timings);
        if !answer.text.is_empty() {
            // It is all there is, so that nothing can be broken off.
            let _ = on_text(&answer.text);
        }
        Ok(answer)
    }
}
