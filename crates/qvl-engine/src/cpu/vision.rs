//! The vision tower: patches of any number of pictures and videos to features (§4).

use std::mem;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use qvl_checkpoint::{Config, Grid, VisionConfig};
use qvl_kernels::Arithmetic;

use super::stored::Stored;
use super::tower_pass::{Frames, Group, TowerPass};
use super::vision_block::{Block, Layer, Merger, Scratch};
use super::vision_positions::FramePositions;
use super::weights::Weights;
use crate::{EngineError, Features};

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
    /// Memory for a block's rows, which the passes share that there are.
    scratch: Weak<Mutex<Option<Scratch>>>,
}

impl VisionEncoder {
    /// Takes the tower out of the vision graph's weights; with `precise` it computes in single precision throughout.
    pub(super) fn open(mut weights: Weights, config: &Config, precise: bool) -> Result<Self, EngineError> {
        let arithmetic = weights.arithmetic(precise);
        let config = config.vision.clone();
        let name = "model.visual.patch_embed.proj";
        let patch_embedding = Layer::open(&mut weights, name, config.hidden_size, config.patch_len())?.in_int16();
        let table = [config.num_position_embeddings, config.hidden_size];
        let positions = weights.float32("model.visual.pos_embed.weight", &table)?;
        let blocks = (0..config.depth).map(|index| Block::open(&mut weights, &config, index));
        let blocks = blocks.collect::<Result<_, _>>()?;
        let count = config.deepstack_visual_indexes.len();
        let deepstack = (0..count).map(|index| Merger::open_deepstack(&mut weights, &config, index));
        let deepstack = deepstack.collect::<Result<_, _>>()?;
        let merger = Merger::open_last(&mut weights, &config)?;
        weights.finish()?;
        Ok(Self { patch_embedding, positions, blocks, deepstack, merger, config, arithmetic, scratch: Weak::new() })
    }

    /// The beginning of a pass for pictures with these grids.
    pub(super) fn start(&mut self, grids: &[Grid]) -> TowerPass {
        let width = (1 + self.deepstack.len()) * self.config.out_hidden_size;
        let scratch = self.scratch.upgrade().unwrap_or_default();
        self.scratch = Arc::downgrade(&scratch);
        TowerPass::new(grids, width, &self.config, scratch)
    }

    /// Runs the next block on what is in the tower, or on what enters it; gives the features when all have left it.
    ///
    /// The pixel values are those of the pass's grids, which has been [checked](crate::pixel_values::check).
    pub(super) fn advance(&mut self, pass: &mut TowerPass, pixel_values: &[f32]) -> Option<Features> {
        let entering = || Some(self.enter(&pass.groups.next()?, pixel_values));
        if let Some(mut frames) = pass.frames.take().or_else(entering) {
            // What a panic may have left is overwritten.
            let mut shared = pass.scratch.lock().unwrap_or_else(PoisonError::into_inner);
            let scratch = shared.take().filter(|scratch| scratch.fits(&frames.x));
            let mut scratch = scratch.unwrap_or_else(|| Scratch::new(&self.config, &frames.x));
            self.run_block(&mut frames, &mut scratch);
            *shared = Some(scratch);
            if frames.block < self.blocks.len() {
                pass.frames = Some(frames);
                return None;
            }
            self.leave(frames, &mut pass.features.data);
        }
        let is_over = pass.groups.as_slice().is_empty();
        is_over.then(|| {
            pass.scratch = Arc::default();
            mem::take(&mut pass.features)
        })
    }

    fn enter(&self, group: &Group, pixel_values: &[f32]) -> Frames {
        let pixels = &pixel_values[group.values.clone()];
        let positions = FramePositions::new(group.grid, &self.positions, &self.config);
        let mut x = vec![0.0; pixels.len() / self.config.patch_len() * self.config.hidden_size];
        self.patch_embedding.run(pixels, &mut x, self.arithmetic);
        for frame in x.chunks_mut(positions.learned.len()) {
            frame.iter_mut().zip(&positions.learned).for_each(|(x, position)| *x += position);
        }
        Frames { x, positions, parts: vec![Vec::new(); 1 + self.deepstack.len()], block: 0 }
    }

    fn run_block(&self, frames: &mut Frames, scratch: &mut Scratch) {
        let Frames { x, positions, parts, block } = frames;
        self.blocks[*block].run(x, positions, self.arithmetic, scratch);
        let deepstack = self.config.deepstack_visual_indexes.iter().position(|after| after == block);
        if let Some(deepstack) = deepstack {
            parts[1 + deepstack] = self.deepstack[deepstack].run(x, self.arithmetic);
        }
        *block += 1;
    }

    /// Appends the features of whole frames, merged and DeepStack side by side in each row.
    fn leave(&self, mut frames: Frames, out: &mut Vec<f32>) {
        frames.parts[0] = self.merger.run(&frames.x, self.arithmetic);
        let width = self.config.out_hidden_size;
        for row in 0..frames.parts[0].len() / width {
            for part in &frames.parts {
                out.extend_from_slice(&part[row * width..][..width]);
            }
        }
    }
}
