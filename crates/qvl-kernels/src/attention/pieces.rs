//! Attention cut into pieces of work.

use rayon::prelude::*;

use super::CacheElement;
use super::partial::Partial;
use super::stretch::{STRETCH, Stretch, Tile, panels};
use crate::lanes::Unit;

/// Query rows of one piece: so many that reading keys and values costs little beside the products, and so few that the
/// piece stays in the second cache.
const ROWS: usize = 192;

/// Fewer rows than this are a decode: their stretches of the past are shared by the threads too.
const FEW: usize = 32;

/// Attention with fewer multiplications than this is not handed out: that would take longer.
const SMALL: usize = 1 << 18;

/// Keys or values: position p of head h has `data[h · head_stride + p · stride..]`, as many elements as a head.
#[derive(Debug)]
pub(super) struct Lines<'a, T> {
    pub(super) data: &'a [T],
    pub(super) head_stride: usize,
    pub(super) stride: usize,
}

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
    fn by(self, position: usize) -> usize {
        match self {
            Self::UpTo { past } => past + position + 1,
            Self::All { count } => count,
        }
    }
}

/// Attention whose operands have been checked.
pub(super) struct Attention<'a, T> {
    pub(super) unit: Unit,
    /// The query of position p and head h is at p · `query_stride` + h · `head_size`.
    pub(super) query: &'a [f32],
    pub(super) query_stride: usize,
    pub(super) keys: Lines<'a, T>,
    pub(super) values: Lines<'a, T>,
    /// Key-value heads.
    pub(super) heads: usize,
    /// Query heads that share a key-value head.
    pub(super) group: usize,
    pub(super) head_size: usize,
    pub(super) seen: Seen,
}

/// Query rows that are computed together: those of some positions and of the query heads of one key-value head.
struct Piece<'a> {
    /// The key-value head.
    head: usize,
    /// The first position.
    first: usize,
    /// Where the result goes, position by position.
    rows: Vec<&'a mut [f32]>,
}

impl<T: CacheElement> Attention<'_, T> {
    /// Attention of queries at `positions` positions, to `out` [positions, query heads, head size].
    pub(super) fn run(&self, positions: usize, out: &mut [f32]) {
        if out.is_empty() {
            return;
        }
        let work = out.len().saturating_mul(self.seen.by(positions - 1));
        let pieces = self.pieces(positions, out);
        if work < SMALL {
            pieces.into_iter().for_each(|piece| self.attend(piece, false));
        } else {
            let share = positions * self.group <= FEW;
            pieces.into_par_iter().with_max_len(1).for_each(|piece| self.attend(piece, share));
        }
    }

    /// Cuts the result into pieces. How has no influence on what is computed.
    fn pieces<'o>(&self, positions: usize, out: &'o mut [f32]) -> Vec<Piece<'o>> {
        let wanted = (2 * rayon::current_num_threads()).div_ceil(self.heads);
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

    /// Computes a piece; `share` its stretches of positions with other threads.
    fn attend(&self, piece: Piece<'_>, share: bool) {
        let tile = self.tile(&piece);
        let stretches = tile.seen[tile.seen.len() - 1].div_ceil(STRETCH);
        let compute = |index| Stretch { attention: self, tile: &tile, start: index * STRETCH }.run();
        let whole = if share {
            let parts: Vec<Partial> = (0..stretches).into_par_iter().map(compute).collect();
            parts.into_iter().reduce(Partial::merge)
        } else {
            (0..stretches).map(compute).reduce(Partial::merge)
        };
        if let Some(whole) = whole {
            whole.write(piece.rows);
        }
    }

    /// The queries of a piece, scaled.
    fn tile(&self, piece: &Piece<'_>) -> Tile {
        let (size, group) = (self.head_size, self.group);
        let rows = piece.rows.len();
        let scale = 1.0 / (size as f32).sqrt();
        let mut tile = Tile { head: piece.head, queries: vec![0.0; rows * size], seen: Vec::with_capacity(rows) };
        for panel in panels(rows, self.unit.sizes().1) {
            let out = &mut tile.queries[panel.start * size..panel.end * size];
            for (lane, row) in panel.clone().enumerate() {
                let position = piece.first + row / group;
                let query =
                    &self.query[position * self.query_stride + (piece.head * group + row % group) * size..][..size];
                let lanes = out[lane..].iter_mut().step_by(panel.len());
                lanes.zip(query).for_each(|(out, q)| *out = q * scale);
                tile.seen.push(self.seen.by(position));
            }
        }
        tile
    }
}
