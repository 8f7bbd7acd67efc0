//! What can be wrong with a configuration.

use std::fmt::Write as _;

use crate::limited::ReadError;

/// Why a `config.json` was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or is too large to be a configuration.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The text is not JSON.
    #[error("config.json is not valid JSON: {0}")]
    Syntax(serde_json::Error),
    /// The model is of another kind.
    #[error(
        "config.json: model_type is {found}, which qvl does not know; supported are \"qwen3_vl\" \
         (Qwen3-VL 2B, 4B, 8B, 32B) and \"qwen3_vl_moe\" (Qwen3-VL 30B-A3B, 235B-A22B)"
    )]
    UnknownModelType {
        /// The value in the file, as JSON, or `missing`.
        found: String,
    },
    /// The weights are quantised.
    #[error(
        "config.json: the checkpoint is quantised ({method}), and qvl exports from the original weights; use the \
         unquantised repository of the same size instead{}",
        hint(method)
    )]
    Quantized {
        /// The method that `quantization_config` names.
        method: String,
    },
    /// Values are missing or impossible; all of them are listed.
    #[error("config.json cannot be used:{}", list(.0))]
    Invalid(Vec<String>),
}

fn hint(method: &str) -> &'static str {
    match method {
        "fp8" => " (the same name without \"-FP8\", for example Qwen/Qwen3-VL-8B-Instruct)",
        _ => "",
    }
}

fn list(problems: &[String]) -> String {
    problems.iter().fold(String::new(), |mut text, problem| {
        let _ = write!(text, "\n  {problem}");
        text
    })
}
