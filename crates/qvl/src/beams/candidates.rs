//! The best continuations of all growing answers together.

/// An answer that grows by a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    /// The sum of the log-probabilities of all its tokens.
    pub(super) score: f32,
    /// Which answer grows.
    pub(super) parent: usize,
    pub(super) token: u32,
}

/// The best candidates of those that were offered, best first; among equals, those that came first.
#[derive(Debug)]
pub(super) struct Candidates {
    most: usize,
    best: Vec<Candidate>,
}

impl Candidates {
    /// None yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { most, best: Vec::with_capacity(most + 1) }
    }

    /// Offers every token after answer `parent`, which has `score`. A log-probability of minus infinity excludes its token.
    pub(super) fn offer(&mut self, parent: usize, score: f32, log_probabilities: &[f32]) {
        for (token, log_probability) in (0..).zip(log_probabilities) {
            let candidate = Candidate { score: score + log_probability, parent, token };
            if candidate.score > self.border() {
                let place = self.best.partition_point(|other| other.score >= candidate.score);
                self.best.insert(place, candidate);
                self.best.truncate(self.most);
            }
        }
    }

    /// The score that a candidate has to exceed.
    fn border(&self) -> f32 {
        let is_full = self.best.len() == self.most;
        self.best.last().filter(|_| is_full).map_or(f32::NEG_INFINITY, |last| last.score)
    }

    pub(super) fn into_list(self) -> Vec<Candidate> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_best_are_those_of_sorting_all(
            rows in prop::collection::vec((-3..3i8, prop::collection::vec(-4..4i8, 1..20)), 1..4),
            most in 1..10usize,
        ) {
            let mut candidates = Candidates::new(most);
            let mut all = Vec::new();
            for (parent, (score, row)) in rows.iter().enumerate() {
                let row: Vec<f32> = row.iter().map(|&x| if x == -4 { f32::NEG_INFINITY } else { x.into() }).collect();
                candidates.offer(parent, (*score).into(), &row);
                let score = f32::from(*score);
                all.extend((0..).zip(&row).map(|(token, x)| Candidate { score: score + x, parent, token }));
            }
            all.retain(|candidate| candidate.score > f32::NEG_INFINITY);
            all.sort_by(|a, b| b.score.total_cmp(&a.score));
            all.truncate(most);
            prop_assert_eq!(candidates.into_list(), all);
        }
    }
}
