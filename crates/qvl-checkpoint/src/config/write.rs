//! Writes a configuration as `config.json` in the Hub's dialect, with the keys and their order of the published files.

use serde_json::{Map, Value, json};

use super::{Config, ModelType, RopeConfig, TextConfig, VisionConfig};

pub(super) fn to_json(config: &Config) -> String {
    let architecture = match config.model_type {
        ModelType::Dense => "Qwen3VLForConditionalGeneration",
        ModelType::Moe => "Qwen3VLMoeForConditionalGeneration",
    };
    let value = json!({
        "architectures": [architecture],
        "image_token_id": config.image_token_id,
        "model_type": config.model_type.as_str(),
        "text_config": text(config),
        "tie_word_embeddings": config.tie_word_embeddings,
        "video_token_id": config.video_token_id,
        "vision_config": vision(config.model_type, &config.vision),
        "vision_end_token_id": config.vision_end_token_id,
        "vision_start_token_id": config.vision_start_token_id,
    });
    format!("{value:#}\n")
}

fn text(config: &Config) -> Value {
    let TextConfig {
        vocab_size,
        hidden_size,
        intermediate_size,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        rms_norm_eps,
        max_position_embeddings,
        rope,
        moe,
        bos_token_id,
        eos_token_id,
    } = &config.text;
    let mut value = json!({
        "attention_bias": false,
        "bos_token_id": bos_token_id,
        "eos_token_id": eos_token_id,
        "dtype": "bfloat16",
        "head_dim": head_dim,
        "hidden_act": "silu",
        "hidden_size": hidden_size,
        "intermediate_size": intermediate_size,
        "max_position_embeddings": max_position_embeddings,
        "model_type": format!("{}_text", config.model_type.as_str()),
        "num_attention_heads": num_attention_heads,
        "num_hidden_layers": num_hidden_layers,
        "num_key_value_heads": num_key_value_heads,
        "rms_norm_eps": rms_norm_eps,
        "rope_scaling": scaling(rope),
        "rope_theta": rope.theta,
        "vocab_size": vocab_size,
    });
    if let (Some(moe), Some(object)) = (moe, value.as_object_mut()) {
        object.extend(entries(json!({
            "num_experts": moe.num_experts,
            "num_experts_per_tok": moe.num_experts_per_tok,
            "moe_intermediate_size": moe.moe_intermediate_size,
            "norm_topk_prob": true,
            "decoder_sparse_step": moe.decoder_sparse_step,
            "mlp_only_layers": moe.mlp_only_layers,
        })));
    }
    value
}

fn scaling(rope: &RopeConfig) -> Value {
    let mut value = json!({
        "mrope_interleaved": true,
        "mrope_section": rope.mrope_section,
        "rope_type": if rope.scaling.is_some() { "yarn" } else { "default" },
    });
    if let (Some(yarn), Some(object)) = (&rope.scaling, value.as_object_mut()) {
        object.extend(entries(json!({
            "factor": yarn.factor,
            "original_max_position_embeddings": yarn.original_max_position_embeddings,
            "beta_fast": yarn.beta_fast,
            "beta_slow": yarn.beta_slow,
            "attention_factor": yarn.attention_factor,
            "truncate": yarn.truncate,
        })));
    }
    value
}

fn vision(model_type: ModelType, vision: &VisionConfig) -> Value {
    json!({
        "deepstack_visual_indexes": vision.deepstack_visual_indexes,
        "depth": vision.depth,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": vision.hidden_size,
        "in_channels": vision.in_channels,
        "intermediate_size": vision.intermediate_size,
        "model_type": model_type.as_str(),
        "num_heads": vision.num_heads,
        "num_position_embeddings": vision.num_position_embeddings,
        "out_hidden_size": vision.out_hidden_size,
        "patch_size": vision.patch_size,
        "spatial_merge_size": vision.spatial_merge_size,
        "temporal_patch_size": vision.temporal_patch_size,
    })
}

fn entries(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
