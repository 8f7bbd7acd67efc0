//! The vision graph: patches to features.

use std::path::Path;

use ort::session::{NoSelectedOutputs, RunOptions, Session};
use ort::value::TensorElementType;
use qvl_checkpoint::{Config, Grid};
use qvl_package::names;

use super::opener::{Contract, Opener};
use super::tensor;
use crate::{EngineError, Features};

/// The vision graph.
pub(super) struct VisionEncoder {
    session: Session,
    /// Type of the pixel values.
    float: TensorElementType,
    run_options: RunOptions<NoSelectedOutputs>,
}

impl VisionEncoder {
    pub(super) fn open(opener: &Opener, path: &Path) -> Result<Self, EngineError> {
        let session = opener.open(path)?;
        let inputs = Contract::inputs(path, &session);
        let float = inputs.float(names::PIXEL_VALUES)?;
        inputs.int64(names::IMAGE_GRID_THW)?;
        inputs.count(2)?;
        Contract::outputs(path, &session).float(names::IMAGE_FEATURES)?;
        let run_options = shrinking().map_err(|reason| EngineError::Open { path: path.to_path_buf(), reason })?;
        Ok(Self { session, float, run_options })
    }

    /// Features of the pictures; the arguments have been [checked](crate::pixel_values::check).
    pub(super) fn encode(
        &mut self,
        pixel_values: &[f32],
        grids: &[Grid],
        config: &Config,
    ) -> Result<Features, EngineError> {
        let failed = |reason| EngineError::Run { graph: "vision", reason };
        let patch = config.vision.patch_len();
        let sides = grids.iter().flat_map(|g| [g.t as i64, g.h as i64, g.w as i64]).collect();
        let sides = tensor::from_i64([grids.len(), 3], sides).map_err(failed)?;
        let pixels = tensor::from_f32(self.float, [pixel_values.len() / patch, patch], pixel_values).map_err(failed)?;
        let inputs = ort::inputs![names::PIXEL_VALUES => pixels, names::IMAGE_GRID_THW => sides];
        let outputs = self.session.run_with_options(inputs, &self.run_options).map_err(failed)?;
        let features =
            outputs.get(names::IMAGE_FEATURES).ok_or_else(|| failed(ort::Error::new("it gave no features")))?;
        let (shape, data) = tensor::to_f32(features).map_err(failed)?;
        let rows = grids.iter().map(|grid| grid.merged(config.vision.spatial_merge_size)).sum();
        let width = config.packed_width();
        if shape != [rows as i64, width as i64] {
            let expected = format!("[{rows}, {width}]");
            return Err(EngineError::Shape { graph: "vision", found: shape, expected });
        }
        Ok(Features { rows, width, data })
    }
}

/// Options for runs that take much memory and are not soon repeated: what the run took is given back after it.
pub(super) fn shrinking() -> ort::Result<RunOptions<NoSelectedOutputs>> {
    let mut options = RunOptions::new()?;
    options.set("memory.enable_memory_arena_shrinkage", "cpu:0")?;
    Ok(options)
}
