//! The configuration that onnxruntime-genai reads: `genai_config.json` and `processor_config.json`.
//!
//! Its reader refuses unknown keys, and packages without the ids of the picture, video and vision-start tokens.

use std::path::Path;

use qvl_checkpoint::Config;
use qvl_package::{Graph, names};
use serde_json::{Map, Value, json};

use crate::ExportError;
use crate::files::json;

/// Its name for this family of models, dense and with experts.
const MODEL_TYPE: &str = "qwen3_vl";

/// Longest sequence that onnxruntime-genai makes room for if its user says nothing: it takes the memory at once.
const DEFAULT_MAX_LENGTH: usize = 4096;

/// Names of the two files.
pub(crate) const GENAI_CONFIG: &str = "genai_config.json";
pub(crate) const PROCESSOR_CONFIG: &str = "processor_config.json";

/// Settings from a checkpoint's other files, each empty where the checkpoint has no such file.
pub(crate) struct Settings {
    generation: Map<String, Value>,
    preprocessor: Map<String, Value>,
}

impl Settings {
    /// Reads the settings from the package's own copies.
    ///
    /// # Errors
    /// If a file is no JSON object.
    pub(crate) fn read(package: &Path) -> Result<Self, ExportError> {
        Ok(Self {
            generation: json::read(&package.join("generation_config.json"))?,
            preprocessor: json::read(&package.join("preprocessor_config.json"))?,
        })
    }
}

/// `genai_config.json`.
pub(crate) fn genai_config(config: &Config, settings: &Settings) -> Value {
    json!({
        "model": {
            "type": MODEL_TYPE,
            "bos_token_id": token(settings, "bos_token_id").or_else(|| config.text.bos_token_id.map(Value::from)),
            "eos_token_id": token(settings, "eos_token_id").or_else(|| config.text.eos_token_id.map(Value::from)),
            "pad_token_id": token(settings, "pad_token_id").or_else(|| config.text.bos_token_id.map(Value::from)),
            "image_token_id": config.image_token_id,
            "video_token_id": config.video_token_id,
            "vision_start_token_id": config.vision_start_token_id,
            "context_length": config.text.max_position_embeddings,
            "vocab_size": config.text.vocab_size,
            "decoder": decoder(config),
            "embedding": {
                "filename": Graph::Embedding.file(),
                "inputs": { "input_ids": names::INPUT_IDS, "image_features": names::IMAGE_FEATURES },
                "outputs": { "inputs_embeds": names::INPUTS_EMBEDS },
            },
            "vision": {
                "filename": Graph::Vision.file(),
                "config_filename": PROCESSOR_CONFIG,
                "spatial_merge_size": config.vision.spatial_merge_size,
                "patch_size": config.vision.patch_size,
                "tokens_per_second": 2.0,
                "inputs": { "pixel_values": names::PIXEL_VALUES, "image_grid_thw": names::IMAGE_GRID_THW },
                "outputs": { "image_features": names::IMAGE_FEATURES },
            },
        },
        "search": search(config, settings),
    })
}

/// A token id or a list of them, as `generation_config.json` has it.
fn token(settings: &Settings, key: &str) -> Option<Value> {
    settings.generation.get(key).filter(|value| value.is_u64() || value.is_array()).cloned()
}

fn decoder(config: &Config) -> Value {
    json!({
        "filename": Graph::Text.file(),
        "head_size": config.text.head_dim,
        // Embeddings travel with the DeepStack features beside them.
        "hidden_size": config.packed_width(),
        "num_attention_heads": config.text.num_attention_heads,
        "num_key_value_heads": config.text.num_key_value_heads,
        "num_hidden_layers": config.text.num_hidden_layers,
        "inputs": {
            "inputs_embeds": names::INPUTS_EMBEDS,
            "attention_mask": names::ATTENTION_MASK,
            "position_ids": names::POSITION_IDS,
            "past_key_names": names::past("%d", "key"),
            "past_value_names": names::past("%d", "value"),
        },
        "outputs": {
            "logits": names::LOGITS,
            "present_key_names": names::present("%d", "key"),
            "present_value_names": names::present("%d", "value"),
        },
        "session_options": { "log_id": "onnxruntime-genai", "provider_options": [] },
    })
}

fn search(config: &Config, settings: &Settings) -> Value {
    let setting =
        |key: &str, default: Value| settings.generation.get(key).filter(|v| !v.is_null()).cloned().unwrap_or(default);
    json!({
        "do_sample": setting("do_sample", json!(false)),
        "temperature": setting("temperature", json!(1.0)),
        "top_k": setting("top_k", json!(50)),
        "top_p": setting("top_p", json!(1.0)),
        "repetition_penalty": setting("repetition_penalty", json!(1.0)),
        "max_length": DEFAULT_MAX_LENGTH.min(config.text.max_position_embeddings),
        "min_length": 0,
        "num_beams": 1,
        "num_return_sequences": 1,
        "early_stopping": true,
        "length_penalty": 1.0,
        "diversity_penalty": 0.0,
        "no_repeat_ngram_size": 0,
        "past_present_share_buffer": true,
    })
}

/// `processor_config.json`: onnxruntime-genai's own picture pipeline with the checkpoint's picture budget.
pub(crate) fn processor_config(config: &Config, settings: &Settings) -> Value {
    let budget = |key: &str, default: u64| {
        let size = settings.preprocessor.get("size").and_then(|size| size.get(key));
        size.and_then(Value::as_u64).unwrap_or(default)
    };
    let numbers = |key: &str| settings.preprocessor.get(key).cloned().unwrap_or_else(|| json!([0.5, 0.5, 0.5]));
    let (patch, merge) = (config.vision.patch_size, config.vision.spatial_merge_size);
    let resize = json!({
        // Its reader asks for a size although the smart resize decides.
        "width": 540, "height": 360, "smart_resize": 1,
        "min_pixels": budget("shortest_edge", 65_536), "max_pixels": budget("longest_edge", 16_777_216),
        "patch_size": patch, "merge_size": merge,
    });
    let step =
        |name: &str, kind: &str, attrs: Value| json!({ "operation": { "name": name, "type": kind, "attrs": attrs } });
    json!({
        "processor": {
            "name": "qwen3_vl_image_processor",
            "transforms": [
                step("decode_image", "DecodeImage", json!({ "color_space": "RGB" })),
                { "operation": { "name": "convert_to_rgb", "type": "ConvertRGB" } },
                step("resize", "Resize", resize),
                step("rescale", "Rescale", json!({ "rescale_factor": 1.0 / 255.0 })),
                step("normalize", "Normalize", json!({ "mean": numbers("image_mean"), "std": numbers("image_std"), "qwen3_vl": 1 })),
                step("patch_image", "PatchImage", json!({
                    "patch_size": patch,
                    "temporal_patch_size": config.vision.temporal_patch_size,
                    "merge_size": merge,
                })),
            ],
        },
    })
}
