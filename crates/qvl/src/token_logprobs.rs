//! How likely the model itself found a token, and which it found more likely.

use qvl_processor::Tokenizer;

/// The most tokens that may be asked for beside the chosen one, as in OpenAI's API.
pub const MAX_TOP_LOGPROBS: usize = 20;

/// A token of an answer with its log-probability, and the most likely tokens at its place.
///
/// Log-probabilities are natural logarithms of the model's own distribution: the softmax of the logits before logit
/// bias, penalties, grammar and temperature, with its sum in double precision.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprobs {
    /// The token.
    pub id: u32,
    /// Its log-probability; minus infinity if the model excludes it.
    pub logprob: f32,
    /// The bytes it stands for, possibly a part of a character.
    pub bytes: Vec<u8>,
    /// The most likely tokens: id, log-probability and bytes. Most likely first, the lower id first among equals.
    pub top: Vec<(u32, f32, Vec<u8>)>,
}

impl TokenLogprobs {
    /// Token `id` and the `count` most likely ones by `logits`, one per token of the vocabulary and none NaN.
    ///
    /// `count` is taken as [`MAX_TOP_LOGPROBS`] where it is greater.
    pub fn new(logits: &[f32], id: u32, count: usize, tokenizer: &Tokenizer) -> Self {
        let logprob = log_probability(logits);
        let bytes = |id: u32| tokenizer.token_bytes(id).unwrap_or_default().to_vec();
        let own = usize::try_from(id).ok().and_then(|index| logits.get(index)).copied();
        let top = most_likely(logits, count.min(MAX_TOP_LOGPROBS));
        Self {
            id,
            logprob: logprob(own.unwrap_or(f32::NEG_INFINITY)),
            bytes: bytes(id),
            top: top.into_iter().map(|(id, logit)| (id, logprob(logit), bytes(id))).collect(),
        }
    }
}

/// From the logit of one of the tokens that `logits` belong to, to its log-probability: the logarithm of the softmax, with its sum in
/// double precision.
pub(crate) fn log_probability(logits: &[f32]) -> impl Fn(f32) -> f32 {
    let best = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - best).exp()).sum();
    let log_sum = sum.ln();
    // Of large logits only the difference to the greatest has digits to spare.
    move |logit| (f64::from(logit) - best - log_sum) as f32
}

/// The `count` tokens with the greatest logits above minus infinity, in one pass over the vocabulary.
fn most_likely(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(count + 1);
    let mut border = f32::NEG_INFINITY;
    for (id, &logit) in (0..).zip(logits) {
        if logit <= border {
            continue;
        }
        // Behind its equals, which have lower ids.
        let place = best.partition_point(|&(_, other)| other >= logit);
        best.insert(place, (id, logit));
        if best.len() > count {
            best.pop();
        }
        if best.len() == count {
            border = best.last().map_or(f32::INFINITY, |&(_, last)| last);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokenizer() -> Tokenizer {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/tiny/dense-tied/tokenizer.json");
        Tokenizer::open(file.as_ref()).unwrap()
    }

    #[test]
    fn probabilities_are_those_of_the_softmax() {
        let logits = [1.0_f32, 3.0, f32::NEG_INFINITY, 2.0];
        let total: f64 = [1.0_f64, 3.0, 2.0].map(f64::exp).iter().sum();
        let found = TokenLogprobs::new(&logits, 3, 2, &tokenizer());
        assert_eq!(found.id, 3);
        assert!((f64::from(found.logprob) - (2.0 - total.ln())).abs() < 1e-6);
        assert_eq!(found.top.iter().map(|top| top.0).collect::<Vec<_>>(), [1, 3]);
        assert!((f64::from(found.top[0].1) - (3.0 - total.ln())).abs() < 1e-6);
        assert_eq!(found.bytes, found.top[1].2);
    }

    #[test]
    fn an_excluded_token_has_no_probability_and_is_never_among_the_likely() {
        let found = TokenLogprobs::new(&[0.0, f32::NEG_INFINITY], 1, 5, &tokenizer());
        assert_eq!(found.logprob, f32::NEG_INFINITY);
        assert_eq!(found.top.len(), 1);
        assert_eq!(found.top[0].1, 0.0);
    }

    #[test]
    fn large_logits_keep_their_digits() {
        let found = TokenLogprobs::new(&[f32::MAX, f32::MIN, f32::MAX], 1, 3, &tokenizer());
        assert!((found.top[0].1 - 0.5_f32.ln()).abs() < 1e-6);
        assert!(found.logprob < -1e38);
    }

    proptest! {
        #[test]
        fn the_most_likely_are_those_of_a_sort(
            logits in prop::collection::vec((-20_i8..20).prop_map(f32::from), 0..200),
            count in 0_usize..25,
        ) {
            let mut sorted: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            sorted.truncate(count);
            prop_assert_eq!(most_likely(&logits, count), sorted);
        }
    }
}
