//! What is measured, and in which order.

use std::fmt;
use std::str::FromStr;

use qvl_checkpoint::TextConfig;
use serde::Serialize;

/// Sides of the pictures in pixels, width first.
const PICTURES: [[usize; 2]; 2] = [[512, 512], [1024, 768]];

/// Lengths of the prompts in tokens.
const PROMPTS: [usize; 2] = [512, 2048];

/// Tokens before those that are decoded.
const CONTEXTS: [usize; 3] = [0, 2048, 8192];

/// Most tokens that decoding appends to a context while it is measured.
pub(super) const MOST_STEPS: usize = 64;

/// A part of the model's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Encoding pictures.
    Vision,
    /// Reading a prompt.
    Prefill,
    /// Generating tokens, one at a time.
    Decode,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 3] = [Self::Vision, Self::Prefill, Self::Decode];

    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = Self::ALL.into_iter().find(|part| part.name() == text);
        part.ok_or_else(|| format!("unknown part `{text}`; use vision, prefill or decode"))
    }
}

/// One figure that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "part", rename_all = "lowercase")]
pub enum Measure {
    /// Encoding one picture.
    Vision {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Reading a prompt into an empty sequence.
    Prefill {
        /// Tokens of the prompt.
        tokens: usize,
    },
    /// Decoding one token.
    Decode {
        /// Tokens that the sequence holds before it.
        context: usize,
    },
}

impl Measure {
    /// What it is a measure of.
    pub fn part(self) -> Part {
        match self {
            Self::Vision { .. } => Part::Vision,
            Self::Prefill { .. } => Part::Prefill,
            Self::Decode { .. } => Part::Decode,
        }
    }

    /// Tokens that a sequence has to hold for it.
    fn tokens(self) -> usize {
        match self {
            Self::Vision { .. } => 0,
            Self::Prefill { tokens } => tokens,
            Self::Decode { context } => context + MOST_STEPS,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vision { width, height } => write!(f, "vision {width}x{height}"),
            Self::Prefill { tokens } => write!(f, "prefill {tokens}"),
            Self::Decode { context } => write!(f, "decode at {context}"),
        }
    }
}

/// A measure that the model is too small for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The measure.
    #[serde(flatten)]
    pub measure: Measure,
    /// Tokens that the model's context holds, which are too few.
    pub limit: usize,
}

/// The measures in the order that they are taken: a prompt of the length of a context is read once for both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) measures: Vec<Measure>,
    pub(super) left_out: Vec<LeftOut>,
}

impl Plan {
    /// The measures of `parts`, of all parts if that is empty, that a model of this configuration has room for. `quick`
    /// takes the first of each part.
    pub(super) fn new(config: &TextConfig, parts: &[Part], quick: bool) -> Self {
        let count = |all: usize| if quick { 1 } else { all };
        let pictures = PICTURES[..count(PICTURES.len())].iter();
        let mut measures: Vec<Measure> = pictures.map(|&[width, height]| Measure::Vision { width, height }).collect();
        let prompts = PROMPTS[..count(PROMPTS.len())].iter().map(|&tokens| Measure::Prefill { tokens });
        let mut contexts = CONTEXTS[..count(CONTEXTS.len())].iter().map(|&context| Measure::Decode { context });
        measures.extend(contexts.next());
        measures.extend(prompts);
        measures.extend(contexts);
        measures.retain(|measure| parts.is_empty() || parts.contains(&measure.part()));

        let limit = config.max_position_embeddings;
        let (measures, beyond): (Vec<_>, Vec<_>) = measures.into_iter().partition(|measure| measure.tokens() <= limit);
        Self { measures, left_out: beyond.into_iter().map(|measure| LeftOut { measure, limit }).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::inputs::tests::config;

    fn names(measures: &[Measure]) -> Vec<String> {
        measures.iter().map(ToString::to_string).collect()
    }

    fn plan(context: usize, parts: &[Part], quick: bool) -> Plan {
        let mut config = config("dense-tied");
        config.text.max_position_embeddings = context;
        Plan::new(&config.text, parts, quick)
    }

    #[test]
    fn the_prompt_of_2048_comes_right_before_that_context() {
        let plan = plan(1 << 18, &[], false);
        let expected = [
            "vision 512x512",
            "vision 1024x768",
            "decode at 0",
            "prefill 512",
            "prefill 2048",
            "decode at 2048",
            "decode at 8192",
        ];
        assert_eq!(names(&plan.measures), expected);
        assert!(plan.left_out.is_empty());
    }

    #[test]
    fn quick_takes_one_of_each_part_and_parts_choose() {
        assert_eq!(names(&plan(4096, &[], true).measures), ["vision 512x512", "decode at 0", "prefill 512"]);
        let chosen = plan(4096, &[Part::Prefill, Part::Vision], true);
        assert_eq!(names(&chosen.measures), ["vision 512x512", "prefill 512"]);
    }

    #[test]
    fn what_exceeds_the_context_is_left_out_and_named() {
        let plan = plan(2048, &[Part::Prefill, Part::Decode], false);
        assert_eq!(names(&plan.measures), ["decode at 0", "prefill 512", "prefill 2048"]);
        let [first, second] = plan.left_out[..] else { panic!("{:?}", plan.left_out) };
        assert_eq!((first.measure, first.limit), (Measure::Decode { context: 2048 }, 2048));
        assert_eq!((second.measure, second.limit), (Measure::Decode { context: 8192 }, 2048));
    }

    #[test]
    fn parts_are_read_as_they_are_written() {
        for part in Part::ALL {
            assert_eq!(part.name().parse(), Ok(part));
        }
        assert_eq!("text".parse::<Part>(), Err("unknown part `text`; use vision, prefill or decode".to_owned()));
    }
}
