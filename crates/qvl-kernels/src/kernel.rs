//! The innermost loop, once for each kind of vector unit, and the choice between them at run time.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

/// How many lines [`Kernel::interleave`] takes at once.
pub(crate) const LINES: usize = 8;

/// The numbers of the largest tile.
const LARGEST: usize = 12 * 32;

/// The result of a kernel: `rows` × `columns` sums, row after row from the beginning.
#[repr(align(64))]
pub(crate) struct Tile(pub(crate) [f32; LARGEST]);

impl Tile {
    /// A tile of zeros.
    pub(crate) fn zeros() -> Self {
        Self([0.0; LARGEST])
    }
}

/// A way to compute a tile of a product, in vector registers.
pub(crate) struct Kernel {
    /// What the vector unit is called.
    pub(crate) name: &'static str,
    /// The rows of a tile.
    pub(crate) rows: usize,
    /// The columns of a tile.
    pub(crate) columns: usize,
    tile: unsafe fn(&[f32], &[f32], &mut Tile),
    interleave: unsafe fn([&[f32]; LINES], &mut [f32], usize),
    accumulate: unsafe fn(&[f32], &[&[f32]], &mut [f32]),
}

impl Kernel {
    /// Fills `tile` [rows, columns] with Σ over p of `a[p, i] · b[p, j]`, for packed panels `a` [k, rows] and
    /// `b` [k, columns]. Each sum runs over p in order, in one accumulator.
    pub(crate) fn tile(&self, a: &[f32], b: &[f32], tile: &mut Tile) {
        // SAFETY: the machine has what the kernel needs, or `available` would not have handed the kernel out.
        unsafe { (self.tile)(a, b, tile) }
    }

    /// Writes element p of line i to `out[p * width + i]`. The lines are equally long.
    pub(crate) fn interleave(&self, lines: [&[f32]; LINES], out: &mut [f32], width: usize) {
        // SAFETY: as in `tile`.
        unsafe { (self.interleave)(lines, out, width) }
    }

    /// Adds to `sums` each of `rows` times its number of `x`, row after row: with as many roundings as in a tile.
    pub(crate) fn accumulate(&self, x: &[f32], rows: &[&[f32]], sums: &mut [f32]) {
        // SAFETY: as in `tile`.
        unsafe { (self.accumulate)(x, rows, sums) }
    }
}

/// [`Kernel::accumulate`] where `add(x, y, sum)` is x · y + sum; four rows at once, so that sums are loaded less often.
#[inline(always)]
fn accumulate(x: &[f32], rows: &[&[f32]], sums: &mut [f32], add: impl Fn(f32, f32, f32) -> f32) {
    let (fours, rest) = x.as_chunks::<4>();
    let (row_fours, rest_rows) = rows.as_chunks::<4>();
    for ([a, b, c, d], rows) in fours.iter().zip(row_fours) {
        let [p, q, r, s] = rows.map(|row| &row[..sums.len()]);
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = add(*d, s[i], add(*c, r[i], add(*b, q[i], add(*a, p[i], *sum))));
        }
    }
    for (x, row) in rest.iter().zip(rest_rows) {
        sums.iter_mut().zip(*row).for_each(|(sum, y)| *sum = add(*x, *y, *sum));
    }
}

/// The fastest kernel of this machine.
pub(crate) fn best() -> &'static Kernel {
    static BEST: OnceLock<&Kernel> = OnceLock::new();
    BEST.get_or_init(|| available()[0])
}

/// What the vector unit is called that products use on this machine, for reports of how long something took.
pub fn vector_unit() -> &'static str {
    best().name
}

/// All kernels that this machine can run, the fastest first.
pub(crate) fn available() -> Vec<&'static Kernel> {
    let mut kernels = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if avx2 && is_x86_feature_detected!("avx512f") {
            kernels.push(&avx512::KERNEL);
        }
        if avx2 {
            kernels.push(&avx2::KERNEL);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        kernels.push(&neon::KERNEL);
    }
    kernels.push(&portable::KERNEL);
    kernels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_sums_of_products() {
        for kernel in available() {
            let (rows, columns, k) = (kernel.rows, kernel.columns, 3);
            let a: Vec<f32> = (0..k * rows).map(|i| i as f32).collect();
            let b: Vec<f32> = (0..k * columns).map(|i| (i % 7) as f32 - 3.0).collect();
            let mut tile = Tile::zeros();
            kernel.tile(&a, &b, &mut tile);
            for (at, &got) in tile.0[..rows * columns].iter().enumerate() {
                let (i, j) = (at / columns, at % columns);
                let expected: f32 = (0..k).map(|p| a[p * rows + i] * b[p * columns + j]).sum();
                assert_eq!(got, expected, "{} at ({i}, {j})", kernel.name);
            }
        }
    }

    #[test]
    fn lines_are_interleaved() {
        for kernel in available() {
            for (length, width) in [(0, 8), (5, 8), (8, 12), (29, 32)] {
                let data: Vec<f32> = (0..LINES * length).map(|i| i as f32).collect();
                let mut out = vec![-1.0; length * width];
                kernel.interleave(std::array::from_fn(|i| &data[i * length..][..length]), &mut out, width);
                for (at, &got) in out.iter().enumerate() {
                    let (p, i) = (at / width, at % width);
                    let expected = if i < LINES { (i * length + p) as f32 } else { -1.0 };
                    assert_eq!(got, expected, "{} length {length} at ({p}, {i})", kernel.name);
                }
            }
        }
    }
}
