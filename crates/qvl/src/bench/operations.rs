//! How much arithmetic the model asks for: two operations for each multiply-add of its matrices and of attention.
//!
//! Counted is what the results need, whatever an engine does. Norms, activations, rotary embedding and the softmax are
//! left out; they are about a thousandth. Floating point, as the products of large dimensions exceed 64 bits.

use qvl_checkpoint::{Config, Grid, TextConfig, VisionConfig};
use qvl_package::LogitsRows;

/// Operations of reading a prompt of `tokens` text tokens into an empty sequence (SPEC §5).
///
/// Where only the last position's logits are asked for, the last layer needs keys and values of all tokens, and
/// everything else of the last one alone.
pub fn prefill_operations(config: &TextConfig, tokens: usize, logits: LogitsRows) -> f64 {
    let tokens = tokens as f64;
    // Token i attends to itself and the i before it.
    let all = Rows { rows: tokens, keys: tokens * (tokens + 1.0) / 2.0 };
    let last = match logits {
        LogitsRows::All => all,
        LogitsRows::Last => Rows { rows: 1.0, keys: tokens },
    };
    let layers = (0..config.num_hidden_layers).map(|layer| {
        let queries = if layer + 1 == config.num_hidden_layers { last } else { all };
        layer_multiply_adds(config, layer, tokens, queries)
    });
    let head = last.rows * config.hidden_size as f64 * config.vocab_size as f64;
    2.0 * (layers.sum::<f64>() + head)
}

/// Positions whose output is needed, and the keys that all of them together attend to.
#[derive(Debug, Clone, Copy)]
struct Rows {
    rows: f64,
    keys: f64,
}

/// Of a layer with keys and values for `tokens` positions (SPEC §5.3).
fn layer_multiply_adds(config: &TextConfig, layer: usize, tokens: f64, queries: Rows) -> f64 {
    let (hidden, query, key) = (config.hidden_size as f64, config.q_width() as f64, config.kv_width() as f64);
    let keys_and_values = tokens * 2.0 * hidden * key;
    let queries_and_output = queries.rows * 2.0 * hidden * query;
    let attention = queries.keys * 2.0 * query;
    keys_and_values + queries_and_output + attention + queries.rows * feed_forward(config, layer)
}

/// Of one token: the MLP, or the router and the chosen experts.
fn feed_forward(config: &TextConfig, layer: usize) -> f64 {
    let hidden = config.hidden_size as f64;
    match config.moe.as_ref().filter(|_| config.is_moe_layer(layer)) {
        None => 3.0 * hidden * config.intermediate_size as f64,
        Some(moe) => {
            let expert = 3.0 * hidden * moe.moe_intermediate_size as f64;
            moe.num_experts as f64 * hidden + moe.num_experts_per_tok as f64 * expert
        }
    }
}

/// Operations of encoding one picture or video of this grid (SPEC §4).
pub fn vision_operations(config: &Config, grid: Grid) -> f64 {
    let vision = &config.vision;
    let (patches, hidden) = (grid.patches() as f64, vision.hidden_size as f64);
    // The patches of a frame attend to each other.
    let keys = grid.h as f64 * grid.w as f64;
    let matrices = 4.0 * hidden * hidden + 2.0 * hidden * vision.intermediate_size as f64;
    let block = patches * (matrices + keys * 2.0 * hidden);
    let embedding = patches * vision.patch_len() as f64 * hidden;
    let mergers = (1 + config.deepstack_count()) as f64 * merger(vision, grid);
    2.0 * (embedding + vision.depth as f64 * block + mergers)
}

/// Of one merger: two layers on the merged patches.
fn merger(vision: &VisionConfig, grid: Grid) -> f64 {
    let merged = vision.hidden_size as f64 * vision.merge_unit() as f64;
    grid.merged(vision.spatial_merge_size) as f64 * merged * (merged + vision.out_hidden_size as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::inputs::tests::config;

    /// Hidden 128, 4 query and 2 key heads of 32, MLP 256, 4 layers, vocabulary 1280.
    #[test]
    fn a_dense_prompt_by_hand() {
        let text = config("dense-tied").text;
        // q, k, v, o: 128 · (128 + 64 + 64 + 128) = 49152; MLP: 3 · 128 · 256 = 98304. Three tokens attend to 1 + 2 + 3
        // keys, 2 · 128 multiply-adds each.
        let layer = 3 * (49152 + 98304) + 6 * 256;
        let all = 4 * layer + 3 * 128 * 1280;
        assert_eq!(prefill_operations(&text, 3, LogitsRows::All), f64::from(2 * all));
        // The last layer: k and v of three tokens, q, o, MLP and three keys of one.
        let last = 3 * 128 * 128 + 2 * 128 * 128 + 98304 + 3 * 256;
        assert_eq!(prefill_operations(&text, 3, LogitsRows::Last), f64::from(2 * (3 * layer + last + 128 * 1280)));
    }

    #[test]
    fn experts_count_as_often_as_they_are_chosen() {
        let text = config("moe").text;
        let moe = text.moe.clone().unwrap();
        let mut more = text.clone();
        more.moe = Some(qvl_checkpoint::MoeConfig { num_experts_per_tok: moe.num_experts_per_tok + 1, ..moe.clone() });
        let layers = (0..text.num_hidden_layers).filter(|&layer| text.is_moe_layer(layer)).count();
        assert!(layers > 0);
        let added = prefill_operations(&more, 5, LogitsRows::All) - prefill_operations(&text, 5, LogitsRows::All);
        assert_eq!(added, (layers * 5 * 2 * 3 * text.hidden_size * moe.moe_intermediate_size) as f64);
    }

    /// Hidden 64, MLP 160, 6 blocks, patches of 1536 values, merged 4 to 1, 3 DeepStack features of width 128.
    #[test]
    fn a_picture_by_hand() {
        let config = config("dense-tied");
        let embedding = 8 * 1536 * 64;
        // qkv and projection: 4 · 64²; MLP: 2 · 64 · 160; each patch attends to 8: 2 · 64 · 8.
        let block = 8 * (16384 + 20480 + 1024);
        let mergers = 4 * 2 * 256 * (256 + 128);
        let picture = 2 * (embedding + 6 * block + mergers);
        assert_eq!(vision_operations(&config, Grid { t: 1, h: 4, w: 2 }), f64::from(picture));
        // Frames do not attend to each other.
        assert_eq!(vision_operations(&config, Grid { t: 3, h: 4, w: 2 }), f64::from(3 * picture));
    }

    /// A picture of 1024x768 pixels and a prompt of 784 tokens with the published 4B size, in 10¹² operations.
    #[test]
    fn the_4b_size_by_hand() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/real/hub/config.4B-Instruct.json");
        let config = Config::read(path.as_ref()).unwrap();
        // 3072 patches: 1536 · 1024 each, 24 blocks of 12 · 1024² and attention to 3072; 4 mergers of 768 tokens.
        let picture = vision_operations(&config, Grid { t: 1, h: 48, w: 64 });
        assert_eq!(picture / 1e12, 2.960_306_208_768);
        // 36 layers of 100,925,440 weights on 784 tokens are 5.70, attention 0.18; of the last layer, keys and values
        // alone remain, which leaves out 0.16; the head adds less than 0.001.
        let prompt = prefill_operations(&config.text, 784, LogitsRows::Last);
        assert!((prompt / 1e12 - 5.72).abs() < 0.01, "{prompt}");
    }
}
