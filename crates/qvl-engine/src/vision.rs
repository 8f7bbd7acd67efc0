use std::path::Path;

use qvl_checkpoint::{Config, Grid};

use crate::{EngineError, EngineOptions, Features, cpu, ort};

/// A vision graph by itself, without the package around it.
///
/// [`Engine::encode`](crate::Engine::encode) is what a whole package does.
pub struct VisionTower {
    graph: VisionGraph,
    config: Config,
}

/// The graph on the engine that the options name.
enum VisionGraph {
    Cpu(Box<cpu::VisionGraph>),
    Ort(ort::VisionGraph),
}

impl VisionTower {
    /// Opens the graph in the file `path`, of a model with this configuration, with the engine that the options name.
    ///
    /// # Errors
    /// As [`open`](crate::open).
    pub fn open(path: &Path, config: &Config, options: &EngineOptions) -> Result<Self, EngineError> {
        let graph = if options.uses_ort() {
            VisionGraph::Ort(ort::VisionGraph::open(path, options)?)
        } else {
            VisionGraph::Cpu(Box::new(cpu::VisionGraph::open(path, config, options)?))
        };
        Ok(Self { graph, config: config.clone() })
    }

    /// Features of pictures and videos, as [`Engine::encode`](crate::Engine::encode).
    ///
    /// # Errors
    /// If the grids do not fit the pixel values or cannot be merged, or the graph fails.
    pub fn encode(&mut self, pixel_values: &[f32], grids: &[Grid]) -> Result<Features, EngineError> {
        match &mut self.graph {
            VisionGraph::Cpu(graph) => graph.encode(pixel_values, grids, &self.config),
            VisionGraph::Ort(graph) => graph.encode(pixel_values, grids, &self.config),
        }
    }
}
