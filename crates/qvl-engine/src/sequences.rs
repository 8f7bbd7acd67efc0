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

    /// The sequences `ids`, in this order; none may be named twice.
    pub(crate) fn find_all(&mut self, ids: &[SequenceId]) -> Result<Vec<&mut S>, EngineError> {
        let mut places = HashMap::new();
        for (place, &id) in ids.iter().enumerate() {
            self.find(id)?;
            if places.insert(id, place).is_some() {
                return Err(EngineError::TwiceInBatch(id));
            }
        }
        let found = self.open.iter_mut().filter_map(|(id, sequence)| Some((*places.get(id)?, sequence)));
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|(place, _)| *place);
        Ok(found.into_iter().map(|(_, sequence)| sequence).collect())
    }

    /// The sequence `id`, of which the first `len` tokens are to be copied.
    pub(crate) fn find_to_fork(&self, id: SequenceId, len: usize) -> Result<&S, EngineError> {
        let sequence = self.get(id).ok_or(EngineError::NoSequence(id))?;
        let have = sequence.len();
        if len > have { Err(EngineError::Fork { len, have }) } else { Ok(sequence) }
    }

    /// The sequence `id`, if there is one.
    pub(crate) fn get(&self, id: SequenceId) -> Option<&S> {
        self.open.get(&id)
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
        self.get(id).map(S::len)
    }

    /// As [`Engine::close_sequence`](crate::Engine::close_sequence).
    pub(crate) fn close(&mut self, id: SequenceId) {
        self.open.remove(&id);
    }
}
