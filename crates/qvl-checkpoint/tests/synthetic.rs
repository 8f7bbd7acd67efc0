//! Random checkpoints open, are sane, and depend on nothing but configuration and seed.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::path::Path;

use common::tiny;
use qvl_checkpoint::synthetic::{self, SyntheticError, SyntheticOptions};
use qvl_checkpoint::{Checkpoint, Config, ExpertLayout};

fn config(name: &str) -> Config {
    Config::read(&tiny(name).join("config.json")).unwrap()
}

fn write(config: &Config, directory: &Path, options: &SyntheticOptions) -> u64 {
    let written = std::cell::Cell::new(0);
    synthetic::write(config, directory, options, &|bytes| written.set(written.get() + bytes)).unwrap();
    written.get()
}

#[test]
fn every_kind_opens_whole() {
    for name in ["dense-tied", "dense-untied", "moe"] {
        for layout in [ExpertLayout::InputMajor, ExpertLayout::OutputMajor] {
            let (directory, config) = (tempfile::tempdir().unwrap(), config(name));
            let options = SyntheticOptions { layout, ..SyntheticOptions::default() };
            let written = write(&config, directory.path(), &options);
            assert_eq!(written, synthetic::weight_bytes(&config, &options));
            let checkpoint = Checkpoint::open(directory.path()).unwrap();
            assert_eq!(checkpoint.config(), &config);
            assert_eq!(checkpoint.has_own_head(), !config.tie_word_embeddings);
            assert_eq!(checkpoint.expert_layout(), config.text.moe.is_some().then_some(layout));
            assert_eq!(checkpoint.summary().parameters * 2, written);
        }
    }
}

#[test]
fn shards_change_the_files_but_not_the_weights() {
    let config = config("dense-untied");
    let (one, many) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&config, one.path(), &SyntheticOptions::default());
    let options = SyntheticOptions { shard_bytes: 500_000, ..SyntheticOptions::default() };
    write(&config, many.path(), &options);
    let (one, many) = (Checkpoint::open(one.path()).unwrap(), Checkpoint::open(many.path()).unwrap());
    assert_eq!(one.shards().len(), 1);
    let shards = many.shards();
    assert!(shards.len() > 5, "{shards:?}");
    assert_eq!(shards[0].name, format!("model-00001-of-{:05}.safetensors", shards.len()));
    for tensor in one.tensors() {
        assert_eq!(many.tensor(tensor.name()).unwrap().bytes(), tensor.bytes());
    }
}

#[test]
fn another_seed_gives_other_weights() {
    let config = config("dense-tied");
    let [first, second] = [1, 2].map(|seed| {
        let directory = tempfile::tempdir().unwrap();
        write(&config, directory.path(), &SyntheticOptions { seed, ..SyntheticOptions::default() });
        let checkpoint = Checkpoint::open(directory.path()).unwrap();
        let name = "model.language_model.embed_tokens.weight";
        checkpoint.tensor(name).unwrap().bytes().to_vec()
    });
    assert_ne!(first, second);
}

#[test]
fn a_directory_with_files_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("precious"), b"").unwrap();
    let options = SyntheticOptions::default();
    let error = synthetic::write(&config("moe"), directory.path(), &options, &|_| {}).unwrap_err();
    assert!(matches!(error, SyntheticError::NotEmpty(_)));
    assert!(error.to_string().ends_with(" is not empty; give a new directory"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
