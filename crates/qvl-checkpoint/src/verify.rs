//! Compares the tensors of the files with those that the configuration calls for, and lists all that is wrong.

use std::collections::{BTreeMap, HashMap};

use crate::config::Config;
use crate::dtype::Dtype;
use crate::error::{CheckpointError, TensorProblem};
use crate::files::Files;
use crate::header::Entry;
use crate::layout::{ExpertLayout, expected_tensors};
use crate::names::{self, HEAD};

/// A tensor of a file.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) shard: usize,
    pub(crate) entry: Entry,
}

/// The model's tensors by their Hub names.
pub(crate) struct Verified {
    pub(crate) tensors: HashMap<String, (Dtype, Found)>,
    pub(crate) layout: ExpertLayout,
}

pub(crate) fn verify(config: &Config, files: &Files, found: Vec<Found>) -> Result<Verified, CheckpointError> {
    let mut problems = misplaced(files, &found);
    let mut by_name = canonical(files, found, &mut problems);
    let layout = expert_layout(config, &by_name);
    let own_head = by_name.contains_key(HEAD) || !config.tie_word_embeddings;
    let mut tensors = HashMap::new();
    for spec in expected_tensors(config, own_head, layout) {
        match by_name.remove(&spec.name) {
            None => problems.push(TensorProblem::Missing { name: spec.name, shape: spec.shape }),
            Some(found) if found.entry.shape != spec.shape => {
                problems.push(TensorProblem::Shape { name: spec.name, found: found.entry.shape, expected: spec.shape })
            }
            Some(found) => match Dtype::from_name(found.entry.dtype) {
                Some(dtype) => {
                    tensors.insert(spec.name, (dtype, found));
                }
                None => problems.push(TensorProblem::Dtype { name: spec.name, found: found.entry.dtype }),
            },
        }
    }
    problems.extend(
        by_name
            .into_values()
            .filter(|found| !names::is_harmless(&found.entry.name))
            .map(|found| TensorProblem::Unexpected { name: found.entry.name, shape: found.entry.shape }),
    );
    if problems.is_empty() {
        Ok(Verified { tensors, layout })
    } else {
        Err(CheckpointError::Tensors { path: files.directory.clone(), problems })
    }
}

/// Tensors that are in another file than the index says, that it does not list, or that it lists in vain.
fn misplaced(files: &Files, found: &[Found]) -> Vec<TensorProblem> {
    let Some(index) = &files.index else {
        return Vec::new();
    };
    let mut listed: BTreeMap<&str, &str> = index.iter().map(|(name, file)| (name.as_str(), file.as_str())).collect();
    let mut problems = Vec::new();
    for Found { shard, entry } in found {
        let file = files.shards[*shard].as_str();
        let indexed = index.get(&entry.name).map(String::as_str);
        listed.remove(entry.name.as_str());
        if indexed != Some(file) {
            problems.push(TensorProblem::Misplaced {
                name: entry.name.clone(),
                indexed: indexed.map(str::to_owned),
                found: Some(file.to_owned()),
            });
        }
    }
    problems.extend(listed.into_iter().map(|(name, file)| TensorProblem::Misplaced {
        name: name.to_owned(),
        indexed: Some(file.to_owned()),
        found: None,
    }));
    problems
}

/// The tensors by their Hub names; a second tensor of the same name becomes a problem.
fn canonical(files: &Files, found: Vec<Found>, problems: &mut Vec<TensorProblem>) -> BTreeMap<String, Found> {
    let place = |found: &Found| format!("{} in {}", found.entry.name, files.shards[found.shard]);
    let mut by_name: BTreeMap<String, Found> = BTreeMap::new();
    for tensor in found {
        let name = names::canonical(&tensor.entry.name).into_owned();
        if let Some(first) = by_name.get(&name) {
            problems.push(TensorProblem::Duplicate { first: place(first), second: place(&tensor), name });
        } else {
            by_name.insert(name, tensor);
        }
    }
    by_name
}

/// The layout of the first experts whose shape tells it; where none does, that of the Hub.
fn expert_layout(config: &Config, tensors: &BTreeMap<String, Found>) -> ExpertLayout {
    let shapes =
        |layout| expected_tensors(config, false, layout).into_iter().filter(|spec| spec.name.contains(".mlp.experts."));
    shapes(ExpertLayout::InputMajor)
        .zip(shapes(ExpertLayout::OutputMajor))
        .filter(|(input_major, output_major)| input_major.shape != output_major.shape)
        .find_map(|(input_major, output_major)| {
            let shape = &tensors.get(&input_major.name)?.entry.shape;
            if *shape == input_major.shape {
                Some(ExpertLayout::InputMajor)
            } else {
                (*shape == output_major.shape).then_some(ExpertLayout::OutputMajor)
            }
        })
        .unwrap_or(ExpertLayout::InputMajor)
}
