//! Where a package's graphs store their weights.

use std::collections::{BTreeMap, HashSet};
use std::fs;

use qvl_checkpoint::{Dtype, TensorSpec};
use qvl_onnx::DataType;
use qvl_onnx::proto::{ModelProto, TensorProto};
use qvl_package::{Graph, PackageDir, PackageError};

use super::form::Form;
use crate::ExportError;
use crate::graph::TABLE;

/// A tensor of a checkpoint where a graph stores it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) graph: Graph,
    pub(super) form: Form,
    /// Its name, and its shape in the graph.
    pub(super) stored: TensorSpec,
    pub(super) dtype: Dtype,
    /// First byte in the graph's data file.
    pub(super) offset: u64,
}

/// The external tensors of all graphs.
#[derive(Debug)]
pub(super) struct StoredTensors(BTreeMap<(Graph, String), TensorProto>);

impl StoredTensors {
    /// Reads the graphs of an open package.
    pub(super) fn read(package: &PackageDir) -> Result<Self, ExportError> {
        let mut tensors = BTreeMap::new();
        for graph in Graph::ALL {
            let path = package.graph(graph);
            // The package was found whole, so the file has the size of a graph.
            let bytes = fs::read(&path).map_err(|e| PackageError::io(path, e))?;
            let stored = ModelProto::read(&bytes)?.graph.unwrap_or_default().initializer;
            let external = stored.into_iter().filter(|tensor| tensor.data_location == Some(1));
            tensors.extend(external.map(|tensor| ((graph, tensor.name.clone()), tensor)));
        }
        Ok(Self(tensors))
    }

    /// Whether `graph` stores a tensor of this name.
    pub(super) fn contains(&self, graph: Graph, name: &str) -> bool {
        self.0.contains_key(&(graph, name.to_owned()))
    }

    /// The places of the checkpoint's tensors; where some have none, or graphs store others, all that is wrong.
    pub(super) fn places(&self, tensors: &[TensorSpec]) -> Result<Vec<Place>, Vec<String>> {
        let (mut places, mut problems) = (Vec::with_capacity(tensors.len()), Vec::new());
        for tensor in tensors {
            match self.place(tensor) {
                Ok(place) => places.push(place),
                Err(problem) => problems.push(problem),
            }
        }
        let known: HashSet<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        let others = self.0.keys().filter(|(_, name)| !known.contains(name.as_str()));
        problems.extend(others.map(|(graph, name)| format!("{}: {name} is no tensor of this model", graph.file())));
        if problems.is_empty() { Ok(places) } else { Err(problems) }
    }

    /// Where `tensor` is stored; of a tied table, which two graphs store, the more exact one.
    fn place(&self, tensor: &TensorSpec) -> Result<Place, String> {
        let graphs = graphs_of(&tensor.name);
        let mut best: Option<Place> = None;
        for &graph in graphs {
            let Some(stored) = self.0.get(&(graph, tensor.name.clone())) else { continue };
            let place = place_in(graph, tensor, stored).map_err(|problem| format!("{}: {problem}", graph.file()))?;
            if best.as_ref().is_none_or(|best| place.dtype.size() > best.dtype.size()) {
                best = Some(place);
            }
        }
        best.ok_or_else(|| format!("{}: {} is missing", graphs[0].file(), tensor.name))
    }
}

/// The graphs that may store a tensor.
fn graphs_of(name: &str) -> &'static [Graph] {
    if name.starts_with("model.visual.") {
        &[Graph::Vision]
    } else if name == TABLE {
        &[Graph::Embedding, Graph::Text]
    } else {
        &[Graph::Text]
    }
}

/// The place of `tensor` by what `graph` says of it.
fn place_in(graph: Graph, tensor: &TensorSpec, stored: &TensorProto) -> Result<Place, String> {
    let external = stored.external().map_err(|error| error.to_string())?;
    if external.location != graph.data_file() {
        return Err(format!("{} is stored in `{}`, not in {}", tensor.name, external.location, graph.data_file()));
    }
    let form = Form::of(tensor, graph);
    let shape = form.stored_shape(&tensor.shape);
    let dims = stored.dims.iter().map(|&size| usize::try_from(size).ok());
    if !dims.eq(shape.iter().copied().map(Some)) {
        return Err(format!("{} is {:?}, the configuration calls for {shape:?}", tensor.name, stored.dims));
    }
    let dtype = match stored.data_type.and_then(DataType::from_code) {
        Some(DataType::Float32) => Dtype::F32,
        Some(DataType::Float16) => Dtype::F16,
        _ => return Err(format!("{} is stored neither as float32 nor as float16", tensor.name)),
    };
    let stored = TensorSpec { name: tensor.name.clone(), shape };
    Ok(Place { graph, form, stored, dtype, offset: external.offset })
}
