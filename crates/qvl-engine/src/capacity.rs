//! How many tokens a sequence has room for.

use crate::EngineError;

/// Capacities are multiples of this many tokens.
const STEP: usize = 256;

/// Most tokens that a sequence has room for from the start. Beyond that it grows with what comes: a high limit that an
/// answer never reaches costs no memory.
const LARGEST_START: usize = 4096;

/// The room for a model's sequences.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Most tokens of a sequence.
    pub(crate) context: usize,
}

impl Capacity {
    /// The room of a new sequence that is expected to hold `expected` tokens.
    pub(crate) fn start(self, expected: usize) -> Result<usize, EngineError> {
        self.check(expected)?;
        Ok(self.round_up(expected.clamp(1, LARGEST_START)))
    }

    /// The room that a sequence of `len` tokens with room for `capacity` needs before `count` more come; `None` if it has
    /// enough.
    pub(crate) fn larger(self, len: usize, count: usize, capacity: usize) -> Result<Option<usize>, EngineError> {
        let needed = len.saturating_add(count);
        self.check(needed)?;
        // Half as much again: a long answer is moved few times, and little is left unused.
        Ok((needed > capacity).then(|| self.round_up(needed.max(capacity + capacity / 2))))
    }

    /// The room of a copy of `len` tokens, which is made to go on.
    pub(crate) fn copy(self, len: usize) -> usize {
        self.round_up((len + len / 2).max(1))
    }

    fn check(self, needed: usize) -> Result<(), EngineError> {
        let limit = self.context;
        if needed <= limit { Ok(()) } else { Err(EngineError::Context { needed, limit }) }
    }

    fn round_up(self, capacity: usize) -> usize {
        capacity.next_multiple_of(STEP).min(self.context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_by_half_up_to_the_context() {
        let capacity = Capacity { context: 10_000 };
        assert_eq!(capacity.start(0).unwrap(), 256);
        assert_eq!(capacity.start(257).unwrap(), 512);
        assert_eq!(capacity.start(9_000).unwrap(), 4096);
        assert_eq!(capacity.larger(4000, 96, 4096).unwrap(), None);
        assert_eq!(capacity.larger(4000, 97, 4096).unwrap(), Some(6144));
        assert_eq!(capacity.larger(6144, 1, 9_216).unwrap(), None);
        assert_eq!(capacity.larger(9_216, 1, 9_216).unwrap(), Some(10_000));
        assert_eq!([0, 300, 9_000].map(|len| capacity.copy(len)), [256, 512, 10_000]);
    }

    #[test]
    fn more_than_the_context_is_an_error() {
        let capacity = Capacity { context: 100 };
        assert!(matches!(capacity.start(101), Err(EngineError::Context { needed: 101, limit: 100 })));
        assert!(capacity.larger(100, usize::MAX, 100).is_err());
    }
}
