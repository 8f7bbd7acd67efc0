//! What a new prompt goes on from.

use super::kept::Kept;
use super::running::Running;
use crate::cached_prompt::PromptLayout;

/// So many tokens are worth waiting for in any prompt.
const LONG: usize = 256;

/// Where the beginning of a prompt comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// It has to be computed.
    Nowhere,
    /// The first `len` tokens of a kept sequence.
    Kept { index: usize, len: usize },
    /// The first `len` tokens of the sequence of a running job.
    Running { index: usize, len: usize },
    /// A running job will have computed it before long.
    Later,
}

impl Beginning {
    /// The longest for `prompt`.
    pub(super) fn find(prompt: &PromptLayout, kept: &Kept, running: &[Running]) -> Self {
        let (index, len) = kept.longest(prompt).unwrap_or_default();
        let (other, other_len) = longest(running, |job| prompt.common_prefix(job.cached()));
        let now = len.max(other_len);
        let (_, later) = longest(running, |job| prompt.common_prefix(job.promised()));
        if is_worth_waiting(now, later, prompt.tokens.len()) {
            return Self::Later;
        }
        match () {
            () if now == 0 => Self::Nowhere,
            () if len >= other_len => Self::Kept { index, len },
            () => Self::Running { index: other, len: other_len },
        }
    }
}

/// The job with the greatest length, and that.
fn longest(running: &[Running], len: impl Fn(&Running) -> usize) -> (usize, usize) {
    running.iter().map(len).enumerate().max_by_key(|&(_, len)| len).unwrap_or_default()
}

/// Whether a prompt of `total` tokens, of which `now` are there, should wait until `later` are: not for the few tokens
/// that all prompts begin with, while a picture behind them is encoded for someone else.
fn is_worth_waiting(now: usize, later: usize, total: usize) -> bool {
    later > now && later >= LONG.min(total.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_prompt_is_worth_waiting_for_and_a_few_tokens_are_not() {
        assert!(is_worth_waiting(0, 32, 33) && is_worth_waiting(0, 17, 33));
        assert!(!is_worth_waiting(0, 16, 33) && !is_worth_waiting(0, 3, 40));
        assert!(is_worth_waiting(0, LONG, 10_000) && !is_worth_waiting(0, LONG - 1, 10_000));
    }

    #[test]
    fn who_waits_does_so_until_all_of_it_is_there() {
        assert!((0..100).all(|now| is_worth_waiting(now, 100, 200)));
        assert!(!is_worth_waiting(100, 100, 200) && !is_worth_waiting(100, 99, 101));
    }
}
