use std::collections::BTreeMap;
use std::path::Path;

use qvl_onnx::proto::{ExternalTensor, ModelProto};
use qvl_onnx::{OnnxError, check_places_of_tensors};

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

/// Checks that every external tensor of `graph` is an initializer and lies inside its own data file or, if `shared` names it and
/// the graph that stores it, is that graph's tensor.
///
/// A runtime would follow a location such as `../../etc/passwd`, so this is checked before one sees the file.
///
/// # Errors
/// If a file cannot be read. What is wrong with the tensors is returned, in a sentence each.
pub(crate) fn check_external_data(
    package: &Path,
    graph: Graph,
    shared: &BTreeMap<String, String>,
) -> Result<Vec<String>, PackageError> {
    let (tensors, mut problems) = external_tensors(package, graph)?;
    let data = package.join(graph.data_file());
    let available = std::fs::metadata(&data).map_err(|e| PackageError::io(&data, e))?.len();
    let owners = Owners::read(package, graph, shared)?;
    for tensor in tensors {
        let problem = if tensor.location == graph.data_file() {
            let is_inside = tensor.offset.checked_add(tensor.length).is_some_and(|end| end <= available);
            (!is_inside).then(|| format!("{} ends beyond {}", tensor.name, graph.data_file()))
        } else {
            owners.problem_of(&tensor, graph)
        };
        problems.extend(problem.map(|problem| format!("{}: {problem}", graph.file())));
    }
    Ok(problems)
}

/// A graph's external tensors, and what is wrong with entries that are none.
fn external_tensors(package: &Path, graph: Graph) -> Result<(Vec<ExternalTensor>, Vec<String>), PackageError> {
    let path = package.join(graph.file());
    let bytes = std::fs::read(&path).map_err(|e| PackageError::io(&path, e))?;
    let problem = |error: OnnxError| format!("{}: {error}", graph.file());
    let model = match ModelProto::read(&bytes) {
        Ok(model) => model,
        Err(error) => return Ok((Vec::new(), vec![problem(error)])),
    };
    let mut tensors = Vec::new();
    let mut problems: Vec<String> = check_places_of_tensors(&bytes).map_err(problem).err().into_iter().collect();
    for tensor in model.external_tensors() {
        match tensor {
            Ok(tensor) => tensors.push(tensor),
            Err(error) => problems.push(problem(error)),
        }
    }
    Ok((tensors, problems))
}

/// The graphs that store tensors for another one, which are checked themselves.
struct Owners<'a> {
    shared: &'a BTreeMap<String, String>,
    tensors: BTreeMap<Graph, Vec<ExternalTensor>>,
}

impl<'a> Owners<'a> {
    /// Reads the other graphs that `shared` names.
    fn read(package: &Path, graph: Graph, shared: &'a BTreeMap<String, String>) -> Result<Self, PackageError> {
        let mut tensors = BTreeMap::new();
        for owner in Graph::ALL {
            if owner != graph && shared.values().any(|name| name == owner.name()) {
                tensors.insert(owner, external_tensors(package, owner)?.0);
            }
        }
        Ok(Self { shared, tensors })
    }

    /// What is wrong with a tensor of `graph` that does not lie in that graph's own data file.
    fn problem_of(&self, tensor: &ExternalTensor, graph: Graph) -> Option<String> {
        // A quantised tensor is stored in parts: `name.codes`, `name.scales`, `name.zero_points`.
        let whole = tensor.name.rsplit_once('.').map_or("", |(whole, _)| whole);
        let owner = self.shared.get(whole).or_else(|| self.shared.get(&tensor.name));
        let stored = owner.and_then(|owner| self.tensors.iter().find(|(graph, _)| graph.name() == owner));
        let Some((owner, stored)) = stored.filter(|(owner, _)| tensor.location == owner.data_file()) else {
            return Some(format!("{} is stored in `{}`, not in {}", tensor.name, tensor.location, graph.data_file()));
        };
        // The owner is checked by itself, so what is its tensor lies inside its file.
        (!stored.contains(tensor)).then(|| format!("{} is not where {} has it", tensor.name, owner.file()))
    }
}
