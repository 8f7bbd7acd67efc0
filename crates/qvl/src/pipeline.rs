//! A model that is ready to answer.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qvl_checkpoint::Config;
use qvl_engine::{Engine, EngineOptions};
use qvl_package::PackageDir;
use qvl_processor::{Media, Message, Processor, Prompt, PromptOptions};

use crate::answer::{Answer, Timings, timed};
use crate::cached_prompt::PromptLayout;
use crate::cancel::CancelFlag;
use crate::conversation::Conversation;
use crate::error::Error;
use crate::forced::{ForcedDecoding, OnLogits};
use crate::generate::{Generation, OnText};
use crate::generation::GenerationConfig;
use crate::pixel_source::PixelSource;
use crate::prompt_pass::PromptPass;
use crate::sequence::Sequence;
use crate::vision_cache::VisionCache;

/// Vision features are kept up to this many bytes: about a dozen large pictures of the 4B size.
const VISION_CACHE_BYTES: usize = 512 << 20;

/// Room that a new sequence has for the answer; it grows when the answer is longer.
pub(crate) const FIRST_ANSWER_TOKENS: usize = 1024;

/// One question, with all that came before it.
#[derive(Debug)]
pub struct Request<'a> {
    /// The conversation so far; the last message is the question.
    pub messages: &'a [Message],
    /// The pictures and videos that the messages refer to.
    pub media: &'a [Media],
    /// How the prompt is made.
    pub prompt: &'a PromptOptions,
    /// How the answer is generated.
    pub generation: &'a GenerationConfig,
    /// Stops the answer.
    pub cancel: &'a CancelFlag,
}

/// A package that is loaded: processor, engine and the model's own generation settings.
pub struct Pipeline {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) processor: Arc<Processor>,
    defaults: GenerationConfig,
    pub(crate) vision: VisionCache,
    pub(crate) prefill_chunk: usize,
    /// Opening everything but the engine, which counts its own.
    load: Duration,
}

impl Pipeline {
    /// Loads the package in `directory`.
    ///
    /// # Errors
    /// If the package is not whole, one of its files is not usable, or the engine cannot start.
    pub fn open(directory: &Path, options: &EngineOptions) -> Result<Self, Error> {
        Self::load(&PackageDir::open(directory)?, options)
    }

    /// Loads a package that was opened before.
    ///
    /// # Errors
    /// If one of its files is not usable, or the engine cannot start.
    pub fn load(package: &PackageDir, options: &EngineOptions) -> Result<Self, Error> {
        let start = Instant::now();
        let processor = Arc::new(Processor::open(package.path())?);
        let mut defaults = GenerationConfig::read(package.path())?;
        let load = start.elapsed();
        if defaults.eos_token_ids.is_empty() {
            defaults.eos_token_ids.extend(package.config().text.eos_token_id);
        }
        let engine = qvl_engine::open(package, options)?;
        Ok(Self {
            engine,
            processor,
            defaults,
            vision: VisionCache::new(VISION_CACHE_BYTES),
            prefill_chunk: options.prefill_chunk,
            load,
        })
    }

    /// The settings of the package's `generation_config.json`.
    pub fn generation_config(&self) -> &GenerationConfig {
        &self.defaults
    }

    /// The model's dimensions.
    pub fn config(&self) -> &Config {
        self.engine.config()
    }

    /// Tokenizer, template and pictures.
    pub fn processor(&self) -> &Processor {
        &self.processor
    }

    /// Keeps the vision features of the pictures used last up to this many bytes; without a call, up to 512 MiB.
    pub fn set_vision_cache_bytes(&mut self, bytes: usize) {
        self.vision.set_limit(bytes);
    }

    /// Answers one request; `on_text` gets the text while it is generated.
    ///
    /// # Errors
    /// If a setting is out of range, a picture cannot be used, the prompt exceeds the context, or the engine fails.
    pub fn generate(&mut self, request: &Request<'_>, on_text: OnText<'_>) -> Result<Answer, Error> {
        let mut sequence = None;
        let answer = self.generate_in(&mut sequence, request, on_text);
        self.close(&mut sequence);
        answer
    }

    /// A conversation that remembers what was said and keeps its KV cache.
    pub fn conversation(&mut self) -> Conversation<'_> {
        Conversation::new(self)
    }

    /// Answers in `sequence`, which is opened if there is none, and stays open.
    pub(crate) fn generate_in(
        &mut self,
        sequence: &mut Option<Sequence>,
        request: &Request<'_>,
        on_text: OnText<'_>,
    ) -> Result<Answer, Error> {
        request.generation.validate()?;
        let mut timings = Timings::default();
        let prompt =
            timed(&mut timings.vision, || self.processor.prepare(request.messages, request.media, request.prompt))?;
        let limit = answer_limit(self.config(), &prompt, request.generation.max_new_tokens)?;
        let engine = self.engine.as_mut();
        let sequence = match sequence {
            Some(sequence) => sequence,
            None => {
                let capacity = prompt.token_ids.len() + limit.min(FIRST_ANSWER_TOKENS);
                sequence.insert(Sequence::open(engine, capacity)?)
            }
        };
        let generation = Generation {
            engine,
            tokenizer: self.processor.tokenizer(),
            vision: &mut self.vision,
            settings: request.generation,
            limit,
            cancel: request.cancel,
            prefill_chunk: self.prefill_chunk,
            timings,
        };
        let mut answer = generation.run(sequence, prompt, on_text)?;
        answer.timings.load = self.load + self.engine.load_time();
        Ok(answer)
    }

    /// The logits that predict each token of `continuation`, were it the answer to `request` (teacher forcing).
    ///
    /// The prompt is prefilled, then each token is decoded by itself, as in [`Pipeline::generate`]; the request's
    /// generation settings play no part. `on_logits` gets, for each index i from 0 to the number of tokens, that last
    /// one included, the logits after the prompt and the first i tokens: one for each row of the embedding table.
    /// Breaking off ends it. Returns how many it got: fewer than the tokens and one only after breaking off or a cancel.
    ///
    /// # Errors
    /// If a picture cannot be used, prompt and continuation exceed the context, a token is not of the vocabulary, or the
    /// engine fails.
    pub fn forced_logits(
        &mut self,
        request: &Request<'_>,
        continuation: &[u32],
        on_logits: OnLogits<'_>,
    ) -> Result<usize, Error> {
        let prompt = self.processor.prepare(request.messages, request.media, request.prompt)?;
        match self.force(&prompt, continuation.len(), request.cancel)? {
            Some(mut decoding) => decoding.run(continuation, request.cancel, on_logits),
            None => Ok(0),
        }
    }

    /// Prefills `prompt`, which about `tokens` tokens of the caller's choice will follow; none if it was cancelled.
    ///
    /// # Errors
    /// If the prompt fills the context, or the engine fails.
    pub(crate) fn force(
        &mut self,
        prompt: &Prompt,
        tokens: usize,
        cancel: &CancelFlag,
    ) -> Result<Option<ForcedDecoding<'_>>, Error> {
        let room = answer_limit(self.config(), prompt, tokens.min(FIRST_ANSWER_TOKENS))?;
        let engine = self.engine.as_mut();
        let layout = PromptLayout::new(prompt, engine.config())?;
        let mut sequence = Sequence::open(engine, prompt.token_ids.len() + room)?;
        let mut pass = PromptPass::new(layout, PixelSource::of(prompt), Timings::default());
        match pass.complete(engine, &mut self.vision, &mut sequence, self.prefill_chunk, cancel) {
            Ok(Some(logits)) => Ok(Some(ForcedDecoding::new(engine, sequence, prompt, &logits, pass.into_features()))),
            other => {
                sequence.close(engine);
                other.map(|_| None)
            }
        }
    }

    /// Gives a sequence's KV cache back.
    pub(crate) fn close(&mut self, sequence: &mut Option<Sequence>) {
        if let Some(mut sequence) = sequence.take() {
            sequence.close(self.engine.as_mut());
        }
    }
}

/// How many tokens may follow `prompt`: as many as are `wanted` and as the context has room for.
pub(crate) fn answer_limit(config: &Config, prompt: &Prompt, wanted: usize) -> Result<usize, Error> {
    let (tokens, context) = (prompt.token_ids.len(), config.text.max_position_embeddings);
    match context.checked_sub(tokens) {
        None | Some(0) => Err(Error::PromptTooLong { tokens, context }),
        Some(room) => Ok(room.min(wanted)),
    }
}
