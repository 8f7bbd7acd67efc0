//! What a quantised model lost: a candidate beside its reference, token by token.
//!
//! [`Models`] opens two packages of one model and puts a question to both. The reference answers greedily, and both
//! predict each token of that answer from the same tokens before it (teacher forcing); so one early difference
//! does not spoil what comes after, and the measures are over text that the reference would say. [`Comparison`]
//! collects, and a [`Summary`] sums up a group of questions:
//!
//! * the Kullback-Leibler divergence KL(reference ‖ candidate) of the next-token distributions, in nats
//! * top-1 agreement: how often both find the same token most likely
//! * perplexity of both, on the reference's answers and on the answers that the question file gives
//! * how long the candidate's own greedy answer agrees with the reference's
//! * how often either ends in an endless repetition
//!
//! [`FeatureError`] compares the vision features of pictures and videos, and [`weight_errors`] reads what the package says
//! about its matrices.

mod comparison;
mod distribution;
mod error;
mod features;
mod models;
mod packages;
mod repetition;
mod statistics;
mod summary;
mod walk;
mod weights;

pub use comparison::{Comparison, PositionKl};
pub use error::CompareError;
pub use features::{FeatureBlock, FeatureError, VisionSummary};
pub use models::{CompareOptions, DEFAULT_MAX_NEW_TOKENS, Models, QuestionComparison};
pub use packages::check_packages;
pub use statistics::Spread;
pub use summary::{GivenAnswers, GreedyAgreement, PerModel, Summary};
pub use walk::TokenMeasure;
pub use weights::{MatrixErrors, weight_errors};
