//! What every vision tower wants of its arguments.

use qvl_checkpoint::{Config, Grid};

use crate::EngineError;

/// Checks pixel values and grids against each other and the model.
pub(crate) fn check(pixel_values: &[f32], grids: &[Grid], config: &Config) -> Result<(), EngineError> {
    if grids.is_empty() {
        return Err(EngineError::NoPictures);
    }
    let merge = config.vision.spatial_merge_size;
    let mut expected = 0_usize;
    for &grid in grids {
        let Grid { t, h, w } = grid;
        if t == 0 || h == 0 || w == 0 || h % merge != 0 || w % merge != 0 {
            return Err(EngineError::Grid { grid, merge });
        }
        // Sides that overflow are more than any buffer of pixel values can fill.
        let values = [h, w, config.vision.patch_len()].iter().try_fold(t, |product, &side| product.checked_mul(side));
        expected = values.and_then(|values| expected.checked_add(values)).unwrap_or(usize::MAX);
    }
    if pixel_values.len() == expected {
        Ok(())
    } else {
        Err(EngineError::PixelValues { found: pixel_values.len(), expected })
    }
}
