//! The text decoder: input embeddings to logits, with a KV cache and DeepStack (§5).

use qvl_checkpoint::Checkpoint;
use qvl_onnx::{DataType, Dim, GraphBuilder, Model, OnnxError, Value, shape};
use qvl_package::{LogitsRows, names};

use super::embedding::TABLE;
use super::text_layer::{Cache, Decoder, past_shape};
use super::text_positions::{BatchOrder, RotaryTables, take_rows};
use crate::ExportError;
use crate::storage::StoragePlan;
use crate::weights::Weights;

/// The head's own matrix.
pub(crate) const HEAD: &str = "lm_head.weight";

/// Choices about a text graph.
#[derive(Debug, Clone, Copy)]
pub struct TextGraph {
    /// Type that the graph computes in, of the KV cache and of inputs and outputs.
    pub float: DataType,
    /// Which positions get logits.
    pub logits: LogitsRows,
}

/// Builds the text graph.
///
/// `inputs_embeds` [batch, sequence, (1+R)·H], `attention_mask` [batch, past + sequence], `position_ids`
/// [3, batch, sequence] and the cache of each layer, [batch, key-value heads, past, head size], to `logits`
/// [batch, 1 or sequence, vocabulary] and the grown caches. The first H columns of the embeddings enter layer 0; DeepStack
/// part i is added after layer i, zero wherever there is no picture.
///
/// Rows of a batch may be padded on either side in the first call; later calls bring whole rows.
///
/// # Errors
/// If the checkpoint lacks a tensor.
pub fn text<'a>(
    checkpoint: &'a Checkpoint,
    choices: TextGraph,
    plan: &'a StoragePlan,
) -> Result<Model<'a>, ExportError> {
    let config = checkpoint.config();
    let weights = Weights { checkpoint, float: choices.float, plan };
    let mut g = GraphBuilder::new();
    let embeds =
        g.input(names::INPUTS_EMBEDS, choices.float, shape!["batch_size", "sequence", config.packed_width()])?;
    let mask = g.input(names::ATTENTION_MASK, DataType::Int64, shape!["batch_size", "total_length"])?;
    let position_ids = g.input(names::POSITION_IDS, DataType::Int64, shape![3, "batch_size", "sequence"])?;
    let past = (0..config.text.num_hidden_layers).map(|layer| {
        let mut input = |part| g.input(&names::past(layer, part), choices.float, past_shape(&config.text));
        Ok(Cache { key: input("key")?, value: input("value")? })
    });
    let past = past.collect::<Result<Vec<_>, OnnxError>>()?;

    let order = g.within("order", |g| BatchOrder::new(g, &mask, &embeds))?;
    let rotary = g.within("rotary", |g| RotaryTables::new(g, &config.text, &position_ids, &order, choices.float))?;
    let decoder = Decoder { weights, config: &config.text, order, rotary };
    let mut parts =
        streams(&mut g, &embeds, config.text.hidden_size, config.deepstack_count(), &decoder.order)?.into_iter();
    let mut x = parts.next().ok_or_else(|| OnnxError::UnknownValue { name: names::INPUTS_EMBEDS.into() })?;

    let layers = config.text.num_hidden_layers;
    for (layer, past) in past.iter().enumerate() {
        // With fewer layers than DeepStack features the last layer's output still meets its feature.
        let last_only = choices.logits == LogitsRows::Last && layer + 1 == layers && parts.len() == 0;
        let (y, present) = g.within(&format!("layers.{layer}"), |g| decoder.layer(g, layer, &x, past, last_only))?;
        x = match parts.next() {
            Some(feature) => g.add(&format!("layers.{layer}.deepstack"), &y, &feature)?,
            None => y,
        };
        g.output(&names::present(layer, "key"), &present.key)?;
        g.output(&names::present(layer, "value"), &present.value)?;
    }
    let logits = head(&mut g, &decoder, &x, &choices)?;
    g.output(names::LOGITS, &logits)?;
    Ok(g.finish("text"))
}

/// The parts of the embeddings in float32, in the order of computation: layer 0's input, then the DeepStack features.
fn streams(
    g: &mut GraphBuilder<'_>,
    embeds: &Value,
    hidden: usize,
    deepstack: usize,
    order: &BatchOrder,
) -> Result<Vec<Value>, ExportError> {
    let rolled = take_rows(g, "embeds", embeds, &order.rolled)?;
    let rolled = g.cast("embeds.float32", &rolled, DataType::Float32)?;
    Ok(g.split_last("embeds.part", &rolled, &vec![hidden; 1 + deepstack])?)
}

/// Final norm and logits of `x`.
fn head<'a>(
    g: &mut GraphBuilder<'a>,
    decoder: &Decoder<'a>,
    x: &Value,
    choices: &TextGraph,
) -> Result<Value, ExportError> {
    let x = match choices.logits {
        LogitsRows::All => take_rows(g, "final.unrolled", x, &decoder.order.unrolled)?,
        LogitsRows::Last if x.shape.0.get(1) != Some(&Dim::Fixed(1)) => {
            take_rows(g, "final.last", x, &decoder.order.last)?
        }
        LogitsRows::Last => x.clone(),
    };
    let x = decoder.norm(g, "final.norm", &x, "model.language_model.norm")?;
    let x = g.cast("final.typed", &x, decoder.weights.float)?;
    decoder.weights.product(g, names::LOGITS, &x, head_name(decoder.weights.checkpoint))
}

/// The tensor that is the head's matrix.
pub(crate) fn head_name(checkpoint: &Checkpoint) -> &'static str {
    if checkpoint.has_own_head() { HEAD } else { TABLE }
}
