//! One answer while it grows: which token comes next, what text that makes, and when it ends.

use std::ops::ControlFlow;

use qvl_processor::{Prompt, Tokenizer};

use crate::answer::{Answer, FinishReason, ImageInfo, Timings, Usage};
use crate::cached_prompt::position_after;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::generation::GenerationConfig;
use crate::grammar::{Constraint, Grammar};
use crate::prompt_lookup::{PromptLookup, Speculation};
use crate::sampler::{Sampler, SeenTokens};
use crate::text_stream::TextStream;
use crate::token_logprobs::TokenLogprobs;

/// What logits became.
#[derive(Debug)]
pub(crate) struct Step {
    /// The token that was chosen.
    pub(crate) token: u32,
    /// The text that can be shown now; with the last token, all that was held back.
    pub(crate) text: String,
    /// If they are wanted.
    pub(crate) logprobs: Option<TokenLogprobs>,
}

/// Receives each step; breaking off ends the answer.
pub(crate) type OnStep<'a> = &'a mut dyn FnMut(Step) -> ControlFlow<()>;

/// Tokens, text and end of one answer. It knows logits, and nothing of the engine that they come from.
#[derive(Debug)]
pub(crate) struct AnswerState {
    sampler: Sampler,
    seen: SeenTokens,
    stream: TextStream,
    /// The prompt's tokens, and those of the answer behind them.
    tokens: Vec<u32>,
    prompt_tokens: usize,
    /// Position of the first generated token, on all axes.
    first_position: i64,
    /// Tokens that end the answer.
    ends: Vec<u32>,
    /// Most tokens of the answer.
    limit: usize,
    cancel: CancelFlag,
    lookup: Option<PromptLookup>,
    constraint: Option<Constraint>,
    /// How many of the most likely tokens are told beside each token.
    top_logprobs: Option<usize>,
    finished: Option<FinishReason>,
}

impl AnswerState {
    /// Nothing yet, to `prompt`; at most `limit` tokens, however many the settings allow.
    pub(crate) fn new(prompt: &Prompt, settings: &GenerationConfig, limit: usize, cancel: &CancelFlag) -> Self {
        let mut seen = SeenTokens::default();
        seen.prompt(&prompt.token_ids);
        // A sampled token is rarely the one that was guessed.
        let looks_up = settings.prompt_lookup && settings.sampling.is_greedy();
        Self {
            sampler: Sampler::new(&settings.sampling),
            seen,
            stream: TextStream::new(&settings.stop),
            tokens: prompt.token_ids.clone(),
            prompt_tokens: prompt.token_ids.len(),
            first_position: position_after(prompt),
            ends: if settings.ignore_eos { Vec::new() } else { settings.eos_token_ids.clone() },
            limit,
            cancel: cancel.clone(),
            lookup: looks_up.then(PromptLookup::default),
            constraint: None,
            top_logprobs: None,
            finished: None,
        }
    }

    /// Keeps the answer to a grammar.
    pub(crate) fn with_grammar(mut self, grammar: Option<&Grammar>) -> Self {
        self.constraint = grammar.map(|grammar| Constraint::new(grammar, &self.tokens));
        self
    }

    /// Tells log-probabilities: of each token and of `top` others.
    pub(crate) fn with_logprobs(mut self, top: Option<usize>) -> Self {
        self.top_logprobs = top;
        self
    }

    /// Chooses the next token by the logits after the last one, and hands it out.
    ///
    /// # Errors
    /// If the logits are broken, or the grammar exceeds its limits.
    pub(crate) fn take(&mut self, tokenizer: &Tokenizer, logits: &[f32], on_step: OnStep<'_>) -> Result<(), Error> {
        let token = self.choose(logits)?;
        let logprobs = self.top_logprobs.map(|top| TokenLogprobs::new(logits, token, top, tokenizer));
        self.tokens.push(token);
        self.seen.generated(token);
        let is_end = self.ends.contains(&token);
        let mut text = if is_end { String::new() } else { self.stream.push(tokenizer, token) };
        let is_whole = self.constraint.as_ref().is_some_and(Constraint::is_finished);
        self.finished = match () {
            () if is_end || is_whole || self.stream.stopped() => Some(FinishReason::Stop),
            () if self.generated().len() >= self.limit => Some(FinishReason::Length),
            () => None,
        };
        if self.finished.is_some() {
            text.push_str(&self.stream.finish());
        }
        if on_step(Step { token, text, logprobs }).is_break() {
            self.finished = Some(FinishReason::Cancelled);
        }
        self.look_for_cancel();
        Ok(())
    }

    /// The next token by the logits, of those that the grammar allows.
    fn choose(&mut self, logits: &[f32]) -> Result<u32, Error> {
        let Some(constraint) = &mut self.constraint else { return Ok(self.sampler.choose(logits, &self.seen)?) };
        let mut allowed = logits.to_vec();
        constraint.mask(&mut allowed)?;
        let token = self.sampler.choose(&allowed, &self.seen)?;
        constraint.commit(token)?;
        Ok(token)
    }

    /// Ends the answer if it has not ended and somebody wants it to.
    pub(crate) fn look_for_cancel(&mut self) {
        if self.finished.is_none() && self.cancel.is_cancelled() {
            self.finished = Some(FinishReason::Cancelled);
        }
    }

    /// Why there are no more tokens; none while there are.
    pub(crate) fn finished(&self) -> Option<FinishReason> {
        self.finished
    }

    /// The tokens of the answer so far.
    pub(crate) fn generated(&self) -> &[u32] {
        &self.tokens[self.prompt_tokens..]
    }

    /// The last token, which the model has to see next, and its position on all axes; none before the first.
    pub(crate) fn last(&self) -> Option<(u32, i64)> {
        let token = *self.generated().last()?;
        Some((token, self.first_position + self.generated().len() as i64 - 1))
    }

    /// Tokens that may follow the last one.
    pub(crate) fn draft(&mut self) -> Vec<u32> {
        // The logits behind the last token of a draft give one more.
        let most = (self.limit - self.generated().len()).saturating_sub(1);
        self.lookup.as_mut().map_or_else(Vec::new, |lookup| lookup.propose(&self.tokens, most))
    }

    /// Notes how many tokens of a draft were right.
    pub(crate) fn learn(&mut self, drafted: usize, accepted: usize) {
        if let Some(lookup) = &mut self.lookup {
            lookup.learn(drafted, accepted);
        }
    }

    /// What prompt lookup did so far.
    pub(crate) fn speculation(&self) -> Speculation {
        self.lookup.as_ref().map(PromptLookup::total).unwrap_or_default()
    }

    /// The answer to `prompt`, and the end of its text that no step had, because the answer was cancelled.
    pub(crate) fn into_answer(mut self, prompt: &Prompt, timings: Timings) -> (Answer, String) {
        let rest = self.stream.finish();
        let answer = Answer {
            usage: Usage { prompt_tokens: self.prompt_tokens, completion_tokens: self.generated().len() },
            token_ids: self.generated().to_vec(),
            prompt_token_ids: prompt.token_ids.clone(),
            finish_reason: self.finished.unwrap_or(FinishReason::Cancelled),
            images: ImageInfo::of_prompt(prompt),
            speculation: self.speculation(),
            text: self.stream.into_text(),
            timings,
        };
        (answer, rest)
    }
}
