use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// File name of the manifest.
pub const MANIFEST: &str = "package.json";

/// The manifest, `package.json`: what the package was made from and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format; a reader refuses newer ones.
    pub format_version: u32,
    /// Version of the program that wrote the package.
    pub qvl_version: String,
    /// The checkpoint that was exported.
    pub source: SourceInfo,
    /// How each graph was made, by its name: `vision`, `embedding`, `text`.
    pub graphs: BTreeMap<String, GraphInfo>,
    /// Every file of the package but the manifest itself.
    pub files: BTreeMap<String, FileInfo>,
}

impl Manifest {
    /// The format version that this program writes, and the newest that it reads.
    pub const FORMAT_VERSION: u32 = 1;
}

/// The checkpoint behind a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// The checkpoint directory's own name, without the path to it.
    pub name: String,
    /// `model_type` of its configuration.
    pub model_type: String,
    /// Size and SHA-256 of its configuration and of each shard.
    pub files: BTreeMap<String, FileInfo>,
}

/// How a graph was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphInfo {
    /// Type of the weights.
    pub precision: Precision,
    /// Which positions the graph gives logits for; only the text graph has any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub logits: Option<LogitsRows>,
}

/// Which positions of its input a text graph gives logits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogitsRows {
    /// One row a sequence: the last position's.
    Last,
    /// One row for each position.
    All,
}

/// A file's size and, where it was computed, its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
}

/// The floating-point type of a graph's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE 754 single precision.
    Fp32,
    /// IEEE 754 half precision; norms, residuals and rotary tables stay in single precision.
    Fp16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fp32" => Ok(Self::Fp32),
            "fp16" => Ok(Self::Fp16),
            other => Err(format!("unknown precision `{other}`; use fp32 or fp16")),
        }
    }
}
