//! How a graph's matrices are stored, and what that loses.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use qvl_onnx::proto::ExternalTensor;
use qvl_onnx::{DataType, OnnxError, StoredTensor};

use crate::calibrate::{Calibrated, Fold};
use crate::quantize::{BlockFormat, Loss};

/// How a matrix is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As numbers of this type. Where the graph computes in another one, they are cast as the model is loaded.
    Float(DataType),
    /// In blocks of few bits.
    Blocks(BlockFormat),
}

/// How each matrix of a graph is stored, and, once the graph is written, what the quantised ones lost.
#[derive(Debug)]
pub struct StoragePlan {
    storage: Storage,
    others: BTreeMap<String, Storage>,
    shared: Option<SharedTensor>,
    calibrated: Calibrated,
    losses: Mutex<BTreeMap<String, Loss>>,
}

/// A quantised tensor that another graph stores for this one too.
#[derive(Debug, Clone)]
pub struct SharedTensor {
    /// Its name.
    pub name: String,
    /// Where the other graph's external tensors lie, its codes, scales and zero points among them.
    pub places: Vec<ExternalTensor>,
}

impl StoragePlan {
    /// All matrices as `storage`, but for those that `others` names.
    pub fn new(storage: Storage, others: BTreeMap<String, Storage>) -> Self {
        Self { storage, others, shared: None, calibrated: Calibrated::default(), losses: Mutex::default() }
    }

    /// The same, with a tensor that is stored already.
    #[must_use]
    pub fn with_shared(self, shared: Option<SharedTensor>) -> Self {
        Self { shared, ..self }
    }

    /// The same, with what calibration found.
    #[must_use]
    pub(crate) fn with_calibrated(self, calibrated: Calibrated) -> Self {
        Self { calibrated, ..self }
    }

    /// What calibration found.
    pub(crate) fn calibrated(&self) -> &Calibrated {
        &self.calibrated
    }

    /// The factors that go into the tensor `name`.
    pub(crate) fn fold_of(&self, name: &str) -> Fold {
        self.calibrated.folds.get(name).cloned().unwrap_or_default()
    }

    /// Whether the tensor `name` is stored already.
    pub(crate) fn is_shared(&self, name: &str) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.name == name)
    }

    /// Where a part of the shared tensor lies.
    ///
    /// # Errors
    /// If the other graph has no such part.
    pub(crate) fn place_of(&self, part: &StoredTensor) -> Result<&ExternalTensor, OnnxError> {
        let places = self.shared.iter().flat_map(|shared| &shared.places);
        let unknown = || OnnxError::UnknownValue { name: part.name.clone() };
        places.into_iter().find(|place| place.name == part.name).ok_or_else(unknown)
    }

    /// How the tensor `name` is stored.
    pub fn storage_of(&self, name: &str) -> Storage {
        self.others.get(name).copied().unwrap_or(self.storage)
    }

    /// What each quantised tensor lost, `Σ (w − ŵ)² / Σ w²`; complete when the graph has been written.
    pub fn relative_errors(&self) -> BTreeMap<String, f64> {
        self.losses().iter().map(|(name, loss)| (name.clone(), loss.relative_rounded())).collect()
    }

    /// Adds what some rows of the tensor `name` lost.
    pub(crate) fn add_loss(&self, name: &str, loss: Loss) {
        let mut losses = self.losses();
        match losses.get_mut(name) {
            Some(sum) => *sum += loss,
            None => drop(losses.insert(name.to_owned(), loss)),
        }
    }

    fn losses(&self) -> MutexGuard<'_, BTreeMap<String, Loss>> {
        // Nothing panics between two changes of the map, so it is whole in any case.
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
