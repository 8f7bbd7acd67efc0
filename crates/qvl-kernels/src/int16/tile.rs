//! A tile of products, in registers.

use super::words::Words;

/// The sums over `steps` pairs of the products of `N` vectors and `R` rows. A step's vectors are `width` pairs after the
/// one's before; the pair of row r is `ROW` · r words after that of the first row, and a step's are `step` words after the
/// one's before.
///
/// # Safety
/// As for [`Words`]; the vectors and rows have as many steps.
#[inline(always)]
pub(crate) unsafe fn multiply<W: Words, const R: usize, const N: usize, const ROW: usize>(
    steps: usize,
    mut vectors: *const [i16; 2],
    width: usize,
    mut rows: *const i16,
    step: usize,
) -> [[W::Ints; N]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[W::zero(); N]; R];
        for _ in 0..steps {
            let mut loaded = [W::zero(); N];
            for (i, loaded) in loaded.iter_mut().enumerate() {
                *loaded = W::load_pairs(vectors.add(i * W::COUNT));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let pair = W::splat_pair(rows.add(row * ROW));
                for (sum, vector) in sums.iter_mut().zip(loaded) {
                    *sum = W::dot(*sum, vector, pair);
                }
            }
            vectors = vectors.wrapping_add(width);
            rows = rows.wrapping_add(step);
        }
        sums
    }
}
