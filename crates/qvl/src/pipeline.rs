//! A model that is ready to answer.

use std::path::Path;
use std::time::{Duration, Instant};

use qvl_checkpoint::Config;
use qvl_engine::{Engine, EngineOptions};
use qvl_package::PackageDir;
use qvl_processor::{Media, Message, Processor, Prompt, PromptOptions};

use crate::answer::{Answer, Timings, timed};
use crate::cancel::CancelFlag;
use crate::conversation::Conversation;
use crate::error::Error;
use crate::generate::{Generation, OnText};
use crate::generation::GenerationConfig;
use crate::sequence::Sequence;
use crate::vision_cache::VisionCache;

/// Vision features are kept up to this many bytes: about a dozen large pictures of the 4B size.
const VISION_CACHE_BYTES: usize = 512 << 20;

/// Room that a new sequence has for the answer; it grows when the answer is longer.
const FIRST_ANSWER_TOKENS: usize = 1024;

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
    processor: Processor,
    defaults: GenerationConfig,
    vision: VisionCache,
    prefill_chunk: usize,
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
        let processor = Processor::open(package.path())?;
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
        let limit = answer_limit(self.config(), &prompt, request.generation)?;
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
        let mut answer = generation.run(sequence, &prompt, on_text)?;
        answer.timings.load = self.load + self.engine.load_time();
        Ok(answer)
    }

    /// Gives a sequence's KV cache back.
    pub(crate) fn close(&mut self, sequence: &mut Option<Sequence>) {
        if let Some(sequence) = sequence.take() {
            sequence.close(self.engine.as_mut());
        }
    }
}

/// How many tokens may be generated after `prompt`: as many as were asked for and as the context has room for.
fn answer_limit(config: &Config, prompt: &Prompt, settings: &GenerationConfig) -> Result<usize, Error> {
    let (tokens, context) = (prompt.token_ids.len(), config.text.max_position_embeddings);
    match context.checked_sub(tokens) {
        None | Some(0) => Err(Error::PromptTooLong { tokens, context }),
        Some(room) => Ok(room.min(settings.max_new_tokens)),
    }
}
