use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use qvl_checkpoint::Checkpoint;
use qvl_onnx::DataType;
use qvl_package::{Graph, GraphInfo, Layout, LogitsRows, Method, Precision, QuantizationInfo};

use crate::graph::{TABLE, TextGraph, VisionGraph};
use crate::quantize::BlockFormat;
use crate::storage::{Storage, StoragePlan};
use crate::{Calibrator, ExportError, Mix};

/// Choices about an export.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The package's directory, which is made.
    pub output: PathBuf,
    /// How its files are named and arranged.
    pub layout: Layout,
    /// Type of the text decoder's weights.
    pub precision: Precision,
    /// Which of the text decoder's matrices have another precision, where it is quantised.
    pub mix: Mix,
    /// Type of the vision encoder's weights; if not given, `precision`, or float16 where that is quantised.
    pub vision_precision: Option<Precision>,
    /// Type of the token table. If not given: `precision`, or where that is quantised float16, but 8 bits if the table is
    /// the head too and the head has 8 bits. What the head and the table have in common is stored once.
    pub embedding_precision: Option<Precision>,
    /// How quantised matrices get their scales.
    pub method: Method,
    /// Where a method that calibrates gets its prompts from.
    pub calibrator: Option<Arc<dyn Calibrator>>,
    /// Most tokens that it gets.
    pub calibration_tokens: usize,
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
            layout: Layout::Package,
            precision: Precision::Fp16,
            mix: Mix::AUTO,
            vision_precision: None,
            embedding_precision: None,
            method: Method::Search,
            calibrator: None,
            calibration_tokens: 8192,
            block_size: 128,
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
        let vision = float(self.precision_of_vision());
        let pixels = match self.layout {
            Layout::Package => vision,
            // The only type that transformers.js has for pixels.
            Layout::TransformersJs => DataType::Float32,
        };
        VisionGraph { pixels, float: vision, features: float(self.precision) }
    }

    pub(crate) fn text_graph(&self) -> TextGraph {
        TextGraph { float: float(self.precision), logits: self.logits() }
    }

    /// Type of the embedding graph's features and embeddings.
    pub(crate) fn embedding_float(&self) -> DataType {
        float(self.precision)
    }

    /// The precision of each graph, where `mix` names the text decoder's exceptions.
    pub(crate) fn precisions(&self, checkpoint: &Checkpoint, mix: &BTreeMap<String, Precision>) -> [Precision; 3] {
        Graph::ALL.map(|graph| match graph {
            Graph::Vision => self.precision_of_vision(),
            Graph::Embedding => self.precision_of_table(checkpoint, mix),
            Graph::Text => self.precision,
        })
    }

    pub(crate) fn precision_of_vision(&self) -> Precision {
        self.vision_precision.unwrap_or(self.unquantized())
    }

    /// A table that is the head too is stored once, if the head has 8 bits.
    fn precision_of_table(&self, checkpoint: &Checkpoint, mix: &BTreeMap<String, Precision>) -> Precision {
        let is_head_of_8_bits =
            !checkpoint.has_own_head() && mix.get(TABLE).unwrap_or(&self.precision) == &Precision::Int8;
        let default = if is_head_of_8_bits { Precision::Int8 } else { self.unquantized() };
        self.embedding_precision.unwrap_or(default)
    }

    /// The precision of what is not quantised unless it is asked for.
    fn unquantized(&self) -> Precision {
        if self.precision.bits().is_some() { Precision::Fp16 } else { self.precision }
    }

    /// What the manifest says of a graph of `precision` that was written by `plan`.
    pub(crate) fn graph_info(
        &self,
        graph: Graph,
        precision: Precision,
        mix: BTreeMap<String, Precision>,
        plan: &StoragePlan,
    ) -> GraphInfo {
        let quantization = precision.bits().map(|_| QuantizationInfo {
            // Only the text decoder's layers are calibrated.
            method: if self.method.calibrates() && graph != Graph::Text { Method::Search } else { self.method },
            block_size: self.block_size,
            symmetric: self.symmetric,
            accuracy_level: self.accuracy_level,
            mix,
            calibration: plan.calibrated().info.clone(),
            relative_error: plan.relative_errors(),
        });
        let logits = (graph == Graph::Text).then(|| self.logits());
        GraphInfo { precision, quantization, shared: BTreeMap::new(), logits }
    }

    fn logits(&self) -> LogitsRows {
        if self.all_logits { LogitsRows::All } else { LogitsRows::Last }
    }

    /// How matrices of this precision are stored.
    pub(crate) fn storage(&self, precision: Precision) -> Storage {
        precision.bits().map_or(Storage::Float(float(precision)), |bits| {
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
