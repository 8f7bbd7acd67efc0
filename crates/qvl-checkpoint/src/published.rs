//! The published sizes of Qwen3-VL (SPEC §0).

use crate::config::{Config, ModelType, MoeConfig, RopeConfig, TextConfig, VisionConfig};

/// Names of the published sizes.
pub const PUBLISHED_SIZES: [&str; 6] = ["2B", "4B", "8B", "32B", "30B-A3B", "235B-A22B"];

/// The numbers in which the sizes differ.
struct Size {
    hidden: usize,
    inner: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    tied: bool,
    /// Inner width of an expert; `None` for a dense model.
    expert: Option<usize>,
}

fn size(name: &str) -> Option<Size> {
    let dense =
        |hidden, inner, layers, heads, tied| Size { hidden, inner, layers, heads, kv_heads: 8, tied, expert: None };
    let moe = |hidden, inner, layers, heads, expert| Size {
        kv_heads: 4,
        expert: Some(expert),
        ..dense(hidden, inner, layers, heads, false)
    };
    Some(match name {
        "2B" => dense(2048, 6144, 28, 16, true),
        "4B" => dense(2560, 9728, 36, 32, true),
        "8B" => dense(4096, 12_288, 36, 32, false),
        "32B" => dense(5120, 25_600, 64, 64, false),
        "30B-A3B" => moe(2048, 6144, 48, 32, 768),
        "235B-A22B" => moe(4096, 12_288, 94, 64, 1536),
        _ => return None,
    })
}

/// The configuration of a published size, by a name of [`PUBLISHED_SIZES`].
pub fn published_config(name: &str) -> Option<Config> {
    let size = size(name)?;
    let moe = size.expert.map(|inner| MoeConfig {
        num_experts: 128,
        num_experts_per_tok: 8,
        moe_intermediate_size: inner,
        decoder_sparse_step: 1,
        mlp_only_layers: Vec::new(),
    });
    Some(Config {
        model_type: if moe.is_some() { ModelType::Moe } else { ModelType::Dense },
        vision: vision(&size),
        text: TextConfig {
            vocab_size: 151_936,
            hidden_size: size.hidden,
            intermediate_size: size.inner,
            num_hidden_layers: size.layers,
            num_attention_heads: size.heads,
            num_key_value_heads: size.kv_heads,
            head_dim: 128,
            rms_norm_eps: 1e-6,
            max_position_embeddings: 262_144,
            rope: RopeConfig { theta: 5_000_000.0, mrope_section: [24, 20, 20], scaling: None },
            moe,
            bos_token_id: Some(151_643),
            eos_token_id: Some(151_645),
        },
        image_token_id: 151_655,
        video_token_id: 151_656,
        vision_start_token_id: 151_652,
        vision_end_token_id: 151_653,
        tie_word_embeddings: size.tied,
    })
}

/// The two smaller models have a vision encoder of 24 blocks, the others one of 27.
fn vision(size: &Size) -> VisionConfig {
    let (depth, hidden_size, intermediate_size, deepstack) =
        if size.tied { (24, 1024, 4096, [5, 11, 17]) } else { (27, 1152, 4304, [8, 16, 24]) };
    VisionConfig {
        hidden_size,
        intermediate_size,
        depth,
        num_heads: 16,
        patch_size: 16,
        temporal_patch_size: 2,
        spatial_merge_size: 2,
        in_channels: 3,
        num_position_embeddings: 2304,
        out_hidden_size: size.hidden,
        deepstack_visual_indexes: deepstack.to_vec(),
    }
}

/// The published size that has this configuration's dimensions, whatever its rope scaling, context and tokens.
pub fn published_size(config: &Config) -> Option<&'static str> {
    PUBLISHED_SIZES.into_iter().find(|name| {
        published_config(name).is_some_and(|published| {
            let text = TextConfig {
                rope: published.text.rope.clone(),
                max_position_embeddings: published.text.max_position_embeddings,
                bos_token_id: published.text.bos_token_id,
                eos_token_id: published.text.eos_token_id,
                ..config.text.clone()
            };
            text == published.text && config.vision == published.vision
        })
    })
}
