//! How an answer is compared with its reference.

mod boxes;
mod exact;
mod items;
mod words;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A comparison of an answer with its reference; every score is from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// 1 if both are equal but for white space, case and one full stop at the end.
    Exact,
    /// The share of the reference's words that stand at the same place of the answer.
    Words,
    /// Mean intersection over union of the reference's boxes with boxes of the same label.
    Boxes,
    /// 1 if both name the same things, in any order.
    Items,
}

impl Metric {
    /// How near `answer` comes to `reference`, from 0 to 1.
    pub fn score(self, answer: &str, reference: &str) -> f64 {
        match self {
            Self::Exact => exact::score(answer, reference),
            Self::Words => words::score(answer, reference),
            Self::Boxes => boxes::score(answer, reference),
            Self::Items => items::score(answer, reference),
        }
    }

    /// Whether anything can be compared with `reference`.
    ///
    /// # Errors
    /// Says what a reference of this metric has to be.
    pub(super) fn check_reference(self, reference: &str) -> Result<(), &'static str> {
        if reference.trim().is_empty() {
            return Err("must not be empty");
        }
        if self == Self::Boxes && boxes::parse(reference).is_none_or(|boxes| boxes.is_empty()) {
            return Err("must be a JSON list of at least one {\"bbox_2d\": [x0, y0, x1, y1], \"label\": …}");
        }
        Ok(())
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Words => "words",
            Self::Boxes => "boxes",
            Self::Items => "items",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Metric; 4] = [Metric::Exact, Metric::Words, Metric::Boxes, Metric::Items];

    #[test]
    fn the_name_is_that_of_the_file() {
        for metric in ALL {
            assert_eq!(serde_json::to_string(&metric).unwrap(), format!("\"{metric}\""));
        }
    }

    #[test]
    fn references_that_nothing_can_equal_are_refused() {
        assert!(ALL.iter().all(|metric| metric.check_reference(" \n").is_err()));
        assert!(Metric::Boxes.check_reference("[]").is_err());
        assert!(Metric::Boxes.check_reference("a circle").is_err());
        assert!(Metric::Boxes.check_reference(r#"[{"bbox_2d": [0, 0, 1, 1], "label": "a"}]"#).is_ok());
        assert!(Metric::Exact.check_reference("Red").is_ok());
    }

    proptest! {
        #[test]
        fn every_score_is_from_0_to_1(answer in "[ -~\n]{0,60}", reference in "[ -~\n]{0,60}") {
            for metric in ALL {
                prop_assert!((0.0..=1.0).contains(&metric.score(&answer, &reference)));
            }
        }

        #[test]
        fn the_reference_itself_scores_1(reference in "[a-z]{1,8}(( and |, | )[a-z]{1,8}){0,4}[.]?") {
            for metric in [Metric::Exact, Metric::Words, Metric::Items] {
                prop_assert_eq!(metric.score(&reference, &reference), 1.0);
            }
        }
    }
}
