//! Token ids to input embeddings, with features in the placeholders' place (§5.1).

use qvl_checkpoint::{Checkpoint, Config};
use qvl_onnx::{DataType, Dim, GraphBuilder, Model, Value, shape};
use qvl_package::names;

use crate::ExportError;
use crate::storage::StoragePlan;
use crate::weights::Weights;

/// The token table.
pub(crate) const TABLE: &str = "model.language_model.embed_tokens.weight";

/// Builds the embedding graph, whose features and embeddings are of the type `float`.
///
/// `input_ids` [batch, sequence] and `image_features` [features, (1+R)·H] to `inputs_embeds`
/// [batch, sequence, (1+R)·H]: each token's embedding followed by R·H zeros, and in the place of picture and video
/// placeholders the rows of features, in order. Without features, placeholders are tokens like all others: a model may
/// generate one. Otherwise there must be as many as rows.
///
/// # Errors
/// If the checkpoint lacks a tensor.
pub fn embedding<'a>(
    checkpoint: &'a Checkpoint,
    float: DataType,
    plan: &'a StoragePlan,
) -> Result<Model<'a>, ExportError> {
    let config = checkpoint.config();
    let weights = Weights { checkpoint, float, plan };
    let mut g = GraphBuilder::new();
    let ids = g.input(names::INPUT_IDS, DataType::Int64, shape!["batch_size", "sequence"])?;
    let features = g.input(names::IMAGE_FEATURES, float, shape!["features", config.packed_width()])?;
    let flat = g.reshape("flat_ids", &ids, &[-1], shape![Dim::Unknown])?;
    let rows = token_rows(&mut g, &weights, &flat)?;
    let filled = g.within("features", |g| place_features(g, config, &flat, &features, &rows))?;
    unflatten(&mut g, config, &ids, &filled)?;
    Ok(g.finish("embedding"))
}

/// Builds the embedding graph without features, for runtimes that put those in the placeholders' place themselves.
///
/// `input_ids` [batch, sequence] to `inputs_embeds` [batch, sequence, (1+R)·H] of the type `float`.
///
/// # Errors
/// If the checkpoint lacks a tensor.
pub fn embed_tokens<'a>(
    checkpoint: &'a Checkpoint,
    float: DataType,
    plan: &'a StoragePlan,
) -> Result<Model<'a>, ExportError> {
    let weights = Weights { checkpoint, float, plan };
    let mut g = GraphBuilder::new();
    let ids = g.input(names::INPUT_IDS, DataType::Int64, shape!["batch_size", "sequence"])?;
    let flat = g.reshape("flat_ids", &ids, &[-1], shape![Dim::Unknown])?;
    let rows = token_rows(&mut g, &weights, &flat)?;
    unflatten(&mut g, checkpoint.config(), &ids, &rows)?;
    Ok(g.finish("embed_tokens"))
}

/// Gives `rows` [batch · sequence, (1+R)·H] the shape of `ids` as the graph's output.
fn unflatten(g: &mut GraphBuilder<'_>, config: &Config, ids: &Value, rows: &Value) -> Result<(), ExportError> {
    let batch = g.size_of("batch", ids, 0)?;
    let sequence = g.size_of("sequence", ids, 1)?;
    let width = g.ints(&[config.packed_width() as i64])?;
    let target = g.concat("shape", &[&batch, &sequence, &width], 0, 3)?;
    let packed =
        g.reshape_to(names::INPUTS_EMBEDS, rows, &target, shape!["batch_size", "sequence", config.packed_width()])?;
    Ok(g.output(names::INPUTS_EMBEDS, &packed)?)
}

/// Embeddings of the tokens `ids` [batch · sequence] followed by zeros, [batch · sequence, (1+R)·H].
fn token_rows<'a>(g: &mut GraphBuilder<'a>, weights: &Weights<'a>, ids: &Value) -> Result<Value, ExportError> {
    let config = weights.checkpoint.config();
    let deepstack = config.packed_width() - config.text.hidden_size;
    let rows = weights.rows(g, "tokens", ids, TABLE)?;
    if deepstack == 0 {
        return Ok(rows);
    }
    let count = g.size_of("rows", &rows, 0)?;
    let width = g.ints(&[deepstack as i64])?;
    let target = g.concat("padding.shape", &[&count, &width], 0, 2)?;
    let zero = g.scalar_f32(0.0)?;
    let zero = g.cast("zero", &zero, weights.float)?;
    let padding = g.expand("padding", &zero, &target, shape![Dim::Unknown, deepstack])?;
    Ok(g.concat("rows.padded", &[&rows, &padding], 1, config.packed_width())?)
}

/// Puts the features into the rows of the placeholders among `ids` [batch · sequence], if there are any.
fn place_features(
    g: &mut GraphBuilder<'_>,
    config: &Config,
    ids: &Value,
    features: &Value,
    rows: &Value,
) -> Result<Value, ExportError> {
    let image = g.scalar_i64(config.image_token_id.into())?;
    let video = g.scalar_i64(config.video_token_id.into())?;
    let is_image = g.equal("is_image", ids, &image)?;
    let is_video = g.equal("is_video", ids, &video)?;
    let is_visual = g.or("is_visual", &is_image, &is_video)?;
    let count = g.size_of("count", features, 0)?;
    let zero = g.ints(&[0])?;
    let any = g.greater("any", &count, &zero)?;
    let replaced = g.and("replaced", &is_visual, &any)?;
    let indices = g.non_zero("places", &replaced)?;
    let indices = g.transpose("indices", &indices, &[1, 0])?;
    Ok(g.scatter_nd("filled", rows, &indices, features)?)
}
