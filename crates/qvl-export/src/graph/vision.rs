//! The vision encoder: patches of any number of pictures and videos to features (§4).

use qvl_checkpoint::Checkpoint;
use qvl_onnx::{DataType, Dim, GraphBuilder, Model, Value, shape};
use qvl_package::names;

use super::vision_block::{Rotary, Tower};
use super::vision_positions::FramePatches;
use crate::ExportError;
use crate::storage::StoragePlan;
use crate::weights::Weights;

/// Element types of a vision graph.
#[derive(Debug, Clone, Copy)]
pub struct VisionGraph {
    /// Type of `pixel_values`.
    pub pixels: DataType,
    /// Type that the graph computes in.
    pub float: DataType,
    /// Type of `image_features`, which the embedding graph takes.
    pub features: DataType,
}

/// Builds the vision graph.
///
/// `pixel_values` [patches, patch] and `image_grid_thw` [images, 3] to `image_features` [features, (1+R)·H]. A loop
/// over the pictures runs the whole tower on one at a time, its frames as the batch: frames do not see each other, and
/// no mask of patches by patches is ever made.
///
/// # Errors
/// If the checkpoint lacks a tensor.
pub fn vision<'a>(
    checkpoint: &'a Checkpoint,
    types: VisionGraph,
    plan: &'a StoragePlan,
) -> Result<Model<'a>, ExportError> {
    let config = checkpoint.config();
    let weights = Weights { checkpoint, float: types.float, plan };
    let tower = Tower { weights, config: &config.vision };
    let mut g = GraphBuilder::new();
    let pixels = g.input(names::PIXEL_VALUES, types.pixels, shape!["patches", config.vision.patch_len()])?;
    let grids = g.input(names::IMAGE_GRID_THW, DataType::Int64, shape!["images", 3])?;
    // Here, and not beside the first product: ONNX Runtime drops a cast to float16 that it would undo at once on CPU.
    let pixels = g.cast("pixels", &pixels, types.float)?;

    let counts = g.reduce_product("patch_counts", &grids, 1)?;
    let counts = g.reshape("patch_counts.list", &counts, &[-1], shape!["images"])?;
    let starts = g.exclusive_sum("patch_starts", &counts)?;
    let ends = g.add("patch_ends", &starts, &counts)?;
    let images = g.size_of("images", &grids, 0)?;
    let images = g.reshape("images.count", &images, &[], shape![])?;

    let features = g.concat_loop(names::IMAGE_FEATURES, &images, "features", types.features, |g, step| {
        let step = g.reshape("step", step, &[1], shape![1])?;
        let start = g.gather("start", &starts, &step, 0)?;
        let end = g.gather("end", &ends, &step, 0)?;
        let pixels = g.slice("picture", &pixels, (&start, &end), 0, Dim::Unknown)?;
        let grid = g.gather("grid", &grids, &step, 0)?;
        let packed = picture(g, &tower, &pixels, &grid)?;
        Ok::<_, ExportError>(g.cast("features", &packed, types.features)?)
    })?;
    g.output(names::IMAGE_FEATURES, &features)?;
    Ok(g.finish("vision"))
}

/// The features of one picture or video, merged and DeepStack side by side, from its patches and its grid [1, 3].
fn picture<'a>(
    g: &mut GraphBuilder<'a>,
    tower: &Tower<'a>,
    pixels: &Value,
    grid: &Value,
) -> Result<Value, ExportError> {
    let config = tower.config;
    let sizes = g.split_last("grid.split", grid, &[1, 1, 1])?;
    let height = g.reshape("height", &sizes[1], &[], shape![])?;
    let width = g.reshape("width", &sizes[2], &[], shape![])?;
    let (learned, rotary, frame) = g.within("positions", |g| {
        let patches = FramePatches::new(g, &height, &width, config.spatial_merge_size)?;
        let table = tower.weights.float32(g, "model.visual.pos_embed.weight")?;
        let learned = patches.learned(g, &table, config.grid_side())?;
        let angles = patches.rotary_angles(g, config)?;
        let rotary = Rotary { cos: g.cos("cos", &angles)?, sin: g.sin("sin", &angles)? };
        let frame = g.size_of("frame", &learned, 0)?;
        Ok::<_, ExportError>((learned, rotary, frame))
    })?;

    let x = tower.patch_embedding(g, pixels, &frame)?;
    let mut x = g.add("embedded", &x, &learned)?;
    let mut deepstack = Vec::new();
    for index in 0..config.depth {
        x = g.within(&format!("blocks.{index}"), |g| tower.block(g, index, &x, &rotary))?;
        if let Some(i) = config.deepstack_visual_indexes.iter().position(|&block| block == index) {
            deepstack.push((i, g.within(&format!("deepstack.{i}"), |g| tower.deepstack_merger(g, i, &x))?));
        }
    }
    deepstack.sort_by_key(|(i, _)| *i);
    let merged = g.within("merger", |g| tower.merger(g, &x))?;
    let parts: Vec<&Value> = std::iter::once(&merged).chain(deepstack.iter().map(|(_, d)| d)).collect();
    Ok(g.concat("packed", &parts, 1, parts.len() * config.out_hidden_size)?)
}
