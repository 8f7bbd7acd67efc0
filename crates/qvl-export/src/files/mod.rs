//! The package's files beside the graphs.

pub(crate) mod copied;
pub(crate) mod genai;
