//! The vision tower: patches of any number of pictures and videos to features (§4).

use qvl_checkpoint::{Config, Grid, VisionConfig};
use qvl_kernels::Arithmetic;

use super::stored::Stored;
use super::vision_block::{Block, Layer, Merger, Scratch};
use super::vision_positions::FramePositions;
use super::weights::Weights;
use crate::{EngineError, Features};

/// Patches that go through the tower at once, where a frame has fewer: enough to unpack weights seldom, and few enough for
/// a long video to take no more memory than a large picture.
const PATCHES: usize = 4096;

/// The vision tower.
#[derive(Debug)]
pub(super) struct VisionEncoder {
    patch_embedding: Layer,
    /// The learned positions, [side², hidden].
    positions: Stored<f32>,
    blocks: Vec<Block>,
    /// In the order of their features.
    deepstack: Vec<Merger>,
    merger: Merger,
    config: VisionConfig,
    arithmetic: Arithmetic,
}

impl VisionEncoder {
    /// Takes the tower out of the vision graph's weights; with `precise` it computes in single precision throughout.
    pub(super) fn open(mut weights: Weights, config: &Config, precise: bool) -> Result<Self, EngineError> {
        let arithmetic = weights.arithmetic(precise);
        let config = config.vision.clone();
        let name = "model.visual.patch_embed.proj";
        let patch_embedding = Layer::open(&mut weights, name, config.hidden_size, config.patch_len())?;
        let table = [config.num_position_embeddings, config.hidden_size];
        let positions = weights.float32("model.visual.pos_embed.weight", &table)?;
        let blocks = (0..config.depth).map(|index| Block::open(&mut weights, &config, index));
        let blocks = blocks.collect::<Result<_, _>>()?;
        let count = config.deepstack_visual_indexes.len();
        let deepstack = (0..count).map(|index| Merger::open_deepstack(&mut weights, &config, index));
        let deepstack = deepstack.collect::<Result<_, _>>()?;
        let merger = Merger::open_last(&mut weights, &config)?;
        weights.finish()?;
        Ok(Self { patch_embedding, positions, blocks, deepstack, merger, config, arithmetic })
    }

    /// Features of the pictures; the arguments have been [checked](crate::pixel_values::check).
    pub(super) fn encode(&self, pixel_values: &[f32], grids: &[Grid]) -> Features {
        let merge = self.config.spatial_merge_size;
        let mut features = Features {
            rows: grids.iter().map(|grid| grid.merged(merge)).sum(),
            width: (1 + self.deepstack.len()) * self.config.out_hidden_size,
            data: Vec::new(),
        };
        features.data.reserve_exact(features.rows * features.width);
        let mut rest = pixel_values;
        for grid in grids {
            let (pixels, later) = rest.split_at(grid.patches() * self.config.patch_len());
            rest = later;
            let positions = FramePositions::new(*grid, &self.positions, &self.config);
            // Frames do not see each other: they can go through the tower in any company.
            let frame = grid.h * grid.w;
            let together = (PATCHES / frame).max(1) * frame;
            for pixels in pixels.chunks(together * self.config.patch_len()) {
                self.encode_frames(pixels, &positions, &mut features.data);
            }
        }
        features
    }

    /// Appends the features of whole frames, merged and DeepStack side by side in each row.
    fn encode_frames(&self, pixels: &[f32], positions: &FramePositions, out: &mut Vec<f32>) {
        let patches = pixels.len() / self.config.patch_len();
        let mut x = vec![0.0; patches * self.config.hidden_size];
        self.patch_embedding.run(pixels, &mut x, self.arithmetic);
        for frame in x.chunks_mut(positions.learned.len()) {
            frame.iter_mut().zip(&positions.learned).for_each(|(x, position)| *x += position);
        }
        let mut scratch = Scratch::new(&self.config, patches);
        let mut parts = vec![Vec::new(); 1 + self.deepstack.len()];
        for (index, block) in self.blocks.iter().enumerate() {
            block.run(&mut x, positions, self.arithmetic, &mut scratch);
            let deepstack = self.config.deepstack_visual_indexes.iter().position(|&after| after == index);
            if let Some(deepstack) = deepstack {
                parts[1 + deepstack] = self.deepstack[deepstack].run(&x, self.arithmetic);
            }
        }
        parts[0] = self.merger.run(&x, self.arithmetic);
        let width = self.config.out_hidden_size;
        for row in 0..patches / self.config.merge_unit() {
            for part in &parts {
                out.extend_from_slice(&part[row * width..][..width]);
            }
        }
    }
}
