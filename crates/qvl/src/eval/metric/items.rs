//! The same things in any order, for descriptions such as "A red circle and a blue square on a white background."

/// What stands between two things.
const SEPARATORS: [&str; 3] = [", ", " and ", " on "];

/// 1 if `answer` and `reference` name the same things as often, else 0.
pub(super) fn score(answer: &str, reference: &str) -> f64 {
    f64::from(u8::from(items(answer) == items(reference)))
}

/// The things in order of the alphabet, without article.
fn items(text: &str) -> Vec<String> {
    let text = text.trim().to_lowercase();
    let mut rest = text.strip_suffix('.').unwrap_or(&text);
    let mut items = Vec::new();
    while let Some((place, separator)) = next_separator(rest) {
        items.push(without_article(&rest[..place]));
        rest = &rest[place + separator.len()..];
    }
    items.push(without_article(rest));
    items.sort_unstable();
    items
}

/// The first separator and where it begins, in bytes.
fn next_separator(text: &str) -> Option<(usize, &'static str)> {
    SEPARATORS.iter().filter_map(|separator| Some((text.find(separator)?, *separator))).min()
}

fn without_article(item: &str) -> String {
    let item = item.trim();
    item.strip_prefix("a ").or_else(|| item.strip_prefix("an ")).unwrap_or(item).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = "A red circle, an orange star and a red circle on a white background.";

    #[test]
    fn the_order_does_not_count() {
        assert_eq!(score(REFERENCE, REFERENCE), 1.0);
        assert_eq!(score("An orange star, a red circle and a red circle on a white background", REFERENCE), 1.0);
    }

    #[test]
    fn how_often_and_which_count() {
        for answer in [
            "A red circle and an orange star on a white background.",
            "A red circle, a red star and an orange circle on a white background.",
            "A red circle, an orange star and a red circle on a black background.",
            "",
        ] {
            assert_eq!(score(answer, REFERENCE), 0.0, "{answer}");
        }
    }
}
