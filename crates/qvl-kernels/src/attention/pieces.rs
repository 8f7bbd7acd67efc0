//! Attention in float32, cut into pieces of work.

use super::CacheElement;
use super::lines::{Lines, Panels};
use super::partial::Partial;
use super::queries::{Piece, Queries};
use super::stretch::{STRETCH, Stretch, Tile, panels};
use crate::lanes::Unit;
use crate::pool::{self, for_each};

/// Fewer rows than this are a decode: their stretches of the past are shared by the threads too.
const FEW: usize = 32;

/// Attention with fewer multiplications than this is not handed out: that would take longer.
const SMALL: usize = 1 << 18;

/// Attention whose operands have been checked.
pub(super) struct Attention<'a, T> {
    pub(super) unit: Unit,
    pub(super) queries: Queries<'a>,
    pub(super) keys: Panels<'a, T>,
    pub(super) values: Lines<'a, T>,
}

impl<T: CacheElement> Attention<'_, T> {
    /// Attention of queries at `positions` positions, to `out` [positions, query heads, head size].
    pub(super) fn run(&self, positions: usize, out: &mut [f32]) {
        if out.is_empty() {
            return;
        }
        let work = out.len().saturating_mul(self.queries.seen.by(positions - 1));
        let pieces = self.queries.pieces(positions, out);
        if work < SMALL {
            pieces.into_iter().for_each(|piece| self.attend(piece));
        } else if positions * self.queries.group <= FEW {
            self.attend_by_stretches(pieces);
        } else {
            for_each(pieces.into_iter(), |piece| self.attend(piece));
        }
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
        let Queries { head_size: size, group, seen, .. } = self.queries;
        let rows = piece.rows.len();
        let scale = 1.0 / (size as f32).sqrt();
        let mut tile = Tile { head: piece.head, queries: vec![0.0; rows * size], seen: Vec::with_capacity(rows) };
        for panel in panels(rows, self.unit.sizes().1) {
            let out = &mut tile.queries[panel.start * size..panel.end * size];
            for (lane, row) in panel.clone().enumerate() {
                let query = self.queries.row(piece.head, piece.first, row);
                let lanes = out[lane..].iter_mut().step_by(panel.len());
                lanes.zip(query).for_each(|(out, q)| *out = q * scale);
                tile.seen.push(seen.by(piece.first + row / group));
            }
        }
        tile
    }
}
