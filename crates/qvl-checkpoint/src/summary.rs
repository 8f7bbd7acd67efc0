//! What a person wants to know of a checkpoint at a glance.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::checkpoint::{Checkpoint, ShardInfo};
use crate::layout::ExpertLayout;
use crate::published::published_size;

/// Facts about an open checkpoint, for `qvl inspect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// `qwen3_vl` or `qwen3_vl_moe`.
    pub model_type: &'static str,
    /// Name of the published size with the same dimensions.
    pub size: Option<&'static str>,
    /// Number of parameters; a tied head counts once.
    pub parameters: u64,
    /// Number of tensors.
    pub tensors: usize,
    /// Parameters by number format.
    pub dtypes: BTreeMap<&'static str, u64>,
    /// Whether the head shares the embedding table.
    pub tied_head: bool,
    /// `input-major` or `output-major`; none for a dense model.
    pub expert_layout: Option<&'static str>,
    /// The weight files.
    pub shards: Vec<ShardInfo>,
}

impl Checkpoint {
    /// Counts the tensors, without reading them.
    pub fn summary(&self) -> Summary {
        let mut dtypes = BTreeMap::new();
        let (mut parameters, mut tensors) = (0, 0);
        for tensor in self.tensors() {
            if tensor.name() == crate::names::HEAD && !self.has_own_head() {
                continue;
            }
            tensors += 1;
            parameters += tensor.len() as u64;
            *dtypes.entry(tensor.dtype().as_str()).or_insert(0) += tensor.len() as u64;
        }
        Summary {
            model_type: self.config().model_type.as_str(),
            size: published_size(self.config()),
            parameters,
            tensors,
            dtypes,
            tied_head: !self.has_own_head(),
            expert_layout: self.expert_layout().map(|layout| match layout {
                ExpertLayout::InputMajor => "input-major",
                ExpertLayout::OutputMajor => "output-major",
            }),
            shards: self.shards(),
        }
    }
}
