//! Equality but for white space, case and one full stop at the end.

/// 1 if `answer` and `reference` are equal once normalised, else 0.
pub(super) fn score(answer: &str, reference: &str) -> f64 {
    f64::from(u8::from(normalised(answer) == normalised(reference)))
}

fn normalised(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.strip_suffix('.').unwrap_or(&text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_white_space_and_one_full_stop_do_not_count() {
        for answer in ["Dark red", " dark \n RED.", "Dark red."] {
            assert_eq!(score(answer, "Dark red"), 1.0, "{answer}");
        }
        for answer in ["Darkred", "Dark red..", "Dark red!", ""] {
            assert_eq!(score(answer, "Dark red"), 0.0, "{answer}");
        }
    }
}
