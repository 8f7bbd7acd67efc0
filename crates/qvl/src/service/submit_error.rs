use crate::error::Error;

/// Why a job was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// As many jobs wait as may wait.
    #[error("{queued} requests are waiting already; try again later")]
    Full {
        /// Jobs that wait.
        queued: usize,
    },
    /// The service was stopped.
    #[error("the service is stopping; it takes no more requests")]
    Stopping,
    /// The job can have no answer.
    #[error(transparent)]
    Invalid(#[from] Error),
}
