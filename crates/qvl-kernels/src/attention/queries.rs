//! Queries, cut into pieces of work.

use crate::pool::current_num_threads;

/// Query rows of one piece: so many that reading keys and values costs little beside the products, and so few that the
/// piece stays in the second cache.
const ROWS: usize = 192;

/// Which positions a query sees.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen {
    /// So many that were there before, and those of its own array up to itself.
    UpTo { past: usize },
    /// All `count`.
    All { count: usize },
}

impl Seen {
    /// How many positions a query at `position` of its array sees.
    pub(super) fn by(self, position: usize) -> usize {
        match self {
            Self::UpTo { past } => past + position + 1,
            Self::All { count } => count,
        }
    }
}

/// Queries whose shape has been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queries<'a> {
    /// The query of position p and head h is at p · `stride` + h · `head_size`.
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
    /// Key-value heads.
    pub(super) heads: usize,
    /// Query heads that share a key-value head.
    pub(super) group: usize,
    pub(super) head_size: usize,
    pub(super) seen: Seen,
}

/// Query rows that are computed together: those of some positions and of the query heads of one key-value head.
pub(crate) struct Piece<'a> {
    /// The key-value head.
    pub(super) head: usize,
    /// The first position.
    pub(super) first: usize,
    /// Where the result goes, position by position.
    pub(super) rows: Vec<&'a mut [f32]>,
}

impl Queries<'_> {
    /// Cuts the result `out` [positions, query heads, head size] into pieces. How has no influence on what is computed.
    pub(super) fn pieces<'o>(&self, positions: usize, out: &'o mut [f32]) -> Vec<Piece<'o>> {
        let wanted = (2 * current_num_threads()).div_ceil(self.heads);
        let each = positions.div_ceil(wanted).min(ROWS / self.group).max(1);
        let count = positions.div_ceil(each);
        let empty = |index| Piece { head: index / count, first: index % count * each, rows: Vec::new() };
        let mut pieces: Vec<Piece<'_>> = (0..self.heads * count).map(empty).collect();
        let query_heads = self.heads * self.group;
        for (index, row) in out.chunks_exact_mut(self.head_size).enumerate() {
            let (position, head) = (index / query_heads, index % query_heads / self.group);
            pieces[head * count + position / each].rows.push(row);
        }
        pieces
    }

    /// The query of row `row` of a piece of head `head` from position `first` on.
    pub(super) fn row(&self, head: usize, first: usize, row: usize) -> &[f32] {
        let head = head * self.group + row % self.group;
        &self.data[(first + row / self.group) * self.stride + head * self.head_size..][..self.head_size]
    }
}
