//! The package's files beside the graphs.

pub(crate) mod copied;
pub(crate) mod genai;
pub(crate) mod json;
pub(crate) mod transformers_js;
