//! Which size a picture or a video frame is brought to before it is cut into patches (reference/SPEC.md §1.2, §2.2, §2.5).

use crate::ImageError;

/// No side may be more than this many times the other.
const MAX_ASPECT: usize = 200;

/// The largest budget accepted, in pixels: what it yields must fit in memory whatever a configuration file says.
const BUDGET_CEILING: u64 = 1 << 28;

/// What one video frame may have at most when frames are capped (reference/SPEC.md §2.5), in pixels.
const FRAME_CAP: u64 = 768 * 32 * 32;

/// Bounds for the area of the resized picture, in pixels.
///
/// For a video the unit is pixels times frames: the sum over all its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct PixelBudget {
    /// Smaller pictures are enlarged to at least this area.
    pub min_pixels: u64,
    /// Larger pictures are shrunk to at most this area.
    pub max_pixels: u64,
}

impl PixelBudget {
    /// What the published checkpoints use for pictures: 64 to 16384 tokens.
    pub const IMAGE: Self = Self { min_pixels: 65_536, max_pixels: 16_777_216 };

    /// What the published checkpoints use for videos, over all frames.
    pub const VIDEO: Self = Self { min_pixels: 4_096, max_pixels: 25_165_824 };

    /// Checks that the bounds are in order and not absurd.
    ///
    /// # Errors
    /// [`ImageError::BadBudget`].
    pub fn check(&self) -> Result<(), ImageError> {
        let reason = if self.max_pixels == 0 {
            "the upper bound must be above 0"
        } else if self.min_pixels > self.max_pixels {
            "the lower bound is above the upper bound"
        } else if self.max_pixels > BUDGET_CEILING {
            "the upper bound is above 268435456 pixels"
        } else {
            return Ok(());
        };
        Err(ImageError::BadBudget { min: self.min_pixels, max: self.max_pixels, reason })
    }

    /// The budget of a video of `frames` frames none of which may exceed 768 tokens, unless the lower bound asks for more.
    #[must_use]
    pub fn capped_per_frame(self, frames: usize) -> Self {
        let frames = frames.max(1) as u64;
        // 5 % above the lower bound, the product truncated as the reference does.
        let least = (self.min_pixels as f64 * 1.05) as u64;
        let per_frame = FRAME_CAP.min(self.max_pixels / frames).max(least);
        Self { min_pixels: self.min_pixels, max_pixels: per_frame.saturating_mul(frames) }
    }
}

/// The size `(height, width)` that a picture of `height` by `width` pixels is resized to.
///
/// Both are multiples of `factor` (patch size times merge size), the area is within the budget where the multiples allow
/// it, and the aspect ratio is kept as nearly as possible. Halves round to even, all in `f64`.
///
/// # Errors
/// [`ImageError::AspectRatio`], [`ImageError::NoPixels`], [`ImageError::BadBudget`].
pub fn smart_resize(
    height: usize,
    width: usize,
    factor: usize,
    budget: &PixelBudget,
) -> Result<(usize, usize), ImageError> {
    fit(1, height, width, factor, budget, 1)
}

/// The size `(height, width)` that each of `frames` frames is resized to; the budget counts all frames together.
///
/// `temporal` is the number of frames in one patch. Frames narrower or lower than `factor` are enlarged first.
///
/// # Errors
/// As [`smart_resize`], and [`ImageError::TooFewFrames`] for fewer than `temporal` frames.
pub fn smart_resize_video(
    frames: usize,
    height: usize,
    width: usize,
    temporal: usize,
    factor: usize,
    budget: &PixelBudget,
) -> Result<(usize, usize), ImageError> {
    if frames < temporal {
        return Err(ImageError::TooFewFrames { frames });
    }
    if height == 0 || width == 0 {
        return Err(ImageError::NoPixels { width, height });
    }
    let (mut height, mut width) = (height, width);
    if height < factor || width < factor {
        let scale = (factor as f64 / height as f64).max(factor as f64 / width as f64);
        height = (height as f64 * scale) as usize;
        width = (width as f64 * scale) as usize;
    }
    fit(frames, height, width, factor, budget, temporal)
}

/// Rounds to multiples, then shrinks or enlarges when the rounded volume leaves the budget.
///
/// The comparison uses the frame count rounded to whole patches, the scale the true one, as the reference does.
fn fit(
    frames: usize,
    height: usize,
    width: usize,
    factor: usize,
    budget: &PixelBudget,
    temporal: usize,
) -> Result<(usize, usize), ImageError> {
    budget.check()?;
    if height == 0 || width == 0 || factor == 0 {
        return Err(ImageError::NoPixels { width, height });
    }
    if height.max(width) > height.min(width).saturating_mul(MAX_ASPECT) {
        return Err(ImageError::AspectRatio { width, height });
    }
    let rounded = (round_to(height, factor), round_to(width, factor));
    let patched_frames = round_to(frames, temporal);
    let volume =
        [rounded.0, rounded.1].into_iter().fold(patched_frames as u128, |n, side| n.saturating_mul(side as u128));
    let true_volume = frames as f64 * height as f64 * width as f64;
    let factor_f = factor as f64;
    if volume > u128::from(budget.max_pixels) {
        let beta = (true_volume / budget.max_pixels as f64).sqrt();
        let shrink = |side: usize| ((side as f64 / beta / factor_f) as usize).max(1).saturating_mul(factor);
        Ok((shrink(height), shrink(width)))
    } else if volume < u128::from(budget.min_pixels) {
        let beta = (budget.min_pixels as f64 / true_volume).sqrt();
        let enlarge = |side: usize| ((side as f64 * beta / factor_f).ceil() as usize).saturating_mul(factor);
        Ok((enlarge(height), enlarge(width)))
    } else {
        // Without a lower bound a thin side may round to nothing.
        Ok((rounded.0.max(factor), rounded.1.max(factor)))
    }
}

/// The multiple of `unit` nearest to `value`; halves go to the even multiple.
fn round_to(value: usize, unit: usize) -> usize {
    ((value as f64 / unit as f64).round_ties_even() as usize).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples() {
        let size = |h, w| smart_resize(h, w, 32, &PixelBudget::IMAGE).unwrap();
        assert_eq!(size(224, 224), (256, 256));
        assert_eq!(size(300, 400), (288, 384)); // 9.375 and 12.5 blocks: the half goes to 12
        assert_eq!(size(1, 1), (256, 256));
        assert_eq!(size(10, 2000), (32, 3648));
        assert_eq!(size(20_000, 20_000), (4096, 4096));
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let text = |h, w, budget| smart_resize(h, w, 32, &budget).unwrap_err().to_string();
        assert_eq!(
            text(1, 100_000, PixelBudget::IMAGE),
            "the picture is 100000x1: one side is more than 200 times the other, which the model cannot take; crop it or cut it into parts"
        );
        assert_eq!(text(0, 5, PixelBudget::IMAGE), "the picture has no pixels (5x0)");
        let reversed = PixelBudget { min_pixels: 9, max_pixels: 8 };
        assert_eq!(text(5, 5, reversed), "pixel budget 9..8: the lower bound is above the upper bound");
        let absurd = PixelBudget { min_pixels: 0, max_pixels: u64::MAX };
        assert!(text(5, 5, absurd).contains("above 268435456 pixels"));
        assert!(smart_resize(1, 200, 32, &PixelBudget::IMAGE).is_ok());
        assert!(smart_resize(1, 201, 32, &PixelBudget::IMAGE).is_err());
    }

    #[test]
    fn one_frame_is_no_video() {
        let error = smart_resize_video(1, 64, 64, 2, 32, &PixelBudget::VIDEO).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a video needs at least 2 frames, this one gives 1; give a single frame as a picture"
        );
    }

    #[test]
    fn cap_per_frame() {
        // A long video: its own share is below the cap.
        let long = PixelBudget::VIDEO.capped_per_frame(768);
        assert_eq!(long.max_pixels, 25_165_824 / 768 * 768);
        // A short one: 768 tokens a frame.
        let short = PixelBudget::VIDEO.capped_per_frame(4);
        assert_eq!(short.max_pixels, 786_432 * 4);
        // The lower bound wins, with 5 % on top.
        let floor = PixelBudget { min_pixels: 1_001, max_pixels: 2_000 };
        assert_eq!(floor.capped_per_frame(4).max_pixels, 1_051 * 4);
    }
}
