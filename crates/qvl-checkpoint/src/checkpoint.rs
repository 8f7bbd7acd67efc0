//! An open, verified checkpoint.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use crate::config::Config;
use crate::dtype::Dtype;
use crate::error::CheckpointError;
use crate::files::Files;
use crate::header;
use crate::layout::ExpertLayout;
use crate::mapped::MappedFile;
use crate::names::{EMBEDDING, HEAD};
use crate::tensor::Tensor;
use crate::verify::{self, Found};

/// Bytes compared at a time when a head is checked against the embedding table.
const COMPARE_CHUNK: usize = 8 << 20;

/// A checkpoint whose configuration and tensors fit together, over memory maps of its files.
#[derive(Debug)]
pub struct Checkpoint {
    files: Files,
    shards: Vec<MappedFile>,
    config: Config,
    tensors: HashMap<String, Located>,
    own_head: bool,
    layout: Option<ExpertLayout>,
}

/// Name and size of a weight file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ShardInfo {
    /// Plain file name.
    pub name: String,
    /// Size of the file.
    pub bytes: u64,
}

/// Where a tensor's bytes are.
#[derive(Debug)]
struct Located {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    start: usize,
    byte_len: usize,
}

impl Checkpoint {
    /// Opens a directory in Hugging Face form, or one safetensors file with its `config.json` beside it, and checks every
    /// tensor against the configuration.
    ///
    /// # Errors
    /// Unreadable or damaged files, a configuration of another model, and tensors that are missing, unexpected or
    /// misshaped; the last are all listed in one error.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let files = Files::locate(path)?;
        let config = Config::read(&files.directory.join("config.json"))
            .map_err(|source| CheckpointError::Config { path: files.directory.clone(), source })?;
        let mut shards = Vec::with_capacity(files.shards.len());
        let mut found = Vec::new();
        for (shard, name) in files.shards.iter().enumerate() {
            let file = MappedFile::open(files.directory.join(name))?;
            let entries = header::parse(file.bytes())
                .map_err(|source| CheckpointError::Header { path: file.path().to_owned(), source })?;
            found.extend(entries.into_iter().map(|entry| Found { shard, entry }));
            shards.push(file);
        }
        let verified = verify::verify(&config, &files, found)?;
        let tensors = verified.tensors.into_iter().map(|(name, (dtype, found))| {
            let located = Located {
                shard: found.shard,
                dtype,
                shape: found.entry.shape,
                start: found.entry.start,
                byte_len: found.entry.len,
            };
            (name, located)
        });
        let mut checkpoint = Self {
            tensors: tensors.collect(),
            layout: config.text.moe.is_some().then_some(verified.layout),
            own_head: false,
            files,
            shards,
            config,
        };
        checkpoint.own_head = checkpoint.decide_head();
        Ok(checkpoint)
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The directory with the weight files and `config.json`.
    pub fn directory(&self) -> &Path {
        &self.files.directory
    }

    /// A tensor by its Hub name, whatever variant of it the file has.
    ///
    /// # Errors
    /// The model has no tensor of that name.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, CheckpointError> {
        self.tensors
            .get_key_value(name)
            .map(|(name, located)| self.view(name, located))
            .ok_or_else(|| CheckpointError::UnknownTensor(name.to_owned()))
    }

    /// Every tensor, in no particular order.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'_>> {
        self.tensors.iter().map(|(name, located)| self.view(name, located))
    }

    fn view<'a>(&'a self, name: &'a str, located: &'a Located) -> Tensor<'a> {
        Tensor {
            name,
            dtype: located.dtype,
            shape: &located.shape,
            file: &self.shards[located.shard],
            start: located.start,
            byte_len: located.byte_len,
        }
    }

    /// Whether the head has weights of its own, `lm_head.weight`; otherwise it is the embedding table.
    ///
    /// What the files hold decides, as in transformers 5: without `lm_head.weight` the head is tied; with it, a model
    /// whose flag says tied still has a head of its own if the two differ.
    pub fn has_own_head(&self) -> bool {
        self.own_head
    }

    /// Order of the axes of the experts' weights; `None` for a dense model.
    pub fn expert_layout(&self) -> Option<ExpertLayout> {
        self.layout
    }

    /// The weight files.
    pub fn shards(&self) -> Vec<ShardInfo> {
        let sizes = self.shards.iter().map(|file| file.bytes().len() as u64);
        self.files.shards.iter().cloned().zip(sizes).map(|(name, bytes)| ShardInfo { name, bytes }).collect()
    }

    pub(crate) fn mapped(&self) -> impl Iterator<Item = (&str, &MappedFile)> {
        self.files.shards.iter().map(String::as_str).zip(&self.shards)
    }

    fn decide_head(&self) -> bool {
        match (self.tensor(HEAD), self.tensor(EMBEDDING)) {
            (Ok(head), Ok(table)) => {
                let own = !self.config.tie_word_embeddings || !same_bytes(&head, &table);
                if own && self.config.tie_word_embeddings {
                    tracing::warn!(
                        "tie_word_embeddings is true, but lm_head.weight differs from the embedding; it is used"
                    );
                }
                own
            }
            _ => false,
        }
    }
}

fn same_bytes(a: &Tensor<'_>, b: &Tensor<'_>) -> bool {
    let step = COMPARE_CHUNK / a.dtype().size();
    a.dtype() == b.dtype()
        && a.len() == b.len()
        && a.bytes().par_chunks(COMPARE_CHUNK).zip(b.bytes().par_chunks(COMPARE_CHUNK)).enumerate().all(
            |(i, (x, y))| {
                let same = x == y;
                a.release(i * step, step);
                b.release(i * step, step);
                same
            },
        )
}
