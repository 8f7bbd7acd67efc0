//! Prompt-lookup decoding: what followed the same words before is guessed to follow them again, and several guesses are
//! checked in one pass (Saxena, "Prompt Lookup Decoding", 2023, <https://github.com/apoorvumang/prompt-lookup-decoding>).
//!
//! A guess costs a row of the pass that checks it, and none is ever believed: the model's own choice is what counts. So it
//! pays where an answer quotes the prompt or repeats itself, and is paused where it does not.

use serde::Serialize;

/// Tokens at the end of the text that have to have occurred before: the longer first.
const NGRAMS: [usize; 2] = [3, 2];

/// Longest draft. With 4-bit weights on a processor a further row costs about a quarter of a decode step, so that the gain
/// levels off here: 16 guesses that hold are 17 tokens for the price of five.
const LONGEST: usize = 16;

/// Shortest draft, and the first one.
const SHORTEST: usize = 2;

/// Longest pause, in steps, between drafts of which nothing is accepted.
const LONGEST_PAUSE: usize = 32;

/// What prompt lookup did for an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Speculation {
    /// Tokens that it proposed.
    pub drafted: usize,
    /// Of these, tokens that the model chose.
    pub accepted: usize,
}

/// Proposes drafts, and more or less of them by how the last ones fared.
#[derive(Debug)]
pub(crate) struct PromptLookup {
    /// Of the next draft.
    length: usize,
    /// Steps until the next draft.
    wait: usize,
    /// Steps to wait after the next draft of which nothing is accepted.
    pause: usize,
    total: Speculation,
}

impl Default for PromptLookup {
    fn default() -> Self {
        Self { length: SHORTEST, wait: 0, pause: 1, total: Speculation::default() }
    }
}

impl PromptLookup {
    /// At most `most` tokens that may follow `text`: those that followed its last tokens where they occurred before.
    pub(crate) fn propose(&mut self, text: &[u32], most: usize) -> Vec<u32> {
        if self.wait > 0 {
            self.wait -= 1;
            return Vec::new();
        }
        let after = NGRAMS.into_iter().find_map(|length| last_occurrence(text, length));
        let draft = after.map_or(&[][..], |start| &text[start..]);
        draft[..draft.len().min(self.length).min(most)].to_vec()
    }

    /// Notes that the first `accepted` tokens of a draft of `drafted` were the model's own.
    pub(crate) fn learn(&mut self, drafted: usize, accepted: usize) {
        self.total.drafted += drafted;
        self.total.accepted += accepted;
        if accepted == 0 {
            self.length = SHORTEST;
            self.wait = self.pause;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            return;
        }
        self.pause = 1;
        self.length = if accepted == drafted { (self.length * 2).min(LONGEST) } else { (accepted + 1).max(SHORTEST) };
    }

    pub(crate) fn total(&self) -> Speculation {
        self.total
    }
}

/// Where the text goes on after the last place, before its end, that holds its own last `length` tokens.
fn last_occurrence(text: &[u32], length: usize) -> Option<usize> {
    let (_, before) = text.split_last()?;
    let end = &text[text.len().checked_sub(length)?..];
    before.windows(length).rposition(|window| window == end).map(|start| start + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_followed_the_last_three_tokens_comes_before_what_followed_two() {
        let mut lookup = PromptLookup::default();
        assert_eq!(lookup.propose(&[1, 2, 3, 7, 8, 9, 2, 3, 5, 6, 1, 2, 3], 9), [7, 8]);
        assert_eq!(lookup.propose(&[1, 2, 3, 7, 8, 9, 2, 3, 5, 6, 4, 2, 3], 9), [5, 6]);
        assert_eq!(lookup.propose(&[1, 2, 3, 4], 9), [0_u32; 0]);
    }

    #[test]
    fn the_last_occurrence_counts_and_may_touch_the_end() {
        let mut lookup = PromptLookup::default();
        assert_eq!(lookup.propose(&[1, 2, 3, 1, 2, 4, 1, 2], 9), [4, 1]);
        assert_eq!(lookup.propose(&[5, 5, 5], 9), [5]);
        assert_eq!(lookup.propose(&[5, 5, 5, 5], 9), [5]);
    }

    #[test]
    fn drafts_grow_while_they_hold_and_shrink_to_what_held() {
        let text: Vec<u32> = (0..40).chain(0..3).collect();
        let mut lookup = PromptLookup::default();
        for length in [2, 4, 8, 16, 16] {
            assert_eq!(lookup.propose(&text, 99), (3..3 + length as u32).collect::<Vec<_>>());
            lookup.learn(length, length);
        }
        lookup.learn(16, 4);
        assert_eq!(lookup.propose(&text, 99).len(), 5);
        assert_eq!(lookup.propose(&text, 3).len(), 3);
        assert_eq!(lookup.propose(&text, 0).len(), 0);
        assert_eq!(lookup.total(), Speculation { drafted: 62, accepted: 50 });
    }

    #[test]
    fn drafts_pause_longer_and_longer_while_none_holds() {
        let mut lookup = PromptLookup::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let mut pause = 0;
            while lookup.propose(&[1, 2, 3, 1, 2], 9).is_empty() {
                pause += 1;
            }
            pauses.push(pause);
            lookup.learn(2, 0);
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 32]);
    }

    proptest! {
        #[test]
        fn a_draft_is_what_followed_the_same_tokens(text in prop::collection::vec(0_u32..4, 0..60), most in 0_usize..6) {
            let draft = PromptLookup::default().propose(&text, most);
            prop_assert!(draft.len() <= most.min(SHORTEST));
            let occurs = |length: usize| {
                let Some(start) = text.len().checked_sub(length) else { return false };
                (0..start).any(|at| text[at..].starts_with(&text[start..]) && text[at + length..].starts_with(&draft))
            };
            prop_assert!(draft.is_empty() || occurs(2));
            let repeats = text.len() > 2 && (0..text.len() - 2).any(|at| text[at..].starts_with(&text[text.len() - 2..]));
            prop_assert_eq!(draft.is_empty(), !repeats || most == 0);
        }
    }
}
