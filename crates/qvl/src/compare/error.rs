//! Why two models could not be compared.

use crate::error::Error;

/// Why two packages could not be compared, and at which of them it lies.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The packages are of different models, whose tokens or features do not stand for the same.
    #[error(
        "the packages are not of the same model: {file} differs at `{place}` ({reference} in the reference, {candidate} \
         in the candidate); compare two packages that were made from one checkpoint"
    )]
    Different {
        /// The file.
        file: &'static str,
        /// The first place in it that differs: keys and indices with dots between them.
        place: String,
        /// What the reference has there, shortened.
        reference: String,
        /// What the candidate has there, shortened.
        candidate: String,
    },
    /// The reference could not be opened or run.
    #[error("the reference failed: {0}")]
    Reference(#[source] Error),
    /// The candidate could not be opened or run.
    #[error("the candidate failed: {0}")]
    Candidate(#[source] Error),
    /// The question cannot be put to either.
    #[error(transparent)]
    Question(#[from] Error),
}
