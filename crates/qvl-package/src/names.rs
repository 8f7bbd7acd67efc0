//! Names of the graphs' inputs and outputs: the exporter writes them, engines and other runtimes bind them.

/// Patches of all pictures.
pub const PIXEL_VALUES: &str = "pixel_values";
/// Size of each picture in patches.
pub const IMAGE_GRID_THW: &str = "image_grid_thw";
/// Merged and DeepStack features side by side.
pub const IMAGE_FEATURES: &str = "image_features";
/// Token ids.
pub const INPUT_IDS: &str = "input_ids";
/// Input embeddings and DeepStack features side by side.
pub const INPUTS_EMBEDS: &str = "inputs_embeds";
/// 1 for each position to be attended to.
pub const ATTENTION_MASK: &str = "attention_mask";
/// Positions on the axes of time, height and width.
pub const POSITION_IDS: &str = "position_ids";
/// Next-token scores.
pub const LOGITS: &str = "logits";

/// The KV cache before a call: `part` is `key` or `value`.
pub fn past(layer: impl std::fmt::Display, part: &str) -> String {
    format!("past_key_values.{layer}.{part}")
}

/// The KV cache after a call: `part` is `key` or `value`.
pub fn present(layer: impl std::fmt::Display, part: &str) -> String {
    format!("present.{layer}.{part}")
}
