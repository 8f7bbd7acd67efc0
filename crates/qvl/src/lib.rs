//! Ask Qwen3-VL about pictures, video and text.
//!
//! A [`Pipeline`] is a package that is loaded; it answers a [`Request`], or holds a [`Conversation`] that remembers
//! what was said. The text of an answer comes piece by piece, never with half a character or part of a stop text.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use qvl::{CancelFlag, Content, EngineOptions, Pipeline};
//!
//! let mut pipeline = Pipeline::open("package".as_ref(), &EngineOptions::default())?;
//! let settings = pipeline.generation_config().clone();
//! let mut conversation = pipeline.conversation();
//! let picture = qvl::media::read_image("photo.jpg".as_ref())?;
//! let question = vec![Content::Media(picture), Content::Text("What is this?".into())];
//! let answer = conversation.ask(question, &settings, &CancelFlag::default(), &mut |text| {
//!     print!("{text}");
//!     ControlFlow::Continue(())
//! })?;
//! println!("\n{} tokens", answer.usage.completion_tokens);
//! # Ok::<(), qvl::Error>(())
//! ```

mod answer;
mod answer_state;
mod beams;
pub mod bench;
mod byte_cache;
mod cached_prompt;
mod calibration;
mod cancel;
pub mod compare;
mod conversation;
mod decoding;
mod embedded;
mod error;
pub mod eval;
mod forced;
mod generate;
mod generation;
mod grammar;
pub mod inspect;
pub mod media;
mod open;
mod pipeline;
mod pixel_source;
mod prompt_lookup;
mod prompt_pass;
mod reasoning;
mod sampler;
mod sequence;
pub mod service;
mod stop;
mod stream;
#[cfg(test)]
mod test_engine;
mod text_stream;
mod token_logprobs;
mod tool_calls;
mod vision_cache;

pub use answer::{Answer, FinishReason, ImageInfo, Timings, Usage};
pub use beams::BeamSearch;
pub use byte_cache::ByteCache;
pub use cached_prompt::LayoutError;
pub use calibration::{CalibrationError, CalibrationSet};
pub use cancel::CancelFlag;
pub use conversation::{Content, Conversation};
pub use embedded::EmbeddedCheckpoint;
pub use error::Error;
pub use forced::OnLogits;
pub use generate::OnText;
pub use generation::{DEFAULT_MAX_NEW_TOKENS, GENERATION_CONFIG, GenerationConfig, GenerationConfigError};
pub use grammar::{Constraint, Grammar, GrammarCompiler, GrammarError, Tool, ToolChoice};
pub use open::{CachedExport, Located, default_precision, locate_package};
pub use pipeline::{Pipeline, Request};
pub use prompt_lookup::Speculation;
pub use qvl_engine::{Device, EngineChoice, EngineError, EngineOptions, KvPrecision, runtime};
pub use qvl_package::{Graph, PackageDir};
pub use qvl_processor::{
    Media, Message, Part, PixelBudget, Processor, ProcessorError, Prompt, PromptOptions, Role, Tokenizer, ToolCall,
};
pub use reasoning::{Reasoning, ReasoningPiece};
pub use sampler::{SampleError, Sampler, Sampling, SeenTokens};
pub use stop::StopMatcher;
pub use stream::Utf8Stream;
pub use token_logprobs::{MAX_TOP_LOGPROBS, TokenLogprobs};
pub use tool_calls::{ToolCallEvent, ToolCallParser, parse_tool_calls};
