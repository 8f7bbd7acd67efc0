//! The tokens that can still be drawn, and the filters that thin them out.

use std::cmp::Ordering;

/// One token that can be drawn.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: u32,
    /// Logit over temperature, less that of the most likely token: at most 0.
    score: f64,
}

impl Candidate {
    /// Its probability over that of the most likely token.
    fn weight(&self) -> f64 {
        self.score.exp()
    }

    /// Most likely first; among equals the lower id first.
    fn order(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.id.cmp(&other.id))
    }
}

/// A list of tokens that is never empty; its order does not depend on how the filters found their border.
#[derive(Debug)]
pub(super) struct Candidates(Vec<Candidate>);

/// How many candidates top-p puts in order at first; most nuclei are smaller.
const FIRST_SORTED: usize = 128;

impl Candidates {
    /// All tokens with a logit above minus infinity; none if there is no such token.
    pub(super) fn new(logits: &[f32], temperature: f32) -> Option<Self> {
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let score = |logit: f32| (f64::from(logit) - f64::from(best)) / f64::from(temperature);
        let list: Vec<Candidate> = (0..)
            .zip(logits)
            .filter(|&(_, &logit)| logit > f32::NEG_INFINITY)
            .map(|(id, &logit)| Candidate { id, score: score(logit) })
            .collect();
        (!list.is_empty()).then_some(Self(list))
    }

    /// Keeps the `k` most likely tokens, and those that tie with the last of them; 0 keeps all.
    pub(super) fn keep_top_k(&mut self, k: usize) {
        if k == 0 || k >= self.0.len() {
            return;
        }
        let mut scores: Vec<f64> = self.0.iter().map(|candidate| candidate.score).collect();
        let (_, &mut border, _) = scores.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        self.0.retain(|candidate| candidate.score >= border);
    }

    /// Keeps the smallest set of most likely tokens whose share of the whole is at least `p`; 1 keeps all.
    pub(super) fn keep_top_p(&mut self, p: f32) {
        if p >= 1.0 {
            return;
        }
        let enough = f64::from(p) * self.0.iter().map(Candidate::weight).sum::<f64>();
        let (mut sorted, mut share) = (0, 0.0);
        while sorted < self.0.len() {
            let end = self.sort_on(sorted);
            for index in sorted..end {
                share += self.0[index].weight();
                if share >= enough {
                    self.0.truncate(index + 1);
                    return;
                }
            }
            sorted = end;
        }
    }

    /// Puts more candidates in order after the first `sorted` ones, and returns how many are in order then.
    fn sort_on(&mut self, sorted: usize) -> usize {
        let rest = &mut self.0[sorted..];
        let count = sorted.max(FIRST_SORTED).min(rest.len());
        if count < rest.len() {
            rest.select_nth_unstable_by(count, Candidate::order);
        }
        rest[..count].sort_unstable_by(Candidate::order);
        sorted + count
    }

    /// Drops tokens less likely than `p` times the most likely one; 0 drops none.
    pub(super) fn keep_min_p(&mut self, p: f32) {
        let border = f64::from(p);
        // The most likely token weighs exactly 1, so at least it stays.
        self.0.retain(|candidate| candidate.weight() >= border);
    }

    /// The token at `uniform` (0 to 1) of the way through the remaining weights.
    pub(super) fn draw(&self, uniform: f64) -> u32 {
        let total: f64 = self.0.iter().map(Candidate::weight).sum();
        let mut left = uniform * total;
        let mut drawn = self.0[0].id;
        for candidate in self.0.iter().filter(|candidate| candidate.weight() > 0.0) {
            drawn = candidate.id;
            left -= candidate.weight();
            if left < 0.0 {
                break;
            }
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(candidates: &Candidates) -> Vec<u32> {
        let mut ids: Vec<u32> = candidates.0.iter().map(|candidate| candidate.id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn ties_at_the_border_of_top_k_stay() {
        let mut candidates = Candidates::new(&[1.0, 3.0, 2.0, 2.0, 2.0], 1.0).unwrap();
        candidates.keep_top_k(2);
        assert_eq!(ids(&candidates), [1, 2, 3, 4]);
    }

    #[test]
    fn top_p_takes_the_lower_ids_of_equals() {
        let mut candidates = Candidates::new(&[0.0; 10], 1.0).unwrap();
        candidates.keep_top_p(0.25);
        assert_eq!(ids(&candidates), [0, 1, 2]);
    }

    #[test]
    fn top_p_of_exactly_the_share_adds_no_more() {
        let mut candidates = Candidates::new(&[0.0; 4], 1.0).unwrap();
        candidates.keep_top_p(0.5);
        assert_eq!(ids(&candidates), [0, 1]);
    }

    #[test]
    fn a_draw_reaches_the_first_and_the_last() {
        let candidates = Candidates::new(&[0.0, 0.0, f32::NEG_INFINITY], 1.0).unwrap();
        assert_eq!(candidates.draw(0.0), 0);
        assert_eq!(candidates.draw(0.49), 0);
        assert_eq!(candidates.draw(0.5), 1);
        assert_eq!(candidates.draw(1.0), 1);
    }

    proptest! {
        #[test]
        fn top_p_is_the_smallest_set(
            logits in prop::collection::vec(-8.0_f32..8.0, 1..400),
            p in 0.01_f32..0.999,
            temperature in 0.2_f32..3.0,
        ) {
            let all = Candidates::new(&logits, temperature).unwrap();
            let total: f64 = all.0.iter().map(Candidate::weight).sum();
            let mut kept = Candidates::new(&logits, temperature).unwrap();
            kept.keep_top_p(p);
            let share: f64 = kept.0.iter().map(Candidate::weight).sum::<f64>() / total;
            let least = kept.0.iter().map(Candidate::weight).fold(f64::INFINITY, f64::min);
            prop_assert!(share >= f64::from(p) - 1e-9);
            prop_assert!(share - least / total < f64::from(p) + 1e-9);
            let kept_ids = ids(&kept);
            for dropped in all.0.iter().filter(|candidate| !kept_ids.contains(&candidate.id)) {
                prop_assert!(dropped.weight() <= least);
            }
        }

        #[test]
        fn top_k_keeps_the_k_best(logits in prop::collection::vec(-8_i8..8, 1..200), k in 1_usize..250) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            let mut kept = Candidates::new(&logits, 1.0).unwrap();
            kept.keep_top_k(k);
            let mut sorted = logits.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let border = sorted[k.min(sorted.len()) - 1];
            let expected: Vec<u32> =
                (0..).zip(&logits).filter(|&(_, &logit)| logit >= border).map(|(id, _)| id).collect();
            prop_assert_eq!(ids(&kept), expected);
        }
    }
}
