//! Three-axis positions of a prompt's tokens (time, height, width), SPEC §6.

use crate::prompt::TokenType;
use qvl_checkpoint::Grid;

/// A position on the axes time, height, width.
pub type Position = [i64; 3];

/// Why positions could not be given.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PositionError {
    /// A run of placeholders has no grid left.
    #[error(
        "token {at} starts {run} {kind} placeholders, but every grid is used; give one grid per picture and per video"
    )]
    NoGrid {
        /// Index of the first token of the run.
        at: usize,
        /// Length of the run.
        run: usize,
        /// `image` or `video`.
        kind: &'static str,
    },
    /// A run's length is not that of its grid.
    #[error(
        "token {at} starts {run} {kind} placeholders, but the grid's frame of {height}x{width} patches has {tokens}; \
         every frame needs its own run, with text or a control token between two of them"
    )]
    RunLength {
        /// Index of the first token of the run.
        at: usize,
        /// Length of the run.
        run: usize,
        /// `image` or `video`.
        kind: &'static str,
        /// Rows of patches.
        height: usize,
        /// Columns of patches.
        width: usize,
        /// Placeholders that the frame has.
        tokens: usize,
    },
    /// Grids are left after the last token.
    #[error("{left} frames of pictures or videos have no placeholders in the prompt")]
    GridsLeft {
        /// How many frames.
        left: usize,
    },
}

/// Positions of every token, and what to add to a later token's index to get its position (`rope_delta`).
///
/// `grids` are those of the media in order of appearance, images and videos mixed; `merge` is the side of
/// the blocks that become one token. A token generated at index `p` has position `p + rope_delta` on all axes.
pub fn positions(types: &[TokenType], grids: &[Grid], merge: usize) -> Result<(Vec<Position>, i64), PositionError> {
    let merge = merge.max(1);
    let mut frames = grids.iter().flat_map(|grid| std::iter::repeat_n(grid, grid.t));
    let mut positions = Vec::with_capacity(types.len());
    let mut next = 0_i64;
    for run in types.chunk_by(|a, b| a == b) {
        let Some(kind) = run[0].name() else {
            positions.extend((next..).take(run.len()).map(|p| [p; 3]));
            next += run.len() as i64;
            continue;
        };
        let at = positions.len();
        let grid = frames.next().ok_or(PositionError::NoGrid { at, run: run.len(), kind })?;
        let (rows, columns) = (grid.h / merge, grid.w / merge);
        if rows * columns != run.len() {
            return Err(PositionError::RunLength {
                at,
                run: run.len(),
                kind,
                height: grid.h,
                width: grid.w,
                tokens: rows * columns,
            });
        }
        positions.extend((0..run.len()).map(|i| [next, next + (i / columns) as i64, next + (i % columns) as i64]));
        next += rows.max(columns) as i64;
    }
    match frames.count() {
        0 => Ok((positions, next - types.len() as i64)),
        left => Err(PositionError::GridsLeft { left }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TokenType::{Image, Text, Video};

    const GRID: Grid = Grid { t: 1, h: 4, w: 6 };

    #[test]
    fn walks_text_then_a_picture_then_text() {
        let types = [&[Text; 2][..], &[Image; 6], &[Text; 1]].concat();
        let (positions, delta) = positions(&types, &[GRID], 2).unwrap();
        let expected =
            [[0, 0, 0], [1, 1, 1], [2, 2, 2], [2, 2, 3], [2, 2, 4], [2, 3, 2], [2, 3, 3], [2, 3, 4], [5, 5, 5]];
        assert_eq!(positions, expected);
        assert_eq!(delta, 6 - 9);
    }

    #[test]
    fn gives_every_frame_of_a_video_its_own_run() {
        let video = Grid { t: 2, ..GRID };
        let types = [&[Video; 6][..], &[Text; 1], &[Video; 6]].concat();
        let (positions, _) = positions(&types, &[video], 2).unwrap();
        assert_eq!(positions[6], [3, 3, 3]);
        assert_eq!(positions[7], [4, 4, 4]);
        assert_eq!(positions[12], [4, 5, 6]);
    }

    #[test]
    fn an_empty_prompt_has_no_positions() {
        assert_eq!(positions(&[], &[], 2), Ok((Vec::new(), 0)));
    }

    #[test]
    fn refuses_runs_that_do_not_fit_the_grids() {
        let message = |types: &[TokenType], grids: &[Grid]| positions(types, grids, 2).unwrap_err().to_string();
        assert_eq!(
            message(&[Text, Image], &[]),
            "token 1 starts 1 image placeholders, but every grid is used; give one grid per picture and per video"
        );
        assert_eq!(
            message(&[Video; 12], &[Grid { t: 2, ..GRID }]),
            "token 0 starts 12 video placeholders, but the grid's frame of 4x6 patches has 6; \
             every frame needs its own run, with text or a control token between two of them"
        );
        assert_eq!(message(&[Text], &[GRID]), "1 frames of pictures or videos have no placeholders in the prompt");
    }
}
