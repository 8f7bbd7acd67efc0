//! Sequences of finished answers.

use std::cmp::Reverse;

use qvl_engine::Engine;

use crate::cached_prompt::PromptLayout;
use crate::sequence::Sequence;

/// Sequences that are kept at most, however small: each takes two maps of memory for every layer, and systems limit these
/// (65,530 for a process, by default, on Linux).
const MOST: usize = 64;

/// A sequence with no more than this many tokens behind what a new prompt shares with it is not worth a copy.
const SHORT_REST: usize = 32;

/// Sequences that nobody uses, in the order of their last use.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<Sequence>);

impl Kept {
    /// The sequence that shares the longest beginning with `prompt`, and the length of that. Of several the shortest.
    pub(super) fn longest(&self, prompt: &PromptLayout) -> Option<(usize, usize)> {
        let shared = self.0.iter().map(|sequence| prompt.common_prefix(sequence.cached()));
        let best = shared.enumerate().max_by_key(|&(index, len)| (len, Reverse(self.0[index].len())));
        best.filter(|&(_, len)| len > 0)
    }

    /// A sequence of the first `len` tokens of the one at `index`: that one itself if it holds little more, else a copy.
    ///
    /// # Errors
    /// If the engine has no room for the copy.
    pub(super) fn reuse(
        &mut self,
        engine: &mut dyn Engine,
        index: usize,
        len: usize,
    ) -> Result<Sequence, qvl_engine::EngineError> {
        let mut sequence = self.0.remove(index);
        if sequence.len() <= len + SHORT_REST {
            sequence.truncate(engine, len)?;
            return Ok(sequence);
        }
        let copy = sequence.fork(engine, len);
        self.0.push(sequence);
        copy
    }

    /// Keeps a sequence.
    pub(super) fn insert(&mut self, engine: &mut dyn Engine, sequence: Sequence) {
        self.0.push(sequence);
        if self.0.len() > MOST {
            self.evict(engine);
        }
    }

    /// Closes the sequence used longest ago; false if there is none.
    pub(super) fn evict(&mut self, engine: &mut dyn Engine) -> bool {
        if self.0.is_empty() {
            return false;
        }
        self.0.remove(0).close(engine);
        true
    }

    /// Number of sequences.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes of memory that they take.
    pub(super) fn bytes(&self, engine: &dyn Engine) -> usize {
        self.0.iter().map(|sequence| sequence.bytes(engine)).sum()
    }
}
