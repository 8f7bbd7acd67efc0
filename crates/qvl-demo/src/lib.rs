//! The demo model: a small Qwen3-VL checkpoint that the program carries in itself.
//!
//! `demo/` has the recipe that it was trained by and the model card.

use std::sync::LazyLock;

pub use include_dir::Dir;
use include_dir::include_dir;

use sha2::{Digest as _, Sha256};

/// What the model is called.
pub const NAME: &str = "qvl demo";

/// Its name where only letters, digits and hyphens may be.
pub const SLUG: &str = "qvl-demo";

/// Numbers that were trained, the tied head counted once.
pub const PARAMETERS: u64 = 8_234_816;

/// What it can be asked about.
pub const KNOWS: &str = "shapes, charts, clips and printed words only";

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../demo/model/", $name)))),*]
    };
}

/// Every file of `demo/model`.
const FILES: &[(&str, &[u8])] = embedded![
    "chat_template.json",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
    "vocab.json",
];

/// Name and bytes of each file of the checkpoint, in the order of the names.
pub fn files() -> &'static [(&'static str, &'static [u8])] {
    FILES
}

/// The questions of `demo/calibration`, which quantisation is calibrated on where no others are given: `questions.jsonl`,
/// and the pictures and clips that it names.
pub fn calibration() -> &'static Dir<'static> {
    static CALIBRATION: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../demo/calibration");
    &CALIBRATION
}

/// The SHA-256 of all names and bytes, in hexadecimal digits: another model has another one.
pub fn content_hash() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| {
        let mut hash = Sha256::new();
        for (name, bytes) in FILES {
            hash.update(format!("{name}\0{}\0", bytes.len()));
            hash.update(bytes);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    });
    &HASH
}

#[cfg(test)]
mod tests {
    use std::fs;

    use safetensors::SafeTensors;

    use super::*;

    const WEIGHTS: &str = "model.safetensors";
    const LARGEST_WEIGHTS: usize = 16 << 20;

    fn weights() -> &'static [u8] {
        files().iter().find(|(name, _)| *name == WEIGHTS).unwrap().1
    }

    #[test]
    fn the_list_is_the_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/model");
        let mut found: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        assert_eq!(files().iter().map(|(name, _)| *name).collect::<Vec<_>>(), found);
    }

    #[test]
    fn the_weights_are_small_and_counted() {
        assert!(weights().len() <= LARGEST_WEIGHTS);
        let tensors = SafeTensors::deserialize(weights()).unwrap();
        let parameters: usize = tensors.iter().map(|(_, tensor)| tensor.shape().iter().product::<usize>()).sum();
        assert_eq!(PARAMETERS, parameters as u64);
    }

    #[test]
    fn the_hash_is_that_of_the_content() {
        assert_eq!(content_hash().len(), 64);
        assert!(content_hash().bytes().all(|digit| digit.is_ascii_hexdigit()));
    }
}
