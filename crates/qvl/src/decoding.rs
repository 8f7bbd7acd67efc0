//! One step of one answer: the engine appends its last token, and the logits give the next, or several of them.

use std::iter;

use qvl_engine::{Engine, Logits};
use qvl_processor::Tokenizer;

use crate::answer_state::{AnswerState, OnStep};
use crate::cached_prompt::CachedToken;
use crate::error::Error;
use crate::sequence::Sequence;

/// Appends the answer's last token to `sequence`, with a draft of what may follow where that can be verified, and takes
/// the tokens that come of it.
///
/// Drafts change nothing but the time: each token is chosen by the logits after its true predecessors.
///
/// # Errors
/// If the engine fails or the logits are broken. The sequence holds no draft then.
pub(crate) fn step(
    engine: &mut dyn Engine,
    sequence: &mut Sequence,
    tokenizer: &Tokenizer,
    answer: &mut AnswerState,
    on_step: OnStep<'_>,
) -> Result<(), Error> {
    let Some((token, position)) = answer.last() else { return Ok(()) };
    let draft = if engine.gives_all_rows() { answer.draft() } else { Vec::new() };
    if draft.is_empty() {
        let logits = sequence.decode(engine, token, position)?;
        return answer.take(tokenizer, logits.last(), on_step);
    }
    let start = sequence.len();
    let tokens = iter::once(token).chain(draft.iter().copied());
    let tokens: Vec<_> = tokens.zip(position..).map(|(id, position)| CachedToken::text(id, position)).collect();
    let logits = sequence.prefill_all(engine, &tokens)?;
    let taken = verify(tokenizer, answer, &draft, &logits, on_step);
    let accepted = *taken.as_ref().unwrap_or(&0);
    answer.learn(draft.len(), accepted);
    sequence.truncate(engine, start + 1 + accepted)?;
    taken.map(|_| ())
}

/// Takes the rows as long as the draft holds; returns how much of it held and is followed by another token.
fn verify(
    tokenizer: &Tokenizer,
    answer: &mut AnswerState,
    draft: &[u32],
    logits: &Logits,
    on_step: OnStep<'_>,
) -> Result<usize, Error> {
    for (index, row) in logits.data.chunks_exact(logits.vocab).enumerate() {
        answer.take(tokenizer, row, on_step)?;
        let chosen = answer.last().map(|(token, _)| token);
        if answer.finished().is_some() || chosen != draft.get(index).copied() {
            return Ok(index);
        }
    }
    Ok(draft.len())
}
