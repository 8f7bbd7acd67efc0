//! How a product is cut into pieces of work.

use crate::kernel::Kernel;

/// What a thread's packed right-hand lines may take, in numbers: 4 MiB, unless one panel is more.
const STRETCH: usize = 1 << 20;

/// The most right-hand lines of one piece. More would not be faster, and would not stay in the second cache.
const WIDEST: usize = 128;

/// What the packed left-hand lines may take, in numbers: 16 MiB, unless one panel is more.
const BLOCK: usize = 4 << 20;

/// Pieces for each thread, so that none waits long for the others at the end.
const PIECES: usize = 3;

/// A left-hand stretch shorter than this many panels would not be worth the packing of the right-hand side.
const SHORTEST: usize = 8;

/// A product with fewer multiplications than this is one piece: handing it out would take longer.
const SMALL: usize = 1 << 18;

/// The sizes of the pieces. Which sums are computed where has no influence on the sums.
#[derive(Debug, PartialEq)]
pub(crate) struct Grid {
    /// Rows that are packed at once; a multiple of the kernel's.
    pub(crate) block: usize,
    /// Rows of one piece; a multiple of the kernel's.
    pub(crate) rows: usize,
    /// Columns of one piece; a multiple of the kernel's.
    pub(crate) columns: usize,
}

impl Grid {
    /// The grid for a result of `m` × `n` sums of `k` products, none of them 0, for so many threads.
    pub(crate) fn new(kernel: &Kernel, (m, n, k): (usize, usize, usize), threads: usize) -> Self {
        let block = (BLOCK / (k * kernel.rows)).clamp(1, m.div_ceil(kernel.rows));
        let panels = n.div_ceil(kernel.columns);
        let (rows, columns) = if m.saturating_mul(n).saturating_mul(k) < SMALL {
            (block, panels)
        } else {
            let pieces = PIECES * threads;
            let widest = (STRETCH / (k * kernel.columns)).clamp(1, WIDEST.div_ceil(kernel.columns));
            let columns = (panels / pieces).clamp(1, widest);
            let stretches = panels.div_ceil(columns);
            (block.div_ceil(pieces.div_ceil(stretches)).max(SHORTEST), columns)
        };
        Self { block: block * kernel.rows, rows: rows * kernel.rows, columns: columns * kernel.columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::available;

    #[test]
    fn pieces_are_as_large_as_the_buffers_allow() {
        for kernel in available() {
            let panel = (kernel.rows, kernel.columns);
            let name = kernel.name;
            let grid = Grid::new(kernel, (4096, 4096, 2560), 2);
            assert!(grid.block * 2560 <= BLOCK && (grid.block + panel.0) * 2560 > BLOCK, "{name}: {grid:?}");
            assert!(grid.columns <= WIDEST.next_multiple_of(panel.1) && grid.columns + panel.1 > WIDEST, "{name}");
            let deep = Grid::new(kernel, (4096, 4096, 1 << 30), 2);
            assert_eq!((deep.block, deep.columns), panel, "{name}");
        }
    }

    #[test]
    fn every_thread_has_work() {
        for kernel in available() {
            for (m, n) in [(512, 2560), (4096, 32), (1, 2560), (2560, 2560)] {
                let grid = Grid::new(kernel, (m, n, 256), 4);
                let pieces = m.min(grid.block).div_ceil(grid.rows) * n.div_ceil(grid.columns);
                assert!(pieces >= 4, "{}: {m} × {n} in {pieces} pieces: {grid:?}", kernel.name);
            }
        }
    }

    #[test]
    fn small_products_are_one_piece() {
        for kernel in available() {
            let grid = Grid::new(kernel, (60, 64, 64), 16);
            assert!(grid.rows >= 60 && grid.columns >= 64, "{}: {grid:?}", kernel.name);
        }
    }
}
