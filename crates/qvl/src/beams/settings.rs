//! The settings of beam search, and the range of each.

use crate::generation::{GenerationConfigError, check};

/// Most answers that grow side by side: each has a KV cache of its own.
const MAX_BEAMS: usize = 16;

/// How the most likely answer is searched; the names and the order of steps are those of `transformers`.
#[derive(Debug, Clone, PartialEq)]
pub struct BeamSearch {
    /// Answers that grow side by side, from 2 to 16. One would be greedy.
    pub num_beams: usize,
    /// Whole answers are ranked by the sum of their tokens' log-probabilities, divided by the number of tokens to this power: above 0
    /// favours long answers, below 0 short ones.
    pub length_penalty: f32,
    /// End as soon as there are `num_beams` whole answers; otherwise, when none that grows can be expected to be better.
    pub early_stopping: bool,
}

impl Default for BeamSearch {
    /// Four beams, ranked by their mean.
    fn default() -> Self {
        Self { num_beams: 4, length_penalty: 1.0, early_stopping: false }
    }
}

impl BeamSearch {
    /// Checks every number against its range.
    ///
    /// # Errors
    /// Names the first setting that is out of its range, and the range.
    pub(crate) fn validate(&self) -> Result<(), GenerationConfigError> {
        check("num_beams", self.num_beams, "from 2 to 16", (2..=MAX_BEAMS).contains(&self.num_beams))?;
        let in_range = (-10.0..=10.0).contains(&self.length_penalty);
        check("length_penalty", self.length_penalty, "from -10 to 10", in_range)
    }
}
