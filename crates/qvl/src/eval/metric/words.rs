//! Words at their places, for printed text that is read.

/// The share of the words of `reference` that stand at the same index of `answer`; case counts. 0 if there are none.
pub(super) fn score(answer: &str, reference: &str) -> f64 {
    let words = reference.split_whitespace().count();
    let equal = answer.split_whitespace().zip(reference.split_whitespace()).filter(|(a, b)| a == b).count();
    equal as f64 / words.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_at_their_own_places() {
        assert_eq!(score("the quick\n brown fox", "the quick brown fox"), 1.0);
        assert_eq!(score("the quick Brown", "the quick brown fox"), 0.5);
        assert_eq!(score("quick brown fox", "the quick brown fox"), 0.0);
        assert_eq!(score("the quick brown fox jumps", "the quick brown fox"), 1.0);
        assert_eq!(score("", "the"), 0.0);
    }
}
