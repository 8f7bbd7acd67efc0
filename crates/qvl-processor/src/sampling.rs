//! Which frames of a video are taken, and the times they are labelled with (reference/SPEC.md §2.1, §2.6).

use crate::ImageError;

/// How many frames to take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rate {
    /// So many per second of video, within bounds.
    Fps { fps: f64, min: usize, max: usize },
    /// Exactly so many.
    Frames(usize),
}

/// Indices of the frames to take, evenly spread from the first to the last of `total`.
pub(crate) fn sample_indices(total: usize, source_fps: f64, rate: Rate) -> Result<Vec<usize>, ImageError> {
    check_fps("the video's frame rate", source_fps)?;
    if total == 0 {
        return Err(ImageError::TooFewFrames { frames: 0 });
    }
    let count = match rate {
        Rate::Fps { fps, min, max } => {
            check_fps("the sampling rate", fps)?;
            let wanted = (total as f64 / source_fps * fps) as usize;
            wanted.max(min).min(max).min(total)
        }
        Rate::Frames(count) => count,
    };
    Ok(spread(total, count))
}

/// `count` indices from 0 to `total − 1`, evenly spaced in `f64`, halves rounded to even.
fn spread(total: usize, count: usize) -> Vec<usize> {
    let last = total - 1;
    let gaps = count.saturating_sub(1).max(1);
    let step = last as f64 / gaps as f64;
    (0..count)
        .map(|i| if i > 0 && i + 1 == count { last } else { (i as f64 * step).round_ties_even() as usize })
        .collect()
}

/// The time of every group of `temporal` frames in seconds: the mean of its first and its last frame's.
///
/// The last index is repeated until the groups are full.
pub(crate) fn timestamps(indices: &[usize], fps: f64, temporal: usize) -> Vec<f64> {
    indices
        .chunks(temporal)
        .map(|group| {
            let first = group.first().copied().unwrap_or(0) as f64 / fps;
            let last = group.last().copied().unwrap_or(0) as f64 / fps;
            (first + last) / 2.0
        })
        .collect()
}

/// Refuses rates that are not finite numbers above 0.
pub(crate) fn check_fps(what: &'static str, fps: f64) -> Result<(), ImageError> {
    if fps.is_finite() && fps > 0.0 { Ok(()) } else { Err(ImageError::BadFps { what, fps }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Rate = Rate::Fps { fps: 2.0, min: 4, max: 768 };

    #[test]
    fn two_frames_a_second() {
        assert_eq!(sample_indices(37, 12.5, DEFAULT).unwrap(), [0, 9, 18, 27, 36]);
        assert_eq!(sample_indices(20, 10.0, DEFAULT).unwrap(), [0, 6, 13, 19]);
        assert_eq!(sample_indices(3, 24.0, DEFAULT).unwrap(), [0, 1, 2]);
        assert_eq!(sample_indices(1, 24.0, DEFAULT).unwrap(), [0]);
        assert_eq!(sample_indices(1_000_000, 30.0, DEFAULT).unwrap().len(), 768);
    }

    #[test]
    fn groups_are_labelled_with_their_middle() {
        assert_eq!(timestamps(&[0, 10, 20], 10.0, 2), [0.5, 2.0]);
    }

    #[test]
    fn rates_must_be_positive_numbers() {
        for fps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(sample_indices(10, fps, DEFAULT).is_err());
        }
        let error = sample_indices(10, f64::NAN, DEFAULT).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the video's frame rate is NaN; frames per second must be a finite number above 0"
        );
        let rate = Rate::Fps { fps: 0.0, min: 4, max: 768 };
        let error = sample_indices(10, 24.0, rate).unwrap_err();
        assert!(error.to_string().starts_with("the sampling rate is 0;"));
        assert!(sample_indices(0, 24.0, DEFAULT).is_err());
    }
}
