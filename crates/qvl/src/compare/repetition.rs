//! Answers that never end because they go round in circles.

/// Longest circle that is looked for, in tokens.
const MAX_PERIOD: usize = 16;

/// How often a circle has to be gone round at the end of the answer.
const MIN_ROUNDS: usize = 4;

/// How many tokens that has to be at least, so that `0000` at the end of a number is none.
const MIN_TOKENS: usize = 16;

/// Whether an answer that was cut at its limit was repeating itself: for some n up to 16, its last max(4n, 16) tokens
/// repeat with period n. An answer of fewer tokens never does.
pub(super) fn ends_in_circles(tokens: &[u32]) -> bool {
    (1..=MAX_PERIOD).any(|period| {
        let tail = (MIN_ROUNDS * period).max(MIN_TOKENS);
        let Some(start) = tokens.len().checked_sub(tail) else { return false };
        (start + period..tokens.len()).all(|index| tokens[index] == tokens[index - period])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn circles(lead: &[u32], circle: &[u32], tokens: usize) -> Vec<u32> {
        let circle = circle.iter().cycle().take(tokens).copied();
        lead.iter().copied().chain(circle).collect()
    }

    #[test]
    fn four_rounds_and_sixteen_tokens_make_a_circle() {
        assert!(ends_in_circles(&circles(&[9, 8], &[1], 16)) && !ends_in_circles(&circles(&[9, 8], &[1], 15)));
        assert!(ends_in_circles(&circles(&[9], &[1, 2, 3, 4, 5], 20)));
        assert!(!ends_in_circles(&circles(&[9], &[1, 2, 3, 4, 5], 19)));
        let sixteen: Vec<u32> = (0..16).collect();
        assert!(ends_in_circles(&circles(&[], &sixteen, 64)) && !ends_in_circles(&circles(&[], &sixteen, 63)));
        let seventeen: Vec<u32> = (0..17).collect();
        assert!(!ends_in_circles(&circles(&[], &seventeen, 170)), "longer circles are not looked for");
    }

    #[test]
    fn a_circle_that_was_left_is_none() {
        let mut tokens = circles(&[], &[1, 2], 40);
        assert!(ends_in_circles(&tokens));
        tokens.push(1);
        assert!(ends_in_circles(&tokens), "cut in the middle of a round");
        tokens.push(7);
        assert!(!ends_in_circles(&tokens));
        assert!(!ends_in_circles(&[]));
    }

    proptest! {
        #[test]
        fn every_circle_is_found_wherever_it_is_cut(
            lead in prop::collection::vec(0..9_u32, 0..20),
            circle in prop::collection::vec(0..9_u32, 1..=16),
            more in 0..40_usize,
        ) {
            let tokens = (4 * circle.len()).max(16) + more;
            prop_assert!(ends_in_circles(&circles(&lead, &circle, tokens)));
        }
    }
}
