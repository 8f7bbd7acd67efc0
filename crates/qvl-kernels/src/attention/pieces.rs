//! Attention cut into pieces of work.

use std::ops::Range;

use super::CacheElement;
use super::partial::Partial;
use super::stretch::{HeadLines, STRETCH, Stretch, Tile, panels};
use crate::lanes::Unit;
use crate::pool::{self, current_num_threads, for_each};

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

impl<'a, T> Lines<'a, T> {
    /// Those of head `head` at `positions`, of `size` numbers each.
    pub(super) fn of_head(&self, head: usize, positions: &Range<usize>, size: usize) -> HeadLines<'a, T> {
        let start = head * self.head_stride + positions.start * self.stride;
        let data = self.data.get(start..).unwrap_or_default();
        HeadLines { data, stride: self.stride, count: positions.len(), size }
    }
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
    pub(super) fn by(self, position: usize) -> usize {
        match self {
            Self::UpTo { past } => past + position + 1,
            Self::All { count } => count,
        }
    }
}

/// Attention whose operands have been checked.
pub(crate) struct Attention<'a, T> {
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
pub(crate) struct Piece<'a> {
    /// The key-value head.
    pub(super) head: usize,
    /// The first position.
    pub(super) first: usize,
    /// Where the result goes, position by position.
    pub(super) rows: Vec<&'a mut [f32]>,
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
            pieces.into_iter().for_each(|piece| self.attend(piece));
        } else if positions * self.group <= FEW {
            self.attend_by_stretches(pieces);
        } else {
            for_each(pieces.into_iter(), |piece| self.attend(piece));
        }
    }

    /// Cuts the result into pieces. How has no influence on what is computed.
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

    /// Computes a piece.
    fn attend(&self, piece: Piece<'_>) {
        let tile = self.tile(&piece);
        let compute = |index| Stretch { attention: self, tile: &tile, start: index * STRETCH }.run();
        let whole = (0..tile.stretches()).map(compute).reduce(Partial::merge);
        if let Some(whole) = whole {
            whole.write(piece.rows);
        }
    }

    /// Computes pieces whose stretches of positions are shared by the threads too.
    fn attend_by_stretches(&self, pieces: Vec<Piece<'_>>) {
        let tiles: Vec<Tile> = pieces.iter().map(|piece| self.tile(piece)).collect();
        // Those that see less than others have stretches of nothing.
        let count = tiles.iter().map(Tile::stretches).max().unwrap_or_default();
        let stretch = |index| (&tiles[index / count], index % count * STRETCH);
        let mut parts = pool::map(tiles.len() * count, |index| {
            let (tile, start) = stretch(index);
            Stretch { attention: self, tile, start }.run()
        })
        .into_iter();
        for piece in pieces {
            if let Some(whole) = parts.by_ref().take(count).reduce(Partial::merge) {
                whole.write(piece.rows);
            }
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
