//! Any bytes as the weights of a tiny model.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use qvl_checkpoint::Checkpoint;

const CONFIG: &str = include_str!("../../reference/tiny/dense-tied/config.json");

fuzz_target!(|bytes: &[u8]| {
    let Ok(directory) = tempfile::tempdir() else { return };
    if fs::write(directory.path().join("config.json"), CONFIG).is_ok()
        && fs::write(directory.path().join("model.safetensors"), bytes).is_ok()
    {
        let _ = Checkpoint::open(directory.path()).map_err(|error| error.to_string());
    }
});
