use std::collections::BTreeMap;
use std::path::PathBuf;

use qvl_checkpoint::Checkpoint;
use qvl_onnx::DataType;
use qvl_package::{Graph, GraphInfo, LogitsRows, Method, Precision, QuantizationInfo};

use crate::ExportError;
use crate::graph::{EmbeddingGraph, TextGraph, VisionGraph, head_name};
use crate::quantize::BlockFormat;
use crate::weights::Storage;

/// Bits of the head where the layers have fewer: what it loses is lost in every token.
const HEAD_BITS: usize = 8;

/// Choices about an export.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The package's directory, which is made.
    pub output: PathBuf,
    /// Type of the text decoder's weights. The embedding's table has it too, or is float16 where it is quantised.
    pub precision: Precision,
    /// Type of the vision encoder's weights; if not given, `precision`, or float16 where that is quantised.
    pub vision_precision: Option<Precision>,
    /// How quantised matrices get their scales.
    pub method: Method,
    /// Values that share a scale in quantised matrices: a power of two from 16 to 256.
    pub block_size: usize,
    /// Whether the zero points of quantised matrices are fixed instead of stored.
    pub symmetric: bool,
    /// What a runtime may round activations to in products with quantised matrices: 0 nothing, 4 blocks of int8.
    pub accuracy_level: usize,
    /// Logits for all positions instead of the last: for evaluation.
    pub all_logits: bool,
    /// Replace a package that is there.
    pub overwrite: bool,
}

impl ExportOptions {
    /// A float16 package at `output`.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self {
            output: output.into(),
            precision: Precision::Fp16,
            vision_precision: None,
            method: Method::Search,
            block_size: 32,
            symmetric: true,
            accuracy_level: 4,
            all_logits: false,
            overwrite: false,
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// If the block size is not possible.
    pub(crate) fn check(&self) -> Result<(), ExportError> {
        if self.block_size.is_power_of_two() && (16..=256).contains(&self.block_size) {
            Ok(())
        } else {
            Err(ExportError::BlockSize { size: self.block_size })
        }
    }

    pub(crate) fn vision_graph(&self) -> VisionGraph {
        let precision = self.precision_of(Graph::Vision);
        VisionGraph {
            float: float(precision),
            storage: self.storage(precision.bits()),
            features: float(self.precision),
        }
    }

    pub(crate) fn embedding_graph(&self) -> EmbeddingGraph {
        let table = if self.precision.bits().is_some() { DataType::Float16 } else { float(self.precision) };
        EmbeddingGraph { table, float: float(self.precision) }
    }

    pub(crate) fn text_graph(&self) -> TextGraph {
        TextGraph {
            float: float(self.precision),
            storage: self.storage(self.precision.bits()),
            head: self.storage(self.precision.bits().map(|_| HEAD_BITS)),
            logits: self.logits(),
        }
    }

    /// What the manifest says of a graph.
    pub(crate) fn graph_info(&self, graph: Graph, checkpoint: &Checkpoint) -> GraphInfo {
        let precision = self.precision_of(graph);
        let is_text = graph == Graph::Text;
        let mix =
            (is_text && precision.bits() != Some(HEAD_BITS)).then(|| (head_name(checkpoint).to_owned(), HEAD_BITS));
        let quantization = precision.bits().map(|_| QuantizationInfo {
            method: self.method,
            block_size: self.block_size,
            symmetric: self.symmetric,
            accuracy_level: self.accuracy_level,
            mix: mix.into_iter().collect::<BTreeMap<_, _>>(),
        });
        GraphInfo { precision, quantization, logits: is_text.then(|| self.logits()) }
    }

    /// The precision of one graph.
    pub fn precision_of(&self, graph: Graph) -> Precision {
        let unquantized = if self.precision.bits().is_some() { Precision::Fp16 } else { self.precision };
        match graph {
            Graph::Vision => self.vision_precision.unwrap_or(unquantized),
            Graph::Embedding => unquantized,
            Graph::Text => self.precision,
        }
    }

    fn logits(&self) -> LogitsRows {
        if self.all_logits { LogitsRows::All } else { LogitsRows::Last }
    }

    fn storage(&self, bits: Option<usize>) -> Storage {
        bits.map_or(Storage::Float, |bits| {
            Storage::Blocks(BlockFormat {
                bits,
                size: self.block_size,
                symmetric: self.symmetric,
                method: self.method,
                accuracy_level: self.accuracy_level,
            })
        })
    }
}

/// The type in which a graph of this precision computes.
fn float(precision: Precision) -> DataType {
    match precision {
        Precision::Fp16 => DataType::Float16,
        Precision::Fp32 | Precision::Int8 | Precision::Int4 => DataType::Float32,
    }
}
