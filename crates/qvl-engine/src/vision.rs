use std::path::Path;

use qvl_checkpoint::{Config, Grid};

use crate::ort::VisionGraph;
use crate::{EngineError, EngineOptions, Features};

/// A vision graph by itself, without the package around it.
///
/// [`Engine::encode`](crate::Engine::encode) is what a whole package does.
pub struct VisionTower {
    graph: VisionGraph,
    config: Config,
}

impl VisionTower {
    /// Opens the graph in the file `path`, of a model with this configuration, with ONNX Runtime.
    ///
    /// # Errors
    /// If ONNX Runtime is not there or lacks the device, or the graph does not load or has other inputs and outputs than
    /// a package's.
    pub fn open(path: &Path, config: &Config, options: &EngineOptions) -> Result<Self, EngineError> {
        Ok(Self { graph: VisionGraph::open(path, options)?, config: config.clone() })
    }

    /// Features of pictures and videos, as [`Engine::encode`](crate::Engine::encode).
    ///
    /// # Errors
    /// If the grids do not fit the pixel values or cannot be merged, or the graph fails.
    pub fn encode(&mut self, pixel_values: &[f32], grids: &[Grid]) -> Result<Features, EngineError> {
        self.graph.encode(pixel_values, grids, &self.config)
    }
}
