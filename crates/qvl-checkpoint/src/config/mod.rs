//! The model's configuration: `config.json` of a Qwen3-VL checkpoint, read and checked.
//!
//! Two dialects are read. Hub files carry `rope_scaling` and `rope_theta` and call the experts `num_experts`; files saved
//! by transformers 5 carry `rope_parameters` and `num_local_experts`. Both give the same [`Config`]. Every number is
//! checked against caps, so that products of dimensions cannot overflow anywhere later.

mod error;
mod fields;
mod read;
mod rope;
#[cfg(test)]
mod tests;
mod write;

pub use error::ConfigError;
pub use rope::{RopeConfig, YarnConfig};

use std::path::Path;

use crate::limited::read_text_limited;

/// Largest `config.json` that is read, in bytes; real ones have under 2 KiB.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Which of the two architectures a checkpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelType {
    /// `qwen3_vl`: every layer has a gated MLP.
    Dense,
    /// `qwen3_vl_moe`: layers have a mixture of experts.
    Moe,
}

impl ModelType {
    /// The name in `config.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dense => "qwen3_vl",
            Self::Moe => "qwen3_vl_moe",
        }
    }
}

/// Configuration of a whole model: text decoder, vision encoder and the tokens that join them.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Dense or mixture of experts.
    pub model_type: ModelType,
    /// The text decoder.
    pub text: TextConfig,
    /// The vision encoder.
    pub vision: VisionConfig,
    /// Placeholder token of a picture, `<|image_pad|>`.
    pub image_token_id: u32,
    /// Placeholder token of a video, `<|video_pad|>`.
    pub video_token_id: u32,
    /// Token before the placeholders, `<|vision_start|>`.
    pub vision_start_token_id: u32,
    /// Token after the placeholders, `<|vision_end|>`.
    pub vision_end_token_id: u32,
    /// The top-level flag: whether the head shares the embedding table. What the files hold decides; see
    /// [`Checkpoint::has_own_head`](crate::Checkpoint::has_own_head).
    pub tie_word_embeddings: bool,
}

impl Config {
    /// Reads and checks the text of a `config.json`.
    ///
    /// # Errors
    /// Not JSON, another model, a quantised checkpoint, or values that are missing or impossible; the last are all listed.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        read::from_json(text)
    }

    /// Reads and checks a `config.json` file.
    ///
    /// # Errors
    /// The file cannot be read, is no regular file or is larger than 4 MiB, and everything [`Config::from_json`] refuses.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::from_json(&read_text_limited(path, MAX_FILE_BYTES)?)
    }

    /// The configuration as `config.json` in the Hub's dialect; reading it back gives the same [`Config`].
    pub fn to_json(&self) -> String {
        write::to_json(self)
    }

    /// Number of DeepStack features, `R`; feature `i` is added after text layer `i`.
    pub fn deepstack_count(&self) -> usize {
        self.vision.deepstack_visual_indexes.len()
    }

    /// Width of a packed vision feature row, `(1+R)·H`: the merged feature, then the DeepStack features, side by side.
    pub fn packed_width(&self) -> usize {
        (1 + self.deepstack_count()) * self.text.hidden_size
    }
}

/// Configuration of the text decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Rows of the embedding table (more than the tokenizer has tokens).
    pub vocab_size: usize,
    /// Width of the residual stream, `H`.
    pub hidden_size: usize,
    /// Inner width of the dense MLP.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; divides the number of query heads.
    pub num_key_value_heads: usize,
    /// Width of one head; `num_attention_heads·head_dim` need not equal `hidden_size`.
    pub head_dim: usize,
    /// Epsilon of every RMSNorm.
    pub rms_norm_eps: f64,
    /// Longest context in tokens.
    pub max_position_embeddings: usize,
    /// Rotary position embedding.
    pub rope: RopeConfig,
    /// The experts; `None` for a dense model.
    pub moe: Option<MoeConfig>,
    /// Token that begins a sequence, if the file names one.
    pub bos_token_id: Option<u32>,
    /// Token that ends a sequence, if the file names one.
    pub eos_token_id: Option<u32>,
}

impl TextConfig {
    /// Whether the layer (0-based) has experts: every `decoder_sparse_step`-th layer that is not in `mlp_only_layers`.
    pub fn is_moe_layer(&self, layer: usize) -> bool {
        self.moe.as_ref().is_some_and(|moe| {
            (layer + 1).is_multiple_of(moe.decoder_sparse_step) && !moe.mlp_only_layers.contains(&layer)
        })
    }

    /// Width of the query projection, `num_attention_heads·head_dim`.
    pub fn q_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of the key projection and of the value projection, `num_key_value_heads·head_dim`.
    pub fn kv_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }
}

/// Configuration of the mixture of experts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoeConfig {
    /// Number of experts of a layer.
    pub num_experts: usize,
    /// Number of experts that each token is sent to.
    pub num_experts_per_tok: usize,
    /// Inner width of one expert.
    pub moe_intermediate_size: usize,
    /// Every how many layers there are experts; 1 in all published models.
    pub decoder_sparse_step: usize,
    /// Layers (0-based) that have a dense MLP all the same.
    pub mlp_only_layers: Vec<usize>,
}

/// Configuration of the vision encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisionConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Inner width of the MLP.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Number of attention heads.
    pub num_heads: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Frames of a patch.
    pub temporal_patch_size: usize,
    /// Side of the square of patches that becomes one token.
    pub spatial_merge_size: usize,
    /// Colour channels.
    pub in_channels: usize,
    /// Rows of the learned position table, a square number.
    pub num_position_embeddings: usize,
    /// Width of the features, equal to the text decoder's hidden size.
    pub out_hidden_size: usize,
    /// Blocks (0-based) whose outputs become the DeepStack features, in this order.
    pub deepstack_visual_indexes: Vec<usize>,
}

impl VisionConfig {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// Side of the learned position table.
    pub fn grid_side(&self) -> usize {
        self.num_position_embeddings.isqrt()
    }

    /// Values of one patch: channels · frames · side².
    pub fn patch_len(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// Patches that become one token: the merge size squared.
    pub fn merge_unit(&self) -> usize {
        self.spatial_merge_size * self.spatial_merge_size
    }

    /// Rotary frequencies of one axis, `10000^(-2k/(d/2))` for `k < d/4`, in float32 (SPEC §4.3).
    pub fn inverse_frequencies(&self) -> Vec<f32> {
        rope::inverse_frequencies(10_000.0, self.head_dim() / 2)
    }
}
