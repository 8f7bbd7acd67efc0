//! The sequences that an engine has open.

use std::collections::HashMap;

use crate::{EngineError, SequenceId};

/// A sequence as an engine keeps it.
pub(crate) trait Tokens {
    /// Number of tokens that it holds.
    fn len(&self) -> usize;

    /// Forgets what is behind the first `len` tokens, of which there are no fewer.
    fn truncate(&mut self, len: usize);
}

/// Sequences by their names.
pub(crate) struct Sequences<S> {
    open: HashMap<SequenceId, S>,
    next: u64,
}

impl<S: Tokens> Sequences<S> {
    /// None.
    pub(crate) fn new() -> Self {
        Self { open: HashMap::new(), next: 0 }
    }

    /// Names a sequence.
    pub(crate) fn open(&mut self, sequence: S) -> SequenceId {
        let id = SequenceId(self.next);
        self.next += 1;
        self.open.insert(id, sequence);
        id
    }

    /// The sequence `id`.
    pub(crate) fn find(&mut self, id: SequenceId) -> Result<&mut S, EngineError> {
        self.open.get_mut(&id).ok_or(EngineError::NoSequence(id))
    }

    /// As [`Engine::truncate`](crate::Engine::truncate).
    pub(crate) fn truncate(&mut self, id: SequenceId, len: usize) -> Result<(), EngineError> {
        let sequence = self.find(id)?;
        let have = sequence.len();
        if len > have {
            return Err(EngineError::Truncate { len, have });
        }
        sequence.truncate(len);
        Ok(())
    }

    /// As [`Engine::len`](crate::Engine::len).
    pub(crate) fn len(&self, id: SequenceId) -> Option<usize> {
        self.open.get(&id).map(S::len)
    }

    /// As [`Engine::close_sequence`](crate::Engine::close_sequence).
    pub(crate) fn close(&mut self, id: SequenceId) {
        self.open.remove(&id);
    }
}
