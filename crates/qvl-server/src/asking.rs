//! From a question to its answers: the prompt is prepared, and as many answers as are wanted are put into the queue.

use std::sync::Arc;
use std::time::Instant;

use qvl::Reasoning;

use crate::answers::{Answers, Wanted};
use crate::app::App;
use crate::error::ApiError;
use crate::parts::PartsParser;
use crate::prepare::{Prepared, prepare};
use crate::question::Question;
use crate::sampling::with_seed;
use crate::usage::Usage;

/// A question that is in the queue.
pub(crate) struct Asking {
    pub(crate) answers: Answers,
    /// One for each answer.
    pub(crate) parsers: Vec<PartsParser>,
    /// What is known of the cost.
    pub(crate) usage: Usage,
}

impl Asking {
    /// Prepares the prompt of `question` and submits its answers.
    ///
    /// # Errors
    /// If the prompt cannot be made, the queue is full, or the server is stopping.
    pub(crate) async fn new(app: &Arc<App>, question: &mut Question, asked: Instant) -> Result<Self, ApiError> {
        let admission = app.admit()?;
        let Prepared { prompt, grammar, room } = prepare(app, question).await?;
        let tokenizer = app.service.processor().tokenizer();
        let parser =
            || PartsParser::new(Reasoning::after_prompt(&prompt.token_ids, tokenizer), question.tools.is_some());
        let parsers = (0..question.choices).map(|_| parser()).collect();
        let wanted = (0..question.choices).map(|index| Wanted {
            prompt: prompt.clone(),
            generation: with_seed(&question.generation, index),
            logprobs: question.logprobs,
            grammar: grammar.clone(),
        });
        let usage = Usage::new(prompt.token_ids.len());
        let answers = Answers::submit(app, wanted.collect(), (admission, room), asked)?;
        Ok(Self { answers, parsers, usage })
    }
}
