//! The loops around the kernels.
//!
//! These are the loops of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3),
//! 2008, with one change: the packed lines of the right-hand side have all of k, because they may be read only once.

use std::ops::Range;
use std::sync::Mutex;

use crate::ViewMut;
use crate::grid::Grid;
use crate::kernel::{Kernel, Tile};
use crate::pack::Operand;
use crate::pool::{current_num_threads, for_each, lock};

/// Steps of k that are summed in registers before they are added to the result. A panel of them fits the first cache,
/// a stretch of them the second.
pub(crate) const DEPTH: usize = 512;

/// Left-hand panels that are packed by one thread at once.
const TOGETHER: usize = 8;

/// What is done with the sums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Update {
    Replace,
    Add,
    Subtract,
}

/// Which elements of the result are wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Part {
    All,
    /// Those on and below the diagonal. Others may be computed too, or not.
    Lower,
}

/// A product of two operands whose lines have `k` elements.
///
/// Element (i, j) is summed in stretches of [`DEPTH`] in one fixed order, whatever the number of threads, the shape of
/// the product, and the place of the element in it.
pub(crate) struct Product<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) a: Operand<'a>,
    pub(crate) b: Operand<'a>,
    pub(crate) k: usize,
    pub(crate) update: Update,
    pub(crate) part: Part,
}

/// A piece of the result.
struct Piece<'a> {
    /// The first row, counted from the beginning of the packed block.
    row: usize,
    /// The first column.
    column: usize,
    /// The piece's part of each row.
    rows: Vec<&'a mut [f32]>,
}

/// What a thread packs into.
#[derive(Default)]
struct Buffers {
    panels: Aligned,
    scratch: Vec<f32>,
}

impl Product<'_> {
    /// Computes the product into `c`, whose shape and stride have been checked.
    pub(crate) fn run(&self, c: ViewMut<'_>) {
        let (m, n, k) = (c.rows, c.columns, self.k);
        if m == 0 || n == 0 {
            return;
        }
        let mut rows = c.data.chunks_mut(c.stride).take(m).map(|row| &mut row[..n]);
        if k == 0 {
            if self.update == Update::Replace {
                rows.for_each(|row| row.fill(0.0));
            }
            return;
        }
        let grid = Grid::new(self.kernel, (m, n, k), current_num_threads());
        let buffers = Mutex::new(Vec::new());
        let mut packed = Aligned::default();
        for start in (0..m).step_by(grid.block) {
            let count = grid.block.min(m - start);
            let packed = packed.take(count.next_multiple_of(self.kernel.rows) * k);
            self.pack_left(start..start + count, packed);
            let pieces = pieces(rows.by_ref().take(count), &grid, n);
            let compute = |piece| {
                let mut taken = lock(&buffers).pop().unwrap_or_default();
                self.compute(start, piece, packed, &mut taken);
                lock(&buffers).push(taken);
            };
            for_each(pieces.into_iter(), compute);
        }
    }

    /// Packs the left-hand lines `lines`.
    fn pack_left(&self, lines: Range<usize>, packed: &mut [f32]) {
        let (width, k) = (self.kernel.rows, self.k);
        for_each(packed.chunks_mut(TOGETHER * width * k).enumerate(), |(i, panels)| {
            let first = lines.start + i * TOGETHER * width;
            let lines = first..lines.end.min(first + TOGETHER * width);
            self.a.pack(self.kernel, lines, (k, width), panels, &mut Vec::new());
        });
    }

    /// Computes a piece of the block of rows that begins at `start` and is `packed`.
    fn compute(&self, start: usize, mut piece: Piece<'_>, packed: &[f32], buffers: &mut Buffers) {
        let (height, width, k) = (self.kernel.rows, self.kernel.columns, self.k);
        let columns = piece.rows[0].len();
        if !self.wants(start + piece.row + piece.rows.len() - 1, piece.column) {
            return;
        }
        let left = &packed[piece.row * k..];
        let right = buffers.panels.take(columns.next_multiple_of(width) * k);
        let lines = piece.column..piece.column + columns;
        self.b.pack(self.kernel, lines, (k, width), right, &mut buffers.scratch);
        let mut tile = Tile::zeros();
        for p in (0..k).step_by(DEPTH) {
            let steps = p..k.min(p + DEPTH);
            let update = if p == 0 || self.update == Update::Subtract { self.update } else { Update::Add };
            for (i, (rows, a)) in piece.rows.chunks_mut(height).zip(left.chunks_exact(height * k)).enumerate() {
                let last = start + piece.row + i * height + rows.len() - 1;
                for (j, b) in right.chunks_exact(width * k).enumerate() {
                    if !self.wants(last, piece.column + j * width) {
                        break;
                    }
                    let a = &a[steps.start * height..steps.end * height];
                    self.kernel.tile(a, &b[steps.start * width..steps.end * width], &mut tile);
                    store(&tile, width, update, rows, j * width);
                }
            }
        }
    }

    /// Whether anything is wanted of a rectangle with this last row and this first column.
    fn wants(&self, last_row: usize, first_column: usize) -> bool {
        self.part == Part::All || first_column <= last_row
    }
}

/// Cuts a block of rows of `n` numbers into pieces.
fn pieces<'a>(rows: impl Iterator<Item = &'a mut [f32]>, grid: &Grid, n: usize) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let stretches = n.div_ceil(grid.columns);
    for (i, row) in rows.enumerate() {
        if i % grid.rows == 0 {
            let columns = (0..n).step_by(grid.columns);
            pieces.extend(columns.map(|column| Piece { row: i, column, rows: Vec::with_capacity(grid.rows) }));
        }
        let first = pieces.len() - stretches;
        for (piece, part) in pieces[first..].iter_mut().zip(row.chunks_mut(grid.columns)) {
            piece.rows.push(part);
        }
    }
    pieces
}

/// Brings a tile of rows of `width` numbers into `rows`, from column `column` on; what does not fit is padding.
fn store(tile: &Tile, width: usize, update: Update, rows: &mut [&mut [f32]], column: usize) {
    for (row, sums) in rows.iter_mut().zip(tile.0.chunks_exact(width)) {
        let row = row[column..].iter_mut().zip(sums);
        match update {
            Update::Replace => row.for_each(|(c, sum)| *c = *sum),
            Update::Add => row.for_each(|(c, sum)| *c += sum),
            Update::Subtract => row.for_each(|(c, sum)| *c -= sum),
        }
    }
}

/// Numbers that begin at a cache line, so that no load of a vector touches two.
#[derive(Default)]
pub(crate) struct Aligned<T = f32>(Vec<T>);

impl<T: Copy + Default> Aligned<T> {
    /// Bytes of a cache line.
    const LINE: usize = 64;

    /// Numbers that are left out at most.
    const SPARE: usize = Self::LINE / size_of::<T>();

    /// `length` zeros.
    pub(crate) fn new(length: usize) -> Self {
        Self(vec![T::default(); length + Self::SPARE])
    }

    /// `length` numbers of any value.
    pub(crate) fn take(&mut self, length: usize) -> &mut [T] {
        if self.0.len() < length + Self::SPARE {
            *self = Self::new(length);
        }
        let start = self.start();
        &mut self.0[start..][..length]
    }

    /// All numbers, at least as many as were asked for.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn get(&self) -> &[T] {
        &self.0[self.start()..]
    }

    fn start(&self) -> usize {
        self.0.as_ptr().align_offset(Self::LINE).min(Self::SPARE).min(self.0.len())
    }
}
