//! How far vision features are from the reference's.

use std::collections::HashSet;

use qvl_engine::Features;
use serde::Serialize;

use crate::vision_cache::VisionKey;

/// How far the candidate's features of some tokens are from the reference's.
///
/// A token's cosine is that of the angle between the two vectors, and its relative error is the length of their
/// difference by that of the reference's. Where the reference's is zero, an equal one has cosine 1 and error 0,
/// and any other has cosine 0 and error 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FeatureError {
    /// Mean over the tokens.
    pub cosine_mean: f64,
    /// Of the worst token.
    pub cosine_min: f64,
    /// Mean over the tokens.
    pub relative_error_mean: f64,
    /// Of the worst token.
    pub relative_error_max: f64,
}

/// One of the 1 + R vectors of each token.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureBlock {
    /// `merged`, which goes into the input embeddings, or `deepstack.i`, which is added after text layer i.
    pub name: String,
    /// How far it is from the reference's.
    #[serde(flatten)]
    pub error: FeatureError,
}

/// The vision features of all pictures and videos, each of which counts once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VisionSummary {
    /// Pictures and videos.
    pub pictures: usize,
    /// Their tokens.
    pub tokens: usize,
    /// The merged feature, then those of DeepStack.
    pub blocks: Vec<FeatureBlock>,
}

/// The same picture's features by both models, compared.
#[derive(Debug, Clone)]
pub(super) struct PictureComparison {
    key: VisionKey,
    tokens: usize,
    blocks: Vec<Sums>,
}

impl PictureComparison {
    /// Rows of `blocks` vectors side by side.
    pub(super) fn new(key: VisionKey, reference: &Features, candidate: &Features, blocks: usize) -> Self {
        let mut sums = vec![Sums::default(); blocks];
        let width = (reference.width / blocks.max(1)).max(1);
        let vectors = reference.data.chunks_exact(width).zip(candidate.data.chunks_exact(width));
        for (index, (reference, candidate)) in vectors.enumerate() {
            sums[index % blocks].add(reference, candidate);
        }
        Self { key, tokens: reference.rows, blocks: sums }
    }
}

/// Sums over the tokens of one block.
#[derive(Debug, Clone, Copy)]
struct Sums {
    cosine: f64,
    cosine_min: f64,
    relative_error: f64,
    relative_error_max: f64,
}

impl Default for Sums {
    fn default() -> Self {
        Self { cosine: 0.0, cosine_min: f64::INFINITY, relative_error: 0.0, relative_error_max: 0.0 }
    }
}

impl Sums {
    fn add(&mut self, reference: &[f32], candidate: &[f32]) {
        let (cosine, error) = compare(reference, candidate);
        self.cosine += cosine;
        self.cosine_min = self.cosine_min.min(cosine);
        self.relative_error += error;
        self.relative_error_max = self.relative_error_max.max(error);
    }

    fn merge(&mut self, other: &Self) {
        self.cosine += other.cosine;
        self.cosine_min = self.cosine_min.min(other.cosine_min);
        self.relative_error += other.relative_error;
        self.relative_error_max = self.relative_error_max.max(other.relative_error_max);
    }

    fn error(&self, tokens: usize) -> FeatureError {
        FeatureError {
            cosine_mean: self.cosine / tokens as f64,
            cosine_min: self.cosine_min,
            relative_error_mean: self.relative_error / tokens as f64,
            relative_error_max: self.relative_error_max,
        }
    }
}

/// Cosine and relative error of two vectors.
fn compare(reference: &[f32], candidate: &[f32]) -> (f64, f64) {
    let (mut dot, mut reference_square, mut candidate_square, mut difference_square) = (0.0, 0.0, 0.0, 0.0);
    for (&r, &c) in reference.iter().zip(candidate) {
        let (r, c) = (f64::from(r), f64::from(c));
        dot += r * c;
        reference_square += r * r;
        candidate_square += c * c;
        difference_square += (r - c) * (r - c);
    }
    if difference_square == 0.0 {
        return (1.0, 0.0);
    }
    if reference_square == 0.0 {
        return (0.0, 1.0);
    }
    let lengths = (reference_square * candidate_square).sqrt();
    // A candidate of zeros has no direction; rounding can lead out of the range of a cosine.
    let cosine = if lengths == 0.0 { 0.0 } else { (dot / lengths).clamp(-1.0, 1.0) };
    (cosine, (difference_square / reference_square).sqrt())
}

/// All pictures so far.
#[derive(Debug, Default)]
pub(super) struct VisionTally {
    seen: HashSet<VisionKey>,
    tokens: usize,
    blocks: Vec<Sums>,
}

impl VisionTally {
    /// Counts a picture, unless it was counted before.
    pub(super) fn add(&mut self, picture: &PictureComparison) {
        if !self.seen.insert(picture.key) {
            return;
        }
        self.tokens += picture.tokens;
        self.blocks.resize(picture.blocks.len(), Sums::default());
        self.blocks.iter_mut().zip(&picture.blocks).for_each(|(sums, own)| sums.merge(own));
    }

    /// None before the first picture.
    pub(super) fn summary(&self) -> Option<VisionSummary> {
        let name = |index: usize| if index == 0 { "merged".to_owned() } else { format!("deepstack.{}", index - 1) };
        let blocks = self.blocks.iter().enumerate();
        let blocks = blocks.map(|(index, sums)| FeatureBlock { name: name(index), error: sums.error(self.tokens) });
        (self.tokens > 0).then(|| VisionSummary {
            pictures: self.seen.len(),
            tokens: self.tokens,
            blocks: blocks.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use qvl_checkpoint::Grid;

    use super::*;

    fn near(found: (f64, f64), expected: (f64, f64)) {
        assert!((found.0 - expected.0).abs() < 1e-12 && (found.1 - expected.1).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn vectors_by_hand() {
        near(compare(&[3.0, 4.0], &[3.0, 4.0]), (1.0, 0.0));
        near(compare(&[3.0, 4.0], &[6.0, 8.0]), (1.0, 1.0));
        near(compare(&[3.0, 4.0], &[-4.0, 3.0]), (0.0, 2.0_f64.sqrt()));
        near(compare(&[1.0, 0.0], &[-1.0, 0.0]), (-1.0, 2.0));
        near(compare(&[0.0, 0.0], &[0.0, 0.0]), (1.0, 0.0));
        near(compare(&[0.0, 0.0], &[1.0, 0.0]), (0.0, 1.0));
        near(compare(&[1.0, 0.0], &[0.0, 0.0]), (0.0, 1.0));
    }

    fn picture(content: u8, reference: &[f32], candidate: &[f32]) -> PictureComparison {
        let features = |data: &[f32]| Features { rows: data.len() / 4, width: 4, data: data.to_vec() };
        let key = VisionKey { content: [content; 32], grid: Grid { t: 1, h: 2, w: 2 } };
        PictureComparison::new(key, &features(reference), &features(candidate), 2)
    }

    #[test]
    fn blocks_are_apart_and_a_picture_counts_once() {
        let mut tally = VisionTally::default();
        assert_eq!(tally.summary(), None);
        let first = picture(1, &[1.0, 0.0, 3.0, 4.0], &[1.0, 0.0, 6.0, 8.0]);
        tally.add(&first);
        tally.add(&first);
        tally.add(&picture(2, &[1.0, 0.0, 1.0, 0.0], &[0.0, 1.0, 1.0, 0.0]));
        let summary = tally.summary().unwrap();
        assert_eq!((summary.pictures, summary.tokens), (2, 2));
        let names: Vec<&str> = summary.blocks.iter().map(|block| block.name.as_str()).collect();
        assert_eq!(names, ["merged", "deepstack.0"]);
        let merged = summary.blocks[0].error;
        assert_eq!((merged.cosine_mean, merged.cosine_min), (0.5, 0.0));
        assert!((merged.relative_error_max - 2.0_f64.sqrt()).abs() < 1e-12);
        let deepstack = summary.blocks[1].error;
        assert_eq!(
            (deepstack.cosine_min, deepstack.relative_error_mean, deepstack.relative_error_max),
            (1.0, 0.5, 1.0)
        );
    }
}
