//! Beam search: several answers grow side by side, and the most likely whole one is given.

mod candidates;
mod search;
mod settings;
#[cfg(test)]
mod tests;

use std::mem;

use qvl_engine::Engine;
use qvl_processor::{Prompt, Tokenizer};

pub use settings::BeamSearch;

use crate::answer::{Answer, FinishReason, ImageInfo, Timings, Usage};
use crate::cached_prompt::position_after;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::generation::GenerationConfig;
use crate::prompt_lookup::Speculation;
use crate::sampler::SeenTokens;
use crate::sequence::Sequence;
use search::Search;

/// The answer that a search found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) token_ids: Vec<u32>,
    pub(crate) text: String,
    pub(crate) finish_reason: FinishReason,
}

impl Found {
    /// What a search finds that was cancelled before it began.
    pub(crate) fn nothing() -> Self {
        Self { token_ids: Vec::new(), text: String::new(), finish_reason: FinishReason::Cancelled }
    }

    /// The answer to `prompt`.
    pub(crate) fn into_answer(self, prompt: &Prompt, timings: Timings) -> Answer {
        let (prompt_tokens, completion_tokens) = (prompt.token_ids.len(), self.token_ids.len());
        Answer {
            text: self.text,
            token_ids: self.token_ids,
            prompt_token_ids: prompt.token_ids.clone(),
            finish_reason: self.finish_reason,
            images: ImageInfo::of_prompt(prompt),
            usage: Usage { prompt_tokens, completion_tokens },
            speculation: Speculation::default(),
            timings,
        }
    }
}

/// What an answer is searched to, and with.
pub(crate) struct Task<'a> {
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) prompt: &'a Prompt,
    pub(crate) config: &'a GenerationConfig,
    /// Most tokens of the answer.
    pub(crate) limit: usize,
    pub(crate) cancel: &'a CancelFlag,
}

/// Searches the most likely answer. `sequence` holds the prompt, after which the model gave `logits`, and is left as it is.
///
/// A cancelled search gives the best answer so far.
///
/// # Errors
/// If the engine fails or the logits are broken.
pub(crate) fn search(
    engine: &mut dyn Engine,
    sequence: &Sequence,
    settings: &BeamSearch,
    task: &Task<'_>,
    logits: &[f32],
) -> Result<Found, Error> {
    let mut branches = Vec::new();
    let found = walk(engine, sequence, &mut branches, settings, task, logits);
    branches.iter_mut().for_each(|branch| branch.close(engine));
    found
}

/// As [`search`]; the sequences of `branches` stay open.
fn walk(
    engine: &mut dyn Engine,
    sequence: &Sequence,
    branches: &mut Vec<Sequence>,
    settings: &BeamSearch,
    task: &Task<'_>,
    logits: &[f32],
) -> Result<Found, Error> {
    let mut seen = SeenTokens::default();
    seen.prompt(&task.prompt.token_ids);
    let mut search = Search::new(settings, task.config, task.tokenizer, task.limit, seen);
    let mut parents = search.advance(logits, logits.len())?;
    branches.push(sequence.fork(engine, sequence.len())?);
    let mut position = position_after(task.prompt);
    while !search.is_over() && !task.cancel.is_cancelled() {
        branch(engine, branches, &parents)?;
        let last = search.running().iter().filter_map(|beam| beam.tokens.last().copied());
        let mut rows: Vec<_> = branches.iter_mut().zip(last).map(|(branch, token)| (branch, token, position)).collect();
        let logits = Sequence::decode_batch(engine, &mut rows)?;
        parents = search.advance(&logits.data, logits.vocab)?;
        position += 1;
    }
    let (token_ids, text, finish_reason) = search.into_best();
    Ok(Found { token_ids, text, finish_reason })
}

/// Makes branch i a continuation of what branch `parents[i]` was: the first child of a branch goes on with its cache, the others with
/// copies of it.
///
/// # Errors
/// If the engine has no room for a copy.
fn branch(engine: &mut dyn Engine, branches: &mut Vec<Sequence>, parents: &[usize]) -> Result<(), Error> {
    let childless = (0..branches.len()).filter(|index| !parents.contains(index)).collect::<Vec<_>>();
    // First, so that their memory is there for copies.
    childless.into_iter().for_each(|index| branches[index].close(engine));
    let mut has_child = vec![false; branches.len()];
    let mut places = Vec::with_capacity(parents.len());
    for &parent in parents {
        if mem::replace(&mut has_child[parent], true) {
            let copy = branches[parent].fork(engine, branches[parent].len())?;
            places.push(branches.len());
            branches.push(copy);
        } else {
            places.push(parent);
        }
    }
    let mut all: Vec<Option<Sequence>> = branches.drain(..).map(Some).collect();
    branches.extend(places.into_iter().filter_map(|place| all[place].take()));
    Ok(())
}
