//! Counts of tokens, as OpenAI's endpoints write them, and what became of the pictures.

use qvl::ImageInfo;
use qvl::service::Event;
use serde_json::{Value, json};

/// What a request took.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Tokens of the prompts, each counted once however many answers it has.
    pub(crate) prompt_tokens: usize,
    /// Tokens of all answers.
    pub(crate) completion_tokens: usize,
    /// Tokens of the first answer's prompt that needed no computation.
    pub(crate) cached_tokens: Option<usize>,
    /// Tokens of the answers that are thinking.
    pub(crate) reasoning_tokens: usize,
    images: Vec<ImageInfo>,
}

impl Usage {
    /// Of prompts with so many tokens, before anything is generated.
    pub(crate) fn new(prompt_tokens: usize) -> Self {
        Self { prompt_tokens, ..Self::default() }
    }

    /// Counts what an event says.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Started { cached_tokens } => {
                self.cached_tokens.get_or_insert(*cached_tokens);
            }
            Event::Finished(answer) => {
                self.completion_tokens += answer.usage.completion_tokens;
                self.images.clone_from(&answer.images);
            }
            Event::Token { .. } | Event::Failed(_) => {}
        }
    }

    /// What is the server's own: each picture's size after the resize, and its tokens.
    pub(crate) fn own(&self) -> Value {
        json!({"images": self.images, "cached_tokens": self.cached_tokens.unwrap_or(0)})
    }

    /// The object of `/v1/chat/completions` and `/v1/completions`.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens.unwrap_or(0)},
            "qvl": self.own(),
        })
    }
}
