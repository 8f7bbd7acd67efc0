use serde::{Deserialize, Serialize};

use crate::{Graph, Precision, transformers_js};

/// How the files of an export are named and arranged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// The package, which this project's engines and onnxruntime-genai open.
    #[default]
    #[serde(rename = "package")]
    Package,
    /// The folder that transformers.js opens.
    #[serde(rename = "transformers.js")]
    TransformersJs,
}

/// Where a graph's two files lie in an export; parts of a path are separated by `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphFiles {
    /// The ONNX file.
    pub onnx: String,
    /// The file that holds the weights.
    pub data: String,
}

impl Layout {
    /// The files of `graph`, whose weights have this precision.
    pub fn files(self, graph: Graph, precision: Precision) -> GraphFiles {
        match self {
            Self::Package => GraphFiles { onnx: graph.file().to_owned(), data: graph.data_file().to_owned() },
            Self::TransformersJs => {
                let (session, suffix) = (transformers_js::session(graph), transformers_js::suffix(precision));
                let onnx = format!("{}/{session}{suffix}.onnx", transformers_js::FOLDER);
                GraphFiles { data: format!("{onnx}_data"), onnx }
            }
        }
    }

    pub(crate) fn is_package(&self) -> bool {
        *self == Self::Package
    }
}
