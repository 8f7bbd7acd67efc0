//! Any text as a model's configuration; one that is accepted can be computed with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qvl_checkpoint::Config;

fuzz_target!(|text: &str| {
    match Config::from_json(text) {
        Ok(config) => {
            let _ = (config.packed_width(), config.text.q_width(), config.text.kv_width(), config.vision.patch_len());
            let _ = config.vision.inverse_frequencies();
            let _ = config.text.rope.inverse_frequencies(config.text.head_dim);
        }
        Err(error) => drop(error.to_string()),
    }
});
