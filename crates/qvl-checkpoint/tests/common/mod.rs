//! Checkpoints made from the tiny reference ones with something changed.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

pub const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference");

pub fn tiny(name: &str) -> PathBuf {
    Path::new(REFERENCE).join("tiny").join(name)
}

/// A tensor in memory.
#[derive(Clone)]
pub struct Stored {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Stored {
    pub fn zeros(dtype: Dtype, shape: &[usize]) -> Self {
        let bytes = vec![0; dtype.bitsize() / 8 * shape.iter().product::<usize>()];
        let shape = shape.to_vec();
        Self { dtype, shape, bytes }
    }
}

pub type Stock = BTreeMap<String, Stored>;

pub fn read(file: &Path) -> Stock {
    let bytes = std::fs::read(file).unwrap();
    SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| {
            let stored = Stored { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() };
            (name.to_owned(), stored)
        })
        .collect()
}

pub fn save(file: &Path, stock: &Stock) {
    let views = stock.iter().map(|(name, stored)| {
        let view = TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes).unwrap();
        (name, view)
    });
    std::fs::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A copy of a tiny checkpoint's configuration and weights, the weights changed.
pub fn changed(name: &str, change: impl FnOnce(&mut Stock)) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let from = tiny(name);
    std::fs::copy(from.join("config.json"), directory.path().join("config.json")).unwrap();
    let mut stock = read(&from.join("model.safetensors"));
    change(&mut stock);
    save(&directory.path().join("model.safetensors"), &stock);
    directory
}

pub fn rename(stock: &mut Stock, name: impl Fn(&str) -> String) {
    *stock = std::mem::take(stock).into_iter().map(|(old, stored)| (name(&old), stored)).collect();
}

/// As [`changed`], in two shards with an index, which is changed as text.
pub fn sharded(change_index: impl FnOnce(String) -> String) -> TempDir {
    let directory = changed("dense-tied", |_| {});
    let path = |name: &str| directory.path().join(name);
    let mut first = read(&path("model.safetensors"));
    let second = first.split_off("model.visual.");
    std::fs::remove_file(path("model.safetensors")).unwrap();
    let mut weight_map = serde_json::Map::new();
    for (name, stock) in [("model-1.safetensors", first), ("model-2.safetensors", second)] {
        save(&path(name), &stock);
        weight_map.extend(stock.into_keys().map(|tensor| (tensor, name.into())));
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": weight_map });
    let index = change_index(format!("{index:#}"));
    std::fs::write(path("model.safetensors.index.json"), index).unwrap();
    directory
}
