//! Names by which transformers.js finds the graphs of a model: `onnx/SESSION{SUFFIX}.onnx`, and `.onnx_data` beside it.

use crate::{Graph, Precision};

/// The folder of the graphs.
pub const FOLDER: &str = "onnx";

/// Its name for the graph, which is also the file's name in front of the suffix.
///
/// From its `src/models/modeling_utils.js`: the sessions of an image-text-to-text model.
pub fn session(graph: Graph) -> &'static str {
    match graph {
        Graph::Vision => "vision_encoder",
        Graph::Embedding => "embed_tokens",
        Graph::Text => "decoder_model_merged",
    }
}

/// Its name for the precision. Quantised graphs compute in float32, so none of them is `q4f16`.
pub fn dtype(precision: Precision) -> &'static str {
    match precision {
        Precision::Fp32 => "fp32",
        Precision::Fp16 => "fp16",
        Precision::Int8 => "q8",
        Precision::Int4 => "q4",
    }
}

/// What it appends to a file's name for the precision: `DEFAULT_DTYPE_SUFFIX_MAPPING` in its `src/utils/dtypes.js`.
pub(crate) fn suffix(precision: Precision) -> &'static str {
    match precision {
        Precision::Fp32 => "",
        Precision::Fp16 => "_fp16",
        Precision::Int8 => "_quantized",
        Precision::Int4 => "_q4",
    }
}
