//! Tests of the configuration: both dialects, refusals with their texts, frequencies equal to torch's.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::{PUBLISHED_SIZES, published_config, published_size};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference");

fn tiny(name: &str) -> Value {
    let text = std::fs::read_to_string(format!("{REFERENCE}/tiny/{name}/config.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The tiny MoE configuration with one value replaced (`null` removes it), by JSON pointer.
fn changed(pointer: &str, value: Value) -> Value {
    let mut config = tiny("moe");
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    config.pointer_mut(parent).unwrap()[key] = value;
    config
}

fn error(config: &Value) -> String {
    Config::from_json(&config.to_string()).unwrap_err().to_string()
}

#[test]
fn published_configurations_are_those_of_the_hub() {
    for size in PUBLISHED_SIZES {
        let path = format!("{REFERENCE}/real/hub/config.{size}-Instruct.json");
        let config = Config::read(path.as_ref()).unwrap();
        assert_eq!(config, published_config(size).unwrap(), "{size}");
        assert_eq!(published_size(&config), Some(size));
        assert_eq!(Config::from_json(&config.to_json()).unwrap(), config);
    }
}

#[test]
fn both_dialects_give_the_same_configuration() {
    let hub = Config::from_json(&tiny("moe").to_string()).unwrap();
    let saved = Config::from_json(&tiny("moe-resaved5x").to_string()).unwrap();
    assert_eq!(hub, saved);
    assert!(!hub.tie_word_embeddings);
    assert_eq!(hub.text.moe.unwrap().num_experts, 8);
}

#[test]
fn yarn_survives_writing() {
    let mut config = published_config("4B").unwrap();
    config.text.rope.scaling = Some(YarnConfig {
        factor: 3.0,
        original_max_position_embeddings: 262_144,
        beta_fast: 32.0,
        beta_slow: 1.0,
        attention_factor: 1.25,
        truncate: false,
    });
    assert_eq!(Config::from_json(&config.to_json()).unwrap(), config);
}

#[test]
fn other_models_are_refused() {
    for (value, shown) in [(json!("qwen2_5_vl"), "\"qwen2_5_vl\""), (json!(null), "null"), (json!(3), "3")] {
        let text = error(&changed("/model_type", value));
        assert_eq!(
            text,
            format!(
                "config.json: model_type is {shown}, which qvl does not know; supported are \"qwen3_vl\" (Qwen3-VL 2B, \
                 4B, 8B, 32B) and \"qwen3_vl_moe\" (Qwen3-VL 30B-A3B, 235B-A22B)"
            )
        );
    }
    assert!(error(&json!([])).contains("model_type is missing"));
    let text = Config::from_json("{").unwrap_err().to_string();
    assert!(text.starts_with("config.json is not valid JSON: EOF"), "{text}");
}

#[test]
fn quantised_checkpoints_are_refused_with_the_mend() {
    let text = error(&changed("/quantization_config", json!({"quant_method": "fp8"})));
    assert_eq!(
        text,
        "config.json: the checkpoint is quantised (fp8), and qvl exports from the original weights; use the unquantised \
         repository of the same size instead (the same name without \"-FP8\", for example Qwen/Qwen3-VL-8B-Instruct)"
    );
    let text = error(&changed("/text_config/quantization_config", json!({"quant_method": "awq"})));
    assert!(text.contains("quantised (awq)") && text.ends_with("of the same size instead"), "{text}");
    assert!(Config::from_json(&changed("/quantization_config", Value::Null).to_string()).is_ok());
}

#[test]
fn each_wrong_value_is_named() {
    for (pointer, value, expected) in [
        ("/text_config/hidden_size", json!(0), "text_config.hidden_size is 0, must be a whole number from 1 to 65536"),
        ("/text_config/hidden_size", json!(-1), "text_config.hidden_size is -1, must be"),
        ("/text_config/hidden_size", json!(1e30), "text_config.hidden_size is 1e+30, must be"),
        ("/text_config/hidden_size", json!("128"), "text_config.hidden_size is \"128\", must be"),
        ("/text_config/hidden_size", Value::Null, "text_config.hidden_size is missing"),
        ("/text_config/vocab_size", json!(u64::MAX), "text_config.vocab_size is 18446744073709551615, must be"),
        (
            "/text_config/num_key_value_heads",
            json!(3),
            "num_attention_heads is 4, must be a multiple of num_key_value_heads (3)",
        ),
        ("/text_config/hidden_act", json!("gelu"), "text_config.hidden_act is \"gelu\", must be \"silu\""),
        ("/text_config/attention_bias", json!(true), "text_config.attention_bias is true"),
        ("/text_config/rms_norm_eps", json!(0), "text_config.rms_norm_eps is 0, must be a number above 0"),
        (
            "/text_config/rope_theta",
            Value::Null,
            "text_config.rope_theta is missing; the published models have 5000000",
        ),
        ("/text_config/rope_theta", json!(0.5), "text_config.rope_theta is 0.5, must be above 1"),
        ("/text_config/rope_scaling", Value::Null, "text_config.rope_scaling (or rope_parameters) is missing"),
        ("/text_config/rope_scaling/rope_theta", json!(7), "rope_theta is given twice and differs: 7 and 5000000"),
        (
            "/text_config/rope_scaling/rope_type",
            json!("linear"),
            "text_config.rope_scaling.rope_type must be \"default\" or \"yarn\"",
        ),
        (
            "/text_config/rope_scaling/mrope_interleaved",
            json!(false),
            "mrope_interleaved is false, but Qwen3-VL interleaves the axes",
        ),
        (
            "/text_config/rope_scaling/mrope_section",
            json!([6, 5, 6]),
            "mrope_section is [6, 5, 6], must be three numbers that sum to half of head_dim (32)",
        ),
        ("/text_config/rope_scaling/mrope_section", json!([16]), "mrope_section is [16], must be three"),
        ("/text_config/rope_scaling/mrope_section", Value::Null, "mrope_section is missing, must be three"),
        (
            "/text_config/rope_parameters",
            json!({"rope_theta": 1e4}),
            "both rope_parameters and rope_scaling, and they differ",
        ),
        ("/text_config/num_experts", Value::Null, "text_config.num_local_experts is missing"),
        ("/text_config/num_local_experts", json!(9), "both num_experts (8) and num_local_experts (9), and they differ"),
        ("/text_config/num_experts_per_tok", json!(9), "num_experts_per_tok is 9, more than the 8 experts"),
        (
            "/text_config/mlp_only_layers",
            json!([4]),
            "text_config.mlp_only_layers is 4, must be a whole number from 0 to 3",
        ),
        (
            "/text_config/eos_token_id",
            json!(1280),
            "text_config.eos_token_id is 1280, must be a whole number from 0 to 1279",
        ),
        (
            "/vision_config/hidden_act",
            json!("quick_gelu"),
            "vision_config.hidden_act is \"quick_gelu\", must be \"gelu_pytorch_tanh\"",
        ),
        (
            "/vision_config/num_heads",
            json!(5),
            "vision_config.hidden_size is 64, must be a multiple of 4 times num_heads (5)",
        ),
        (
            "/vision_config/num_position_embeddings",
            json!(2305),
            "num_position_embeddings is 2305, must be a square number",
        ),
        ("/vision_config/in_channels", json!(4), "vision_config.in_channels is 4, must be 3"),
        (
            "/vision_config/out_hidden_size",
            json!(64),
            "out_hidden_size is 64, must equal text_config.hidden_size (128)",
        ),
        (
            "/vision_config/deepstack_visual_indexes",
            json!([1, 6]),
            "deepstack_visual_indexes is 6, must be a whole number from 0 to 5",
        ),
        (
            "/vision_config/deepstack_visual_indexes",
            json!([3, 1]),
            "deepstack_visual_indexes is [3, 1], must be increasing",
        ),
        (
            "/vision_config/deepstack_visual_indexes",
            json!([0, 1, 2, 3, 4]),
            "has 5 entries, more than the 4 text layers",
        ),
        ("/vision_config/deepstack_visual_indexes", Value::Null, "deepstack_visual_indexes is missing"),
        ("/vision_config", Value::Null, "vision_config is missing"),
        ("/text_config", json!(1), "text_config is 1, must be an object"),
        ("/image_token_id", json!(1213), "image_token_id and video_token_id are the same token"),
        ("/image_token_id", Value::Null, "image_token_id is missing"),
        ("/video_token_id", json!(5000), "video_token_id is 5000, must be a whole number from 0 to 1279"),
    ] {
        let text = error(&changed(pointer, value));
        assert!(text.contains(expected), "{pointer}: {text}");
        assert!(text.starts_with("config.json cannot be used:\n  "), "{text}");
    }
}

#[test]
fn all_problems_are_listed_at_once() {
    let mut config = changed("/text_config/hidden_size", json!(0));
    config["vision_config"]["in_channels"] = json!(4);
    config["image_token_id"] = Value::Null;
    let ConfigError::Invalid(problems) = Config::from_json(&config.to_string()).unwrap_err() else {
        panic!("another error");
    };
    assert!(problems.len() >= 3, "{problems:?}");
}

#[test]
fn layers_without_experts_follow_step_and_list() {
    let mut config = changed("/text_config/decoder_sparse_step", json!(2));
    config["text_config"]["mlp_only_layers"] = json!([1]);
    let text = Config::from_json(&config.to_string()).unwrap().text;
    let sparse: Vec<bool> = (0..4).map(|layer| text.is_moe_layer(layer)).collect();
    assert_eq!(sparse, [false, false, false, true]);
}

#[test]
fn published_axes_are_interleaved_with_a_temporal_tail() {
    let rope = published_config("8B").unwrap().text.rope;
    let axes: Vec<usize> = (0..64).map(|k| rope.axis_of_frequency(k)).collect();
    assert_eq!(axes[..6], [0, 1, 2, 0, 1, 2]);
    assert_eq!(axes[57..], [0, 1, 2, 0, 0, 0, 0]);
    for (axis, count) in [24, 20, 20].into_iter().enumerate() {
        assert_eq!(axes.iter().filter(|found| **found == axis).count(), count);
    }
}

/// SHA-256 over the little-endian bits.
fn hash(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes of `inv_freq` of transformers 5.23 on torch 2.15 (x86 with AVX2 or AVX-512).
#[test]
fn frequencies_equal_those_of_torch_bit_for_bit() {
    let text = |theta, head_dim, scaling| {
        let rope = RopeConfig { theta, mrope_section: [0; 3], scaling };
        hash(&rope.inverse_frequencies(head_dim))
    };
    let yarn = |factor: f64, context, (beta_fast, beta_slow), truncate| {
        Some(YarnConfig {
            factor,
            original_max_position_embeddings: context,
            beta_fast,
            beta_slow,
            attention_factor: 1.0,
            truncate,
        })
    };
    let published = "29fc897bbb1fda6b314c1bcffa10e39b067913f538e4f07ed7cbd223b84c4cbf";
    assert_eq!(text(5e6, 128, None), published);
    assert_eq!(text(5e6, 32, None), "4af4c11f9e26108d0e8da63c1c86cecb9a9343934304d06ed6e8bd8d58683a27");
    assert_eq!(text(1e4, 32, None), "9cc63b858a37a16bf14e559754d6fee5f50ae74aabfce29fec9097b70902849c");
    assert_eq!(text(1e4, 128, None), "4b659c349432de9f79dd9cb4ee360c56e20be3809e01d4bbccbf2ebeae925c3d");
    assert_eq!(
        text(5e6, 128, yarn(3.0, 262_144, (32.0, 1.0), true)),
        "5fb1c323da105fa083de36f0825f91db33ff75634632bf093b7d8c473f137bed"
    );
    assert_eq!(
        text(5e6, 32, yarn(3.0, 262_144, (32.0, 1.0), true)),
        "63cfb1627d31461b1acb61468a4a95f4826bce9b2ac0515d7349d9f689fae3fd"
    );
    assert_eq!(
        text(5e6, 128, yarn(4.0, 4096, (16.0, 2.0), false)),
        "563cb8104b1f712b682169e2a96d98d74fe8e8ddd73563eac965d6eb6860f4fd"
    );
    let vision = |size| hash(&published_config(size).unwrap().vision.inverse_frequencies());
    assert_eq!(vision("4B"), "9cc63b858a37a16bf14e559754d6fee5f50ae74aabfce29fec9097b70902849c");
    assert_eq!(vision("8B"), "e5528a065c8c3f2275e2641890efb48fd78a047c8d82e5e9ffae818931b9a4a4");
}

#[test]
fn yarn_defaults_are_those_of_transformers() {
    let mut config = tiny("moe");
    config["text_config"]["rope_scaling"] =
        json!({"rope_type": "yarn", "factor": 3.0, "mrope_section": [6, 5, 5], "mrope_interleaved": true});
    let rope = Config::from_json(&config.to_string()).unwrap().text.rope;
    let yarn = rope.scaling.clone().unwrap();
    assert_eq!(yarn.original_max_position_embeddings, 262_144);
    assert_eq!((yarn.beta_fast, yarn.beta_slow, yarn.truncate), (32.0, 1.0, true));
    assert_eq!(yarn.attention_factor, 1.109_861_228_866_811);
    assert_eq!(rope.attention_factor(), 1.109_861_2);
    config["text_config"]["rope_scaling"]["factor"] = Value::Null;
    assert!(error(&config).contains("text_config.rope_scaling.factor is missing"));
}
