//! Reads both dialects of `config.json` and checks every value.

use std::cell::RefCell;

use serde_json::Value;

use super::fields::{Fields, Problems};
use super::{Config, ConfigError, ModelType, MoeConfig, TextConfig, VisionConfig, rope};

/// Caps far above any published size. Their products stay below 2^63, so shape arithmetic on a checked [`Config`]
/// cannot overflow.
mod cap {
    pub(super) const VOCAB: usize = 1 << 24;
    pub(super) const WIDTH: usize = 1 << 16;
    pub(super) const INNER: usize = 1 << 20;
    pub(super) const LAYERS: usize = 1 << 10;
    pub(super) const HEADS: usize = 1 << 10;
    pub(super) const HEAD_DIM: usize = 1 << 10;
    pub(super) const EXPERTS: usize = 1 << 12;
    pub(super) const CONTEXT: usize = 1 << 28;
    pub(super) const PATCH: usize = 256;
    pub(super) const MERGE: usize = 16;
    pub(super) const POSITIONS: usize = 1 << 20;
}

pub(super) fn from_json(text: &str) -> Result<Config, ConfigError> {
    let root: Value = serde_json::from_str(text).map_err(ConfigError::Syntax)?;
    let model_type = model_type(&root)?;
    refuse_quantized(&root)?;

    let problems = Problems::default();
    let config = root.as_object().and_then(|map| whole(model_type, &Fields::new("", map, &problems)));
    let problems = RefCell::into_inner(problems);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(ConfigError::Invalid(problems)),
    }
}

fn model_type(root: &Value) -> Result<ModelType, ConfigError> {
    let value = root.get("model_type");
    match value.and_then(Value::as_str) {
        Some("qwen3_vl") => Ok(ModelType::Dense),
        Some("qwen3_vl_moe") => Ok(ModelType::Moe),
        _ => Err(ConfigError::UnknownModelType {
            found: value.map_or("missing".to_owned(), |value| value.to_string().chars().take(80).collect()),
        }),
    }
}

fn refuse_quantized(root: &Value) -> Result<(), ConfigError> {
    let places = [Some(root), root.get("text_config")];
    let found = places
        .into_iter()
        .flatten()
        .flat_map(|place| ["quantization_config", "compression_config"].map(|key| place.get(key)))
        .flatten()
        .find(|value| !value.is_null());
    found.map_or(Ok(()), |value| {
        let method = value.get("quant_method").and_then(Value::as_str);
        Err(ConfigError::Quantized { method: method.unwrap_or("unknown method").chars().take(80).collect() })
    })
}

fn whole(model_type: ModelType, root: &Fields<'_>) -> Option<Config> {
    let text_fields = object_or_problem(root, "text_config")?;
    let vision_fields = object_or_problem(root, "vision_config")?;
    let text = text(model_type, &text_fields);
    let vision = vision(&vision_fields, &text);
    let token = |key| root.required_token(key, text.vocab_size);
    let config = Config {
        model_type,
        image_token_id: token("image_token_id"),
        video_token_id: token("video_token_id"),
        vision_start_token_id: token("vision_start_token_id"),
        vision_end_token_id: token("vision_end_token_id"),
        // transformers 5 writes `true` into text_config whatever the model does, so the top level goes first.
        tie_word_embeddings: root
            .flag("tie_word_embeddings")
            .or_else(|| text_fields.flag("tie_word_embeddings"))
            .unwrap_or(false),
        text,
        vision,
    };
    if config.image_token_id == config.video_token_id {
        root.problem("image_token_id and video_token_id are the same token".to_owned());
    }
    Some(config)
}

fn object_or_problem<'a>(root: &Fields<'a>, key: &'static str) -> Option<Fields<'a>> {
    if root.value(key).is_none() {
        root.problem(format!("{key} is missing"));
    }
    root.object(key, key)
}

fn text(model_type: ModelType, fields: &Fields<'_>) -> TextConfig {
    fields.expect_text("hidden_act", "silu");
    if fields.flag("attention_bias") == Some(true) {
        fields.problem("text_config.attention_bias is true, but Qwen3-VL has no attention bias".to_owned());
    }
    let vocab_size = fields.count("vocab_size", cap::VOCAB);
    let num_attention_heads = fields.count("num_attention_heads", cap::HEADS);
    let num_key_value_heads = fields.count("num_key_value_heads", cap::HEADS);
    if !num_attention_heads.is_multiple_of(num_key_value_heads) {
        fields.problem(format!(
            "text_config.num_attention_heads is {num_attention_heads}, must be a multiple of num_key_value_heads \
             ({num_key_value_heads})"
        ));
    }
    let num_hidden_layers = fields.count("num_hidden_layers", cap::LAYERS);
    let head_dim = fields.count("head_dim", cap::HEAD_DIM);
    let max_position_embeddings = fields.count("max_position_embeddings", cap::CONTEXT);
    TextConfig {
        vocab_size,
        hidden_size: fields.count("hidden_size", cap::WIDTH),
        intermediate_size: fields.count("intermediate_size", cap::INNER),
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        rms_norm_eps: fields.required_positive("rms_norm_eps"),
        max_position_embeddings,
        rope: rope::read(fields, head_dim, max_position_embeddings),
        moe: (model_type == ModelType::Moe).then(|| moe(fields, num_hidden_layers)),
        bos_token_id: fields.token("bos_token_id", vocab_size),
        eos_token_id: fields.token("eos_token_id", vocab_size),
    }
}

fn moe(fields: &Fields<'_>, num_hidden_layers: usize) -> MoeConfig {
    let (hub, saved) = ("num_experts", "num_local_experts");
    let key = if fields.value(hub).is_some() { hub } else { saved };
    if let (Some(first), Some(second)) = (fields.value(hub), fields.value(saved))
        && first != second
    {
        fields.problem(format!("text_config has both {hub} ({first}) and {saved} ({second}), and they differ"));
    }
    let num_experts = fields.count(key, cap::EXPERTS);
    let num_experts_per_tok = fields.count("num_experts_per_tok", cap::EXPERTS);
    if num_experts_per_tok > num_experts {
        fields.problem(format!(
            "text_config.num_experts_per_tok is {num_experts_per_tok}, more than the {num_experts} experts"
        ));
    }
    MoeConfig {
        num_experts,
        num_experts_per_tok,
        moe_intermediate_size: fields.count("moe_intermediate_size", cap::INNER),
        decoder_sparse_step: fields.count_or("decoder_sparse_step", cap::LAYERS, 1),
        mlp_only_layers: fields.counts("mlp_only_layers", num_hidden_layers - 1, num_hidden_layers).unwrap_or_default(),
    }
}

fn vision(fields: &Fields<'_>, text: &TextConfig) -> VisionConfig {
    fields.expect_text("hidden_act", "gelu_pytorch_tanh");
    let depth = fields.count("depth", cap::LAYERS);
    let indexes = fields.counts("deepstack_visual_indexes", depth - 1, depth);
    if indexes.is_none() {
        fields.problem("vision_config.deepstack_visual_indexes is missing".to_owned());
    }
    let vision = VisionConfig {
        hidden_size: fields.count("hidden_size", cap::WIDTH),
        intermediate_size: fields.count("intermediate_size", cap::INNER),
        depth,
        num_heads: fields.count("num_heads", cap::HEADS),
        patch_size: fields.count("patch_size", cap::PATCH),
        temporal_patch_size: fields.count("temporal_patch_size", cap::MERGE),
        spatial_merge_size: fields.count("spatial_merge_size", cap::MERGE),
        in_channels: fields.count("in_channels", cap::MERGE),
        num_position_embeddings: fields.count("num_position_embeddings", cap::POSITIONS),
        out_hidden_size: fields.count("out_hidden_size", cap::WIDTH),
        deepstack_visual_indexes: indexes.unwrap_or_default(),
    };
    for problem in vision_problems(&vision, text) {
        fields.problem(format!("vision_config.{problem}"));
    }
    vision
}

/// What is wrong between the values, each being right by itself.
fn vision_problems(vision: &VisionConfig, text: &TextConfig) -> Vec<String> {
    let mut problems = Vec::new();
    let (width, heads) = (vision.hidden_size, vision.num_heads);
    if !width.is_multiple_of(4 * heads) {
        problems.push(format!(
            "hidden_size is {width}, must be a multiple of 4 times num_heads ({heads}), so that two rotary axes fit a head"
        ));
    }
    let side = vision.grid_side();
    if side * side != vision.num_position_embeddings {
        problems
            .push(format!("num_position_embeddings is {}, must be a square number", vision.num_position_embeddings));
    }
    if vision.in_channels != 3 {
        problems.push(format!("in_channels is {}, must be 3", vision.in_channels));
    }
    if vision.out_hidden_size != text.hidden_size {
        problems.push(format!(
            "out_hidden_size is {}, must equal text_config.hidden_size ({})",
            vision.out_hidden_size, text.hidden_size
        ));
    }
    let indexes = &vision.deepstack_visual_indexes;
    if !indexes.is_sorted_by(|a, b| a < b) {
        problems.push(format!("deepstack_visual_indexes is {indexes:?}, must be increasing"));
    }
    if indexes.len() > text.num_hidden_layers {
        problems.push(format!(
            "deepstack_visual_indexes has {} entries, more than the {} text layers that could take them",
            indexes.len(),
            text.num_hidden_layers
        ));
    }
    problems
}
