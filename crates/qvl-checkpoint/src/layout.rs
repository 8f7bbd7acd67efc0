//! The tensors that a configuration calls for (SPEC §8).

use crate::config::{Config, ModelType, TextConfig, VisionConfig};
use crate::names::{EMBEDDING, HEAD};

/// Order of the axes of the experts' weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpertLayout {
    /// As on the Hub: `[expert, in, out]`, the product is `y·W`.
    InputMajor,
    /// As transformers 5 saves them: `[expert, out, in]`, the product is `y·Wᵀ`.
    OutputMajor,
}

/// Name and shape of one tensor of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// The Hub's name.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|side| *side as u64).product()
    }
}

/// Every tensor of the model, in the order of the modules, with the experts in the given layout.
///
/// `own_head` adds `lm_head.weight`, which models with tied embeddings lack.
pub fn expected_tensors(config: &Config, own_head: bool, layout: ExpertLayout) -> Vec<TensorSpec> {
    let mut list = List(Vec::new());
    list.vision(&config.vision);
    list.text(config, layout);
    if own_head {
        list.add(HEAD, &[config.text.vocab_size, config.text.hidden_size]);
    }
    list.0
}

struct List(Vec<TensorSpec>);

impl List {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push(TensorSpec { name: name.into(), shape: shape.to_vec() });
    }

    /// A linear layer with a bias.
    fn linear(&mut self, name: &str, out: usize, input: usize) {
        self.add(format!("{name}.weight"), &[out, input]);
        self.add(format!("{name}.bias"), &[out]);
    }

    /// A LayerNorm.
    fn norm(&mut self, name: &str, width: usize) {
        self.add(format!("{name}.weight"), &[width]);
        self.add(format!("{name}.bias"), &[width]);
    }

    fn vision(&mut self, vision: &VisionConfig) {
        let (root, width) = ("model.visual", vision.hidden_size);
        self.add(
            format!("{root}.patch_embed.proj.weight"),
            &[width, vision.in_channels, vision.temporal_patch_size, vision.patch_size, vision.patch_size],
        );
        self.add(format!("{root}.patch_embed.proj.bias"), &[width]);
        self.add(format!("{root}.pos_embed.weight"), &[vision.num_position_embeddings, width]);
        for block in (0..vision.depth).map(|i| format!("{root}.blocks.{i}")) {
            self.norm(&format!("{block}.norm1"), width);
            self.norm(&format!("{block}.norm2"), width);
            self.linear(&format!("{block}.attn.qkv"), 3 * width, width);
            self.linear(&format!("{block}.attn.proj"), width, width);
            let inner = vision.intermediate_size;
            self.linear(&format!("{block}.mlp.linear_fc1"), inner, width);
            self.linear(&format!("{block}.mlp.linear_fc2"), width, inner);
        }
        let merged = width * vision.merge_unit();
        // The main merger normalises patches before they are merged, the DeepStack mergers after.
        self.merger(&format!("{root}.merger"), width, merged, vision);
        for i in 0..vision.deepstack_visual_indexes.len() {
            let name = format!("{root}.deepstack_merger_list.{i}");
            self.merger(&name, merged, merged, vision);
        }
    }

    fn merger(&mut self, name: &str, normed: usize, merged: usize, vision: &VisionConfig) {
        self.norm(&format!("{name}.norm"), normed);
        self.linear(&format!("{name}.linear_fc1"), merged, merged);
        self.linear(&format!("{name}.linear_fc2"), vision.out_hidden_size, merged);
    }

    fn text(&mut self, config: &Config, layout: ExpertLayout) {
        let text = &config.text;
        let width = text.hidden_size;
        self.add(EMBEDDING, &[text.vocab_size, width]);
        for i in 0..text.num_hidden_layers {
            let layer = format!("model.language_model.layers.{i}");
            self.attention(&format!("{layer}.self_attn"), text);
            match &text.moe {
                Some(_) if config.model_type == ModelType::Moe && text.is_moe_layer(i) => {
                    self.experts(&format!("{layer}.mlp"), text, layout);
                }
                _ => self.mlp(&format!("{layer}.mlp"), text),
            }
            self.add(format!("{layer}.input_layernorm.weight"), &[width]);
            self.add(format!("{layer}.post_attention_layernorm.weight"), &[width]);
        }
        self.add("model.language_model.norm.weight", &[width]);
    }

    fn attention(&mut self, name: &str, text: &TextConfig) {
        let width = text.hidden_size;
        self.add(format!("{name}.q_proj.weight"), &[text.q_width(), width]);
        self.add(format!("{name}.k_proj.weight"), &[text.kv_width(), width]);
        self.add(format!("{name}.v_proj.weight"), &[text.kv_width(), width]);
        self.add(format!("{name}.o_proj.weight"), &[width, text.q_width()]);
        self.add(format!("{name}.q_norm.weight"), &[text.head_dim]);
        self.add(format!("{name}.k_norm.weight"), &[text.head_dim]);
    }

    fn mlp(&mut self, name: &str, text: &TextConfig) {
        let (width, inner) = (text.hidden_size, text.intermediate_size);
        self.add(format!("{name}.gate_proj.weight"), &[inner, width]);
        self.add(format!("{name}.up_proj.weight"), &[inner, width]);
        self.add(format!("{name}.down_proj.weight"), &[width, inner]);
    }

    fn experts(&mut self, name: &str, text: &TextConfig, layout: ExpertLayout) {
        let Some(moe) = &text.moe else { return };
        let (experts, width, inner) = (moe.num_experts, text.hidden_size, moe.moe_intermediate_size);
        let shape = |input, out| match layout {
            ExpertLayout::InputMajor => [experts, input, out],
            ExpertLayout::OutputMajor => [experts, out, input],
        };
        self.add(format!("{name}.gate.weight"), &[experts, width]);
        self.add(format!("{name}.experts.gate_up_proj"), &shape(width, 2 * inner));
        self.add(format!("{name}.experts.down_proj"), &shape(inner, width));
    }
}
