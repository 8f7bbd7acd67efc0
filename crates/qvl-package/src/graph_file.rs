use std::path::Path;

use qvl_onnx::proto::ModelProto;

use crate::PackageError;

/// One of the three graphs of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Graph {
    /// Picture and video patches to features.
    Vision,
    /// Token ids and features to input embeddings.
    Embedding,
    /// Input embeddings to logits, with a KV cache.
    Text,
}

impl Graph {
    /// All graphs, in the order in which a prompt meets them.
    pub const ALL: [Self; 3] = [Self::Vision, Self::Embedding, Self::Text];

    /// The graph's name, its key in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Embedding => "embedding",
            Self::Text => "text",
        }
    }

    /// Name of the ONNX file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Vision => "vision.onnx",
            Self::Embedding => "embedding.onnx",
            Self::Text => "text.onnx",
        }
    }

    /// Name of the file that holds the weights.
    pub fn data_file(self) -> &'static str {
        match self {
            Self::Vision => "vision.onnx.data",
            Self::Embedding => "embedding.onnx.data",
            Self::Text => "text.onnx.data",
        }
    }
}

/// Checks that every external tensor of `graph` lies inside its own data file.
///
/// A runtime would follow a location such as `../../etc/passwd`, so this is checked before one sees the file.
///
/// # Errors
/// One sentence that says which tensor is wrong and how.
pub(crate) fn check_external_data(package: &Path, graph: Graph) -> Result<Vec<String>, PackageError> {
    let path = package.join(graph.file());
    let bytes = std::fs::read(&path).map_err(|e| PackageError::io(&path, e))?;
    let model = match ModelProto::read(&bytes) {
        Ok(model) => model,
        Err(error) => return Ok(vec![format!("{}: {error}", graph.file())]),
    };
    let data = package.join(graph.data_file());
    let available = std::fs::metadata(&data).map_err(|e| PackageError::io(&data, e))?.len();
    let mut problems = Vec::new();
    for tensor in model.external_tensors() {
        let tensor = match tensor {
            Ok(tensor) => tensor,
            Err(error) => {
                problems.push(format!("{}: {error}", graph.file()));
                continue;
            }
        };
        if tensor.location != graph.data_file() {
            problems.push(format!(
                "{}: {} is stored in `{}`, not in {}",
                graph.file(),
                tensor.name,
                tensor.location,
                graph.data_file()
            ));
        } else if tensor.offset.checked_add(tensor.length).is_none_or(|end| end > available) {
            problems.push(format!("{}: {} ends beyond {}", graph.file(), tensor.name, graph.data_file()));
        }
    }
    Ok(problems)
}
