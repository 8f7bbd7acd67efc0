//! How far pictures have come in the vision tower.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::vec;

use qvl_checkpoint::{Grid, VisionConfig};

use super::vision_block::Scratch;
use super::vision_positions::FramePositions;
use crate::Features;

/// Patches that go through the tower at once, where a frame has fewer: enough to unpack weights seldom, and few enough for
/// a long video to take no more memory than a large picture.
const PATCHES: usize = 4096;

/// Pictures and videos on their way through the tower.
#[derive(Debug)]
pub(crate) struct TowerPass {
    /// What has yet to enter the tower.
    pub(super) groups: vec::IntoIter<Group>,
    /// What is in it.
    pub(super) frames: Option<Frames>,
    /// Of what has left it.
    pub(super) features: Features,
    /// Memory for a block's rows, gone with the last pass that shares it, even if that is never ended.
    pub(super) scratch: Arc<Mutex<Option<Scratch>>>,
}

/// Frames of one picture or video that go through the tower together: they do not see each other, and can do so in any
/// company.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// The whole picture's.
    pub(super) grid: Grid,
    /// The frames' pixel values, among those of all pictures.
    pub(super) values: Range<usize>,
}

/// Frames in the tower.
#[derive(Debug)]
pub(super) struct Frames {
    /// The residual stream, [patches, hidden].
    pub(super) x: Vec<f32>,
    pub(super) positions: FramePositions,
    /// [merged patches, feature] each: the merged features, which come last, then those of DeepStack.
    pub(super) parts: Vec<Vec<f32>>,
    /// The block that comes next.
    pub(super) block: usize,
}

impl TowerPass {
    /// The beginning, for pictures with these grids; a feature has `width` values.
    pub(super) fn new(
        grids: &[Grid],
        width: usize,
        config: &VisionConfig,
        scratch: Arc<Mutex<Option<Scratch>>>,
    ) -> Self {
        let rows = grids.iter().map(|grid| grid.merged(config.spatial_merge_size)).sum();
        let features = Features { rows, width, data: Vec::with_capacity(rows * width) };
        Self { groups: groups(grids, config.patch_len()).into_iter(), frames: None, features, scratch }
    }
}

/// All frames, in order; a patch has `patch_len` pixel values.
fn groups(grids: &[Grid], patch_len: usize) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut first = 0;
    for &grid in grids {
        let frame = grid.h * grid.w;
        let end = first + grid.patches();
        let together = (PATCHES / frame).max(1) * frame;
        for start in (first..end).step_by(together) {
            let patches = start..end.min(start + together);
            groups.push(Group { grid, values: patches.start * patch_len..patches.end * patch_len });
        }
        first = end;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_frames_go_together_and_pictures_do_not() {
        let [clip, picture] = [Grid { t: 5, h: 32, w: 64 }, Grid { t: 1, h: 2, w: 4 }];
        let large = Grid { t: 1, h: 100, w: 50 };
        let expected = [(clip, 0..4096), (clip, 4096..8192), (clip, 8192..10240), (picture, 10240..10248)];
        let expected = expected.map(|(grid, patches)| Group { grid, values: patches.start * 3..patches.end * 3 });
        assert_eq!(groups(&[clip, picture], 3), expected);
        assert_eq!(groups(&[large], 2), [Group { grid: large, values: 0..10_000 }]);
    }
}
