use std::fmt;
use std::sync::Arc;

use qvl_processor::Prompt;

use crate::answer::Answer;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::generation::GenerationConfig;
use crate::grammar::Grammar;
use crate::token_logprobs::TokenLogprobs;

/// A prompt to answer, and who wants to know.
pub struct Job {
    /// What [`Processor::prepare`](crate::Processor::prepare) made.
    pub prompt: Prompt,
    /// How the answer is generated; [`Service::submit`](super::Service::submit) validates it.
    pub generation: GenerationConfig,
    /// Tell each token's log-probability and this many of the most likely tokens, at most
    /// [`MAX_TOP_LOGPROBS`](crate::MAX_TOP_LOGPROBS).
    pub logprobs: Option<usize>,
    /// What the answer's tokens may be.
    pub grammar: Option<Arc<Grammar>>,
    /// Stops the answer.
    pub cancel: CancelFlag,
    /// Gets what happens, on the service's thread, which waits for it meanwhile: it must neither block nor panic. After
    /// [`Event::Finished`] or [`Event::Failed`], one of which always comes, it is dropped.
    pub on_event: Box<dyn FnMut(Event) + Send>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.prompt.token_ids.len();
        f.debug_struct("Job")
            .field("prompt_tokens", &tokens)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// What happens to a job.
#[derive(Debug)]
pub enum Event {
    /// It has a place, and its prompt is being computed.
    Started {
        /// Tokens of the prompt that need no computation because a sequence that holds them was kept.
        cached_tokens: usize,
    },
    /// A token of the answer.
    Token {
        /// The token.
        id: u32,
        /// The text that can be shown now; empty while half a character or what may become a stop text is held back.
        /// The last token brings all of that, unless the answer was cancelled.
        text: String,
        /// If the job asked for it.
        logprobs: Option<TokenLogprobs>,
    },
    /// The answer is whole, or as far as it came when it was cancelled.
    Finished(Answer),
    /// It has no answer.
    Failed(Error),
}
