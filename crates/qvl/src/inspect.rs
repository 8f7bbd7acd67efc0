//! What a checkpoint or a package holds, for people and programs to read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use qvl_checkpoint::{Checkpoint, Config, Summary};
use qvl_onnx::DataType;
use qvl_onnx::proto::{DimensionValue, ModelProto, TypeProto, TypeValue, ValueInfoProto};
use qvl_package::{FileInfo, Graph, LogitsRows, PackageDir, Precision, QuantizationInfo, SourceInfo};
use serde::Serialize;

use crate::error::Error;

/// What is at a path.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Inspection {
    /// A checkpoint whose tensors were found complete.
    Checkpoint(CheckpointInspection),
    /// A package whose files were found whole.
    Package(PackageInspection),
}

/// A checkpoint.
#[derive(Debug, Serialize)]
pub struct CheckpointInspection {
    /// The dimensions of the model.
    pub model: Dimensions,
    /// Parameters, number formats and weight files.
    #[serde(flatten)]
    pub summary: Summary,
}

/// A package.
#[derive(Debug, Serialize)]
pub struct PackageInspection {
    /// The dimensions of the model.
    pub model: Dimensions,
    /// The program version that wrote the package.
    pub qvl_version: String,
    /// The checkpoint that it was made from, with the hashes of its files.
    pub source: SourceInfo,
    /// Size of all files together.
    pub bytes: u64,
    /// The three graphs.
    pub graphs: Vec<GraphInspection>,
    /// Every file.
    pub files: BTreeMap<String, FileInfo>,
}

/// The sizes that tell one model from another.
#[derive(Debug, Serialize)]
pub struct Dimensions {
    /// Text decoder layers.
    pub layers: usize,
    /// Width of the text decoder.
    pub hidden_size: usize,
    /// Query heads.
    pub attention_heads: usize,
    /// Key and value heads.
    pub key_value_heads: usize,
    /// Tokens that the model knows.
    pub vocabulary: usize,
    /// Tokens that the context holds.
    pub context: usize,
    /// Experts of a layer; none in a dense model.
    pub experts: Option<usize>,
    /// Vision encoder layers.
    pub vision_layers: usize,
    /// Width of the vision encoder.
    pub vision_hidden_size: usize,
    /// Vision layers whose features are added to early text layers.
    pub deepstack_layers: Vec<usize>,
}

/// A graph of a package.
#[derive(Debug, Serialize)]
pub struct GraphInspection {
    /// `vision`, `embedding` or `text`.
    pub name: &'static str,
    /// Type of its weights.
    pub precision: Precision,
    /// How its matrices were quantised, where they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<QuantizationInfo>,
    /// Tensors that another graph stores for this one too, and that graph's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub shared: BTreeMap<String, String>,
    /// Positions that it gives logits for; only of the text graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logits: Option<LogitsRows>,
    /// Number of operators of the main graph.
    pub nodes: usize,
    /// Versions of the operator sets, by domain.
    pub opsets: BTreeMap<String, i64>,
    /// Elements of the weights, by type.
    pub weights: BTreeMap<String, u64>,
    /// What it takes.
    pub inputs: Vec<ValueInspection>,
    /// What it gives.
    pub outputs: Vec<ValueInspection>,
}

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueInspection {
    /// Its name.
    pub name: String,
    /// Its element type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Numbers for fixed sizes, names for those that a run decides.
    pub shape: Vec<String>,
}

/// Describes the checkpoint or package at `path`.
///
/// # Errors
/// If there is neither, or it is not usable.
pub fn inspect(path: &Path) -> Result<Inspection, Error> {
    if PackageDir::is_package(path) {
        return Ok(Inspection::Package(inspect_package(&PackageDir::open(path)?)?));
    }
    fs::metadata(path).map_err(|e| Error::model_path(path, e))?;
    if path.is_dir() && !path.join("config.json").is_file() {
        return Err(Error::NeitherPackageNorCheckpoint { path: path.to_path_buf() });
    }
    let checkpoint = Checkpoint::open(path)?;
    Ok(Inspection::Checkpoint(CheckpointInspection {
        model: Dimensions::new(checkpoint.config()),
        summary: checkpoint.summary(),
    }))
}

impl Dimensions {
    fn new(config: &Config) -> Self {
        Self {
            layers: config.text.num_hidden_layers,
            hidden_size: config.text.hidden_size,
            attention_heads: config.text.num_attention_heads,
            key_value_heads: config.text.num_key_value_heads,
            vocabulary: config.text.vocab_size,
            context: config.text.max_position_embeddings,
            experts: config.text.moe.as_ref().map(|moe| moe.num_experts),
            vision_layers: config.vision.depth,
            vision_hidden_size: config.vision.hidden_size,
            deepstack_layers: config.vision.deepstack_visual_indexes.clone(),
        }
    }
}

fn inspect_package(package: &PackageDir) -> Result<PackageInspection, Error> {
    let manifest = package.manifest();
    let graphs = Graph::ALL.into_iter().map(|graph| inspect_graph(package, graph)).collect::<Result<_, _>>()?;
    Ok(PackageInspection {
        model: Dimensions::new(package.config()),
        qvl_version: manifest.qvl_version.clone(),
        source: manifest.source.clone(),
        bytes: manifest.files.values().map(|file| file.bytes).sum(),
        graphs,
        files: manifest.files.clone(),
    })
}

fn inspect_graph(package: &PackageDir, graph: Graph) -> Result<GraphInspection, Error> {
    let path = package.graph(graph);
    // The package was found whole, so the file has the size of a graph.
    let bytes = fs::read(&path).map_err(|e| Error::io(&path, e))?;
    let model = ModelProto::read(&bytes)?;
    let info = package.manifest().graphs.get(graph.name());
    let contents = model.graph.unwrap_or_default();
    let mut weights = BTreeMap::new();
    for tensor in contents.initializer.iter().filter(|tensor| tensor.data_location == Some(1)) {
        let elements = tensor.dims.iter().fold(1_u64, |product, &dim| product.saturating_mul(dim.unsigned_abs()));
        *weights.entry(type_name(tensor.data_type)).or_insert(0) += elements;
    }
    Ok(GraphInspection {
        name: graph.name(),
        precision: info.map_or(Precision::Fp32, |info| info.precision),
        quantization: info.and_then(|info| info.quantization.clone()),
        shared: info.map(|info| info.shared.clone()).unwrap_or_default(),
        logits: info.and_then(|info| info.logits),
        nodes: contents.node.len(),
        opsets: model
            .opset_import
            .into_iter()
            .map(|set| (domain_name(set.domain), set.version.unwrap_or_default()))
            .collect(),
        weights,
        inputs: contents.input.iter().map(inspect_value).collect(),
        outputs: contents.output.iter().map(inspect_value).collect(),
    })
}

/// ONNX's own domain is the empty string.
fn domain_name(domain: Option<String>) -> String {
    domain.filter(|domain| !domain.is_empty()).unwrap_or_else(|| "ai.onnx".to_owned())
}

fn type_name(code: Option<i32>) -> String {
    let code = code.unwrap_or_default();
    DataType::from_code(code).map_or_else(|| format!("type {code}"), |data_type| data_type.to_string())
}

fn inspect_value(value: &ValueInfoProto) -> ValueInspection {
    let (data_type, shape) = describe(value.r#type.as_ref());
    ValueInspection { name: value.name.clone(), data_type, shape }
}

fn describe(kind: Option<&TypeProto>) -> (String, Vec<String>) {
    let Some(TypeValue::Tensor(tensor)) = kind.and_then(|kind| kind.value.as_ref()) else {
        return ("not a tensor".to_owned(), Vec::new());
    };
    let dimensions = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let shape = dimensions.map(|dimension| match &dimension.value {
        Some(DimensionValue::Value(size)) => size.to_string(),
        Some(DimensionValue::Param(name)) => name.clone(),
        None => "?".to_owned(),
    });
    (type_name(tensor.elem_type), shape.collect())
}
