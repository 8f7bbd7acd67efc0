//! What the media tests share: where the reference lies, and how its hashes are made.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of this, and a missing golden is a failure"
)]

use std::path::{Path, PathBuf};

use qvl_processor::Rgb8;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A file of the reference.
pub fn reference(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference")).join(path)
}

/// A JSON golden.
pub fn golden(name: &str) -> Value {
    let text = std::fs::read_to_string(reference("golden/common").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The bytes of a reference picture.
pub fn picture_bytes(name: &str) -> Vec<u8> {
    std::fs::read(reference("images").join(name)).unwrap()
}

/// SHA-256 as the goldens write it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 over little-endian floats.
pub fn sha256_f32(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    sha256(&bytes)
}

/// A JSON array of numbers.
pub fn numbers(value: &Value) -> Vec<usize> {
    let number = |v: &Value| usize::try_from(v.as_u64().unwrap()).unwrap();
    value.as_array().unwrap().iter().map(number).collect()
}

/// The frames in a version 1 `.npy` file of shape `[frames, height, width, 3]`, 8 bit.
pub fn npy_frames(path: &Path) -> Vec<Rgb8> {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let data_at = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..data_at]).unwrap();
    assert!(header.contains("'|u1'") && header.contains("'fortran_order': False"));
    let shape = header.split(['(', ')']).nth(1).unwrap();
    let shape: Vec<usize> = shape.split(',').map(|n| n.trim().parse().unwrap()).collect();
    let [count, height, width, 3] = shape[..] else {
        panic!("unexpected shape {shape:?}");
    };
    let frames: Vec<Rgb8> = bytes[data_at..]
        .chunks_exact(height * width * 3)
        .map(|data| Rgb8::new(width, height, data.to_vec()).unwrap())
        .collect();
    assert_eq!(frames.len(), count);
    frames
}

/// A directory with all that a processor reads of a published checkpoint; `template` is `Instruct` or `Thinking`.
pub fn real_checkpoint(template: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let template = format!("chat_template.{template}.json");
    for (from, to) in [
        ("config.4B-Instruct.json", "config.json"),
        ("tokenizer.json", "tokenizer.json"),
        ("tokenizer_config.json", "tokenizer_config.json"),
        ("preprocessor_config.json", "preprocessor_config.json"),
        ("video_preprocessor_config.json", "video_preprocessor_config.json"),
        (template.as_str(), "chat_template.json"),
    ] {
        std::fs::copy(reference("real/hub").join(from), directory.path().join(to)).unwrap();
    }
    directory
}
