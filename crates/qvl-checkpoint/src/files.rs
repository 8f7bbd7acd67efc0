//! Which files a checkpoint consists of: one safetensors file, or the shards of an index.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::error::CheckpointError;
use crate::limited::read_text_limited;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Largest index that is read, in bytes; the largest published one has about 150 KB.
const MAX_INDEX_BYTES: u64 = 64 << 20;
const MAX_SHARDS: usize = 4096;

/// The files of a checkpoint.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) directory: PathBuf,
    /// Plain names within the directory, in order.
    pub(crate) shards: Vec<String>,
    /// Which shard the index says each tensor is in; `None` without an index.
    pub(crate) index: Option<BTreeMap<String, String>>,
}

impl Files {
    /// Finds the files of a directory, or takes one safetensors file and what lies beside it.
    pub(crate) fn locate(path: &Path) -> Result<Self, CheckpointError> {
        let failed = |source| CheckpointError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(failed)?.is_dir() {
            return Self::in_directory(path);
        }
        let name = path.file_name().and_then(|name| name.to_str());
        match (name, path.parent()) {
            (Some(name), Some(parent)) if is_shard_name(name) => Ok(Self {
                directory: if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() },
                shards: vec![name.to_owned()],
                index: None,
            }),
            _ => Err(CheckpointError::NotACheckpoint {
                path: path.to_owned(),
                reason: "give a directory with config.json and safetensors files, or one .safetensors file".to_owned(),
            }),
        }
    }

    fn in_directory(directory: &Path) -> Result<Self, CheckpointError> {
        if directory.join(SINGLE).exists() {
            return Ok(Self { directory: directory.to_owned(), shards: vec![SINGLE.to_owned()], index: None });
        }
        let index = directory.join(INDEX);
        if index.exists() {
            return Self::from_index(directory, &index);
        }
        let torch = ["pytorch_model.bin", "pytorch_model.bin.index.json"];
        let advice = if torch.iter().any(|name| directory.join(name).exists()) {
            "; its weights are PyTorch .bin files, save it again with safe_serialization=True"
        } else {
            ""
        };
        Err(CheckpointError::NotACheckpoint {
            path: directory.to_owned(),
            reason: format!("it holds neither {SINGLE} nor {INDEX}{advice}"),
        })
    }

    fn from_index(directory: &Path, path: &Path) -> Result<Self, CheckpointError> {
        let wrong = |reason| CheckpointError::Index { path: path.to_owned(), reason };
        let index = read_index(path, &wrong)?;
        let shards: BTreeSet<&String> = index.values().collect();
        if let Some(name) = shards.iter().find(|name| !is_shard_name(name)) {
            return Err(wrong(format!(
                "weight_map names {name:?}, which is not the plain name of a .safetensors file in the same directory"
            )));
        }
        if shards.is_empty() || shards.len() > MAX_SHARDS {
            return Err(wrong(format!("weight_map names {} files, must be 1 to {MAX_SHARDS}", shards.len())));
        }
        let missing: Vec<&str> =
            shards.iter().map(|name| name.as_str()).filter(|name| !directory.join(name).exists()).take(20).collect();
        if !missing.is_empty() {
            return Err(wrong(format!(
                "these files of weight_map are not there, download them: {}",
                missing.join(", ")
            )));
        }
        Ok(Self { directory: directory.to_owned(), shards: shards.into_iter().cloned().collect(), index: Some(index) })
    }
}

fn read_index(
    path: &Path,
    wrong: &impl Fn(String) -> CheckpointError,
) -> Result<BTreeMap<String, String>, CheckpointError> {
    let text = read_text_limited(path, MAX_INDEX_BYTES)?;
    let index: Index = serde_json::from_str(&text).map_err(|error| wrong(format!("not a valid index: {error}")))?;
    Ok(index.weight_map.0)
}

/// Whether the text is the name of a safetensors file and nothing else: no directory, drive, or parent.
fn is_shard_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let plain = matches!(
        (components.next(), components.next()),
        (Some(Component::Normal(only)), None) if only == name
    );
    plain && name.ends_with(".safetensors") && !name.contains(['/', '\\', ':', '\0'])
}

#[derive(Deserialize)]
struct Index {
    weight_map: WeightMap,
}

/// Tensor name to file name, without repetitions.
struct WeightMap(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = WeightMap;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of file names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
                let mut pairs = BTreeMap::new();
                while let Some((tensor, file)) = map.next_entry::<String, String>()? {
                    if pairs.insert(tensor.clone(), file).is_some() {
                        return Err(A::Error::custom(format_args!("weight_map has {tensor:?} twice")));
                    }
                }
                Ok(WeightMap(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_safetensors_names_are_shards() {
        assert!(is_shard_name("model-00001-of-00004.safetensors"));
        for name in [
            "../model.safetensors",
            "/etc/model.safetensors",
            "a/b.safetensors",
            "./b.safetensors",
            "a\\b.safetensors",
            "C:b.safetensors",
            "..",
            "",
            "model.bin",
            "b.safetensors/",
            "b\0.safetensors",
        ] {
            assert!(!is_shard_name(name), "{name:?}");
        }
    }
}
