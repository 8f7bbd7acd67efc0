//! Writes a package's weights and the files around them as a checkpoint.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use qvl_checkpoint::{Dtype, ExpertLayout, Tensor, TensorFile, TensorSpec, expected_tensors, safetensors_header};
use qvl_onnx::{DataType, PackedFile, StoredTensor};
use qvl_package::{Graph, PackageDir, PackageError};

use super::stored::{Place, StoredTensors};
use crate::files::copied;
use crate::graph::HEAD;
use crate::progress::write_stage;
use crate::weights::FloatRows;
use crate::{ExportError, Progress, Stage};

/// Writes the float package as a checkpoint to the new directory `checkpoint`.
///
/// Each tensor keeps the type that it has in the package. Experts are written output-major, which is nearest to what
/// the graph stores.
pub(super) fn unpack(package: &PackageDir, checkpoint: &Path, progress: &dyn Progress) -> Result<(), ExportError> {
    fs::create_dir(checkpoint).map_err(|e| PackageError::io(checkpoint, e))?;
    copied::copy(package.path(), checkpoint)?;
    let stored = StoredTensors::read(package)?;
    let has_own_head = stored.contains(Graph::Text, HEAD);
    let tensors = expected_tensors(package.config(), has_own_head, ExpertLayout::OutputMajor);
    let refused = |problems| ExportError::PackageTensors { path: package.path().to_path_buf(), problems };
    let places = stored.places(&tensors).map_err(refused)?;
    let header = safetensors_header(tensors.iter().zip(places.iter().map(|place| place.dtype)));

    let mut data = BTreeMap::new();
    for graph in Graph::ALL {
        data.insert(graph, TensorFile::open(package.path().join(graph.data_file()))?);
    }
    let mut file = PackedFile::new();
    for (tensor, place) in tensors.iter().zip(&places) {
        let stored = data.get(&place.graph).and_then(|file| file.tensor(&place.stored, place.dtype, place.offset));
        let beyond = || refused(vec![format!("{} ends beyond {}", tensor.name, place.graph.data_file())]);
        push(&mut file, tensor, place, stored.ok_or_else(beyond)?)?;
    }
    let path = checkpoint.join("model.safetensors");
    write_stage(progress, (Stage::Unpack, file.bytes()), |advance| file.write(&path, &header, advance))
}

/// Adds `tensor`, which is `stored` at `place`, to the file.
fn push<'a>(
    file: &mut PackedFile<'a>,
    tensor: &TensorSpec,
    place: &Place,
    stored: Tensor<'a>,
) -> Result<(), ExportError> {
    let to = match place.dtype {
        Dtype::F16 => DataType::Float16,
        Dtype::F32 | Dtype::BF16 => DataType::Float32,
    };
    let matrices = place.form.restore(stored);
    let [count, rows, _] = matrices.dims();
    let tensor = StoredTensor { name: tensor.name.clone(), data_type: to, dims: tensor.shape.clone() };
    Ok(file.push(tensor, count * rows, FloatRows { matrices, to })?)
}
