//! The size of one picture or video in patches.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Temporal groups, rows and columns of patches of one picture or video (`grid_thw`).
///
/// `t` is 1 for a picture; for a video it is the number of frame pairs. `h` and `w` count the raw patches, before the
/// spatial merge, and are multiples of the merge size. Written to JSON as `[t, h, w]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grid {
    /// Temporal groups.
    pub t: usize,
    /// Rows of patches.
    pub h: usize,
    /// Columns of patches.
    pub w: usize,
}

impl Grid {
    /// Number of patches `t·h·w`, the rows this grid has in `pixel_values`; saturates instead of wrapping.
    pub fn patches(&self) -> usize {
        self.t.saturating_mul(self.h).saturating_mul(self.w)
    }

    /// Number of merged patches, which is the number of placeholder tokens: `t·(h/merge)·(w/merge)`.
    ///
    /// A `merge` of zero counts as one.
    pub fn merged(&self, merge: usize) -> usize {
        let merge = merge.max(1);
        self.t.saturating_mul(self.h / merge).saturating_mul(self.w / merge)
    }
}

impl From<[usize; 3]> for Grid {
    fn from([t, h, w]: [usize; 3]) -> Self {
        Self { t, h, w }
    }
}

impl From<Grid> for [usize; 3] {
    fn from(grid: Grid) -> Self {
        [grid.t, grid.h, grid.w]
    }
}

impl Serialize for Grid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.t, self.h, self.w].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Grid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[usize; 3]>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_patches_and_tokens() {
        let grid = Grid { t: 3, h: 22, w: 30 };
        assert_eq!(grid.patches(), 1980);
        assert_eq!(grid.merged(2), 495);
        assert_eq!(Grid::from([usize::MAX, 2, 2]).patches(), usize::MAX);
    }

    #[test]
    fn is_an_array_in_json() {
        let grid = Grid { t: 1, h: 16, w: 24 };
        let json = serde_json::to_string(&grid).unwrap();
        assert_eq!(json, "[1,16,24]");
        assert_eq!(serde_json::from_str::<Grid>(&json).unwrap(), grid);
    }
}
