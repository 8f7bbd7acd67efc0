//! The weights of one graph, where its file has them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use qvl_kernels::Arithmetic;
use qvl_onnx::DataType;
use qvl_onnx::proto::{ModelProto, TensorProto};
use zerocopy::{FromBytes, Immutable};

use super::data_file::DataFile;
use super::graph_nodes::{BlockForm, GraphNodes};
use super::matrix::{StoredBlocks, StoredElements, StoredExperts, StoredMatrix, StoredRows, StoredTable};
use super::stored::{Floats, Stored};
use crate::EngineError;

/// The tensors that a graph stores in data files, to be taken one by one.
///
/// Each is checked as it is taken: its shape and type against what the caller computes with, its place against the file.
/// Only views are handed out; nothing is copied.
#[derive(Debug)]
pub(super) struct Weights {
    /// The ONNX file.
    path: PathBuf,
    nodes: GraphNodes,
    /// What has not been taken yet.
    tensors: BTreeMap<String, TensorProto>,
    files: BTreeMap<String, Arc<DataFile>>,
}

impl Weights {
    /// Reads the graph in the file `path`; its data files lie beside it.
    pub(super) fn open(path: &Path) -> Result<Self, EngineError> {
        let read = |reason| EngineError::Read { path: path.to_path_buf(), reason };
        let broken = |reason: String| EngineError::Contract { path: path.to_path_buf(), reason };
        let unknown = |reason| EngineError::UnknownGraph { path: path.to_path_buf(), reason };
        if cfg!(target_endian = "big") {
            return Err(unknown("its numbers are little-endian, and this machine's are not".to_owned()));
        }
        let model = ModelProto::read(&fs::read(path).map_err(read)?).map_err(|error| broken(error.to_string()))?;
        let graph = model.graph.unwrap_or_default();
        let nodes = GraphNodes::read(&graph).map_err(unknown)?;
        let external = graph.initializer.into_iter().filter(|tensor| tensor.data_location == Some(1));
        let tensors = external.map(|tensor| (tensor.name.clone(), tensor)).collect();
        Ok(Self { path: path.to_path_buf(), nodes, tensors, files: BTreeMap::new() })
    }

    /// Whether there is a matrix of this name that has not been taken yet.
    pub(super) fn has_matrix(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.tensors.contains_key(&codes_of(name))
    }

    /// What products are computed with: int8 where every node with blocks lets activations be rounded, unless the
    /// caller wants it `precise`.
    pub(super) fn arithmetic(&self, precise: bool) -> Arithmetic {
        if precise || !self.nodes.is_rounded() { Arithmetic::Float32 } else { Arithmetic::Int8 }
    }

    /// The single-precision tensor `name` of the shape `dims`.
    pub(super) fn float32(&mut self, name: &str, dims: &[usize]) -> Result<Stored<f32>, EngineError> {
        self.take(name, DataType::Float32, dims)
    }

    /// The tensor `name` of the shape `dims`, in single or half precision.
    pub(super) fn floats(&mut self, name: &str, dims: &[usize]) -> Result<Floats, EngineError> {
        let half = Some(DataType::Float16.code());
        if self.tensors.get(name).is_some_and(|tensor| tensor.data_type == half) {
            Ok(Floats::Float16(self.take::<f16>(name, DataType::Float16, dims)?))
        } else {
            Ok(Floats::Float32(self.take(name, DataType::Float32, dims)?))
        }
    }

    /// A copy of the vector `name` of `len` numbers: a bias.
    pub(super) fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, EngineError> {
        let stored = self.floats(name, &[len])?;
        let mut vector = vec![0.0; len];
        stored.read(0, &mut vector);
        Ok(vector)
    }

    /// The matrix `name` of a linear layer.
    pub(super) fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<StoredMatrix, EngineError> {
        let elements = if self.is_in_blocks(name) {
            StoredElements::Blocks(self.blocks(name, &[outputs], inputs, CodeAxes::BlocksAndBytes)?)
        } else {
            StoredElements::Floats(self.floats(name, &[inputs, outputs])?)
        };
        Ok(StoredMatrix { outputs, inputs, elements })
    }

    /// The table `name`, of which single rows are read.
    pub(super) fn table(&mut self, name: &str, rows: usize, columns: usize) -> Result<StoredTable, EngineError> {
        let elements = if self.is_in_blocks(name) {
            StoredRows::Blocks(self.blocks(name, &[rows], columns, CodeAxes::Bytes)?)
        } else {
            StoredRows::Floats(self.floats(name, &[rows, columns])?)
        };
        Ok(StoredTable { columns, elements })
    }

    /// The experts' matrices `name`: [experts, outputs, inputs].
    pub(super) fn experts(&mut self, name: &str, dims: [usize; 3]) -> Result<StoredExperts, EngineError> {
        let [count, outputs, inputs] = dims;
        let elements = if self.is_in_blocks(name) {
            StoredRows::Blocks(self.blocks(name, &[count, outputs], inputs, CodeAxes::Bytes)?)
        } else {
            StoredRows::Floats(self.floats(name, &dims)?)
        };
        Ok(StoredExperts { outputs, inputs, elements })
    }

    /// Ends the taking: a tensor that nobody took would be computed with by the graph and not by us.
    pub(super) fn finish(self) -> Result<(), EngineError> {
        match self.tensors.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.unknown(format!("it stores {name}, which is no tensor of this model"))),
        }
    }

    fn is_in_blocks(&self, name: &str) -> bool {
        self.tensors.contains_key(&codes_of(name))
    }

    /// The parts of the tensor `name`, whose rows of `columns` elements have the axes `rows`.
    fn blocks(
        &mut self,
        name: &str,
        rows: &[usize],
        columns: usize,
        axes: CodeAxes,
    ) -> Result<StoredBlocks, EngineError> {
        let codes = codes_of(name);
        let Some(form) = self.nodes.form_of(&codes).cloned() else {
            return Err(self.unknown(format!("no node computes with {codes}")));
        };
        let (bits, size) = self.form(name, &form)?;
        let blocks = columns.div_ceil(size);
        let bytes = size * bits / 8;
        let dims = |last: &[usize]| [rows, last].concat();
        let codes = match axes {
            CodeAxes::BlocksAndBytes => self.take(&codes, DataType::UInt8, &dims(&[blocks, bytes])),
            CodeAxes::Bytes => self.take(&codes, DataType::UInt8, &dims(&[blocks * bytes])),
        };
        let packed = [rows.iter().product(), (blocks * bits).div_ceil(8)];
        let zero_points = form.zero_points.map(|name| self.take(&name, DataType::UInt8, &packed));
        Ok(StoredBlocks {
            bits,
            size,
            codes: codes?,
            scales: self.float32(&form.scales, &dims(&[blocks]))?,
            zero_points: zero_points.transpose()?,
        })
    }

    /// Bits and block size of the matrix `name`, if they are ones that kernels take.
    fn form(&self, name: &str, form: &BlockForm) -> Result<(usize, usize), EngineError> {
        let &BlockForm { bits, size, .. } = form;
        let fits = matches!(bits, 4 | 8) && (16..=256).contains(&size) && size.count_ones() == 1;
        if fits {
            Ok((bits as usize, size as usize))
        } else {
            Err(self.unknown(format!("{name} is in blocks of {size} values of {bits} bits")))
        }
    }

    /// Takes the tensor `name`, which must have this type and shape.
    fn take<T: FromBytes + Immutable>(
        &mut self,
        name: &str,
        data_type: DataType,
        dims: &[usize],
    ) -> Result<Stored<T>, EngineError> {
        let Some(tensor) = self.tensors.remove(name) else {
            return Err(self.unknown(format!("it does not store {name}")));
        };
        let found = tensor.data_type.and_then(DataType::from_code);
        let is_shaped =
            tensor.dims.iter().map(|&size| usize::try_from(size).ok()).eq(dims.iter().map(|&size| Some(size)));
        if found != Some(data_type) || !is_shaped {
            let found = found.map_or("of a type that it does not know".to_owned(), |found| found.to_string());
            let reason =
                format!("{name} is {found} {:?}, the configuration calls for {data_type} {dims:?}", tensor.dims);
            return Err(self.unknown(reason));
        }
        self.place(&tensor)
    }

    /// The numbers of `tensor` in their file.
    fn place<T: FromBytes + Immutable>(&mut self, tensor: &TensorProto) -> Result<Stored<T>, EngineError> {
        let external = tensor.external().map_err(|error| self.broken(error.to_string()))?;
        let file = self.file(&external.location)?;
        let start = usize::try_from(external.offset).ok();
        let end = start.and_then(|start| start.checked_add(usize::try_from(external.length).ok()?));
        let stored = start.zip(end).and_then(|(start, end)| Stored::new(file, start..end));
        stored.ok_or_else(|| {
            let (name, location, offset) = (&external.name, &external.location, external.offset);
            self.broken(format!("{name} does not lie inside {location}, or not on a boundary, at byte {offset}"))
        })
    }

    /// The data file `location`, mapped when it is first asked for.
    fn file(&mut self, location: &str) -> Result<Arc<DataFile>, EngineError> {
        if let Some(file) = self.files.get(location) {
            return Ok(Arc::clone(file));
        }
        if Path::new(location).file_name() != Some(OsStr::new(location)) {
            return Err(self.broken(format!("it stores tensors in `{location}`, which is no plain file name")));
        }
        let path = self.path.with_file_name(location);
        let file = Arc::new(DataFile::open(&path).map_err(|reason| EngineError::Read { path, reason })?);
        self.files.insert(location.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn unknown(&self, reason: String) -> EngineError {
        EngineError::UnknownGraph { path: self.path.clone(), reason }
    }

    fn broken(&self, reason: String) -> EngineError {
        EngineError::Contract { path: self.path.clone(), reason }
    }
}

/// The axes of a tensor of codes behind those of its rows.
#[derive(Debug, Clone, Copy)]
enum CodeAxes {
    /// Blocks, and the bytes of each: for `MatMulNBits`.
    BlocksAndBytes,
    /// All bytes of a row: for `GatherBlockQuantized` and `QMoE`.
    Bytes,
}

/// Name of the tensor of codes of the matrix `name`.
fn codes_of(name: &str) -> String {
    format!("{name}.codes")
}
