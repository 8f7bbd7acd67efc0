use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Layout;

/// File name of the manifest.
pub const MANIFEST: &str = "package.json";

/// The manifest, `package.json`: what the package was made from and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format; a reader refuses newer ones.
    pub format_version: u32,
    /// Version of the program that wrote the package.
    pub qvl_version: String,
    /// How the files are arranged.
    #[serde(skip_serializing_if = "Layout::is_package", default)]
    pub layout: Layout,
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
    /// The packages between the checkpoint and this one, the first one first; none for an export.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub via: Vec<Intermediate>,
}

/// A package from which another one was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intermediate {
    /// Version of the program that wrote it.
    pub qvl_version: String,
    /// Precision of each of its graphs, by name.
    pub precisions: BTreeMap<String, Precision>,
}

/// How a graph was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphInfo {
    /// Type of the weights.
    pub precision: Precision,
    /// How matrices were quantised, where they were.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quantization: Option<QuantizationInfo>,
    /// Tensors that another graph stores for this one too, and that graph's name: the token table, where it is the head.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub shared: BTreeMap<String, String>,
    /// Which positions the graph gives logits for; only the text graph has any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub logits: Option<LogitsRows>,
}

/// How a graph's matrices were quantised.
///
/// Experts are symmetric in any case, and their blocks have at most 32 values: `QMoE` takes no others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantizationInfo {
    /// How scales and zero points were found.
    pub method: Method,
    /// Values that share a scale.
    pub block_size: usize,
    /// Whether zero points are fixed instead of stored.
    pub symmetric: bool,
    /// What a runtime may round activations to: 0 nothing, 4 blocks of int8.
    pub accuracy_level: usize,
    /// Tensors that have another precision than the graph, and theirs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub mix: BTreeMap<String, Precision>,
    /// What the matrices of layers were fitted to, where the method calibrates.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub calibration: Option<CalibrationInfo>,
    /// What each quantised tensor lost: `Σ (w − ŵ)² / Σ w²` over its weights w (after AWQ's scaling) and their stored
    /// values ŵ, to four digits.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub relative_error: BTreeMap<String, f64>,
}

/// What matrices were fitted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibrationInfo {
    /// Name of the prompts' source.
    pub source: String,
    /// Prompts with their answers.
    pub prompts: usize,
    /// Tokens of all prompts.
    pub tokens: usize,
    /// Those of them that stand for pictures or videos. All together they counted no more than all others.
    pub vision_tokens: usize,
}

/// How quantised matrices get their codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// From the block's extremes: plain rounding to nearest.
    Rtn,
    /// The best of several ranges, each with its least-squares scale, by squared error.
    Search,
    /// `search` after inputs that are large in calibration were scaled up in the layers' matrices, and down in what makes
    /// them (activation-aware weight quantisation).
    Awq,
    /// Ranges by `search`, then the layers' columns rounded one after another, each one's error made up for by the later
    /// ones as calibration weighs it.
    Gptq,
}

impl Method {
    /// Whether the method fits the layers' matrices to prompts.
    pub fn calibrates(self) -> bool {
        matches!(self, Self::Awq | Self::Gptq)
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rtn" => Ok(Self::Rtn),
            "search" => Ok(Self::Search),
            "awq" => Ok(Self::Awq),
            "gptq" => Ok(Self::Gptq),
            other => Err(format!("unknown method `{other}`; use rtn, search, awq or gptq")),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rtn => "rtn",
            Self::Search => "search",
            Self::Awq => "awq",
            Self::Gptq => "gptq",
        })
    }
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
    /// Matrices in blocks of 8-bit integers, all else in single precision.
    Int8,
    /// Matrices in blocks of 4-bit integers, all else in single precision.
    Int4,
}

impl Precision {
    /// Bits of a quantised matrix element; none for floating-point matrices.
    pub fn bits(self) -> Option<usize> {
        match self {
            Self::Fp32 | Self::Fp16 => None,
            Self::Int8 => Some(8),
            Self::Int4 => Some(4),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fp32" => Ok(Self::Fp32),
            "fp16" => Ok(Self::Fp16),
            "int8" => Ok(Self::Int8),
            "int4" => Ok(Self::Int4),
            other => Err(format!("unknown precision `{other}`; use fp32, fp16, int8 or int4")),
        }
    }
}
