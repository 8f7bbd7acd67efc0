//! What the loops need of an instruction set.

/// The vectors of an instruction set. `LANES` outputs lie side by side: a vector of codes has four codes of each, a vector
/// of integers or floats a number of each.
///
/// # Safety
/// All methods need a machine that has the instruction set; those that take a pointer read or write a vector there, which
/// need not be aligned.
pub(crate) trait Vectors {
    /// Outputs of a vector, at most [`super::panel::MOST_LANES`].
    const LANES: usize;
    /// Rows of a tile, at most 6: what the registers have room for.
    const HEIGHT: usize;
    /// Whether products take 8-bit codes as signed numbers, less 128.
    const CENTRED: bool;
    /// 4 · `LANES` codes.
    type Codes: Copy;
    /// `LANES` integers.
    type Ints: Copy;
    /// `LANES` numbers.
    type Floats: Copy;

    unsafe fn load_codes(from: *const u8) -> Self::Codes;
    unsafe fn store_codes(to: *mut u8, codes: Self::Codes);
    unsafe fn zero_codes() -> Self::Codes;
    /// Four codes, for all lanes.
    unsafe fn splat_codes(from: *const u8) -> Self::Codes;
    /// The low and the high halves of bytes.
    unsafe fn nibbles(codes: Self::Codes) -> (Self::Codes, Self::Codes);
    /// Codes of 8 bits as products take them.
    unsafe fn centre(codes: Self::Codes) -> Self::Codes;
    /// Transposes a matrix of fours of codes that has `LANES` lines of as many.
    unsafe fn transpose(lines: &mut [Self::Codes]);
    /// `sums` + the products of `BITS`-bit codes with rounded inputs, four to a lane.
    unsafe fn dot<const BITS: usize>(sums: Self::Ints, codes: Self::Codes, inputs: Self::Codes) -> Self::Ints;
    unsafe fn splat_int(value: i32) -> Self::Ints;
    unsafe fn add_ints(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn to_floats(ints: Self::Ints) -> Self::Floats;
    unsafe fn load(from: *const f32) -> Self::Floats;
    unsafe fn store(to: *mut f32, values: Self::Floats);
    unsafe fn splat(value: f32) -> Self::Floats;
    unsafe fn multiply(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a` · `b` + `c`, rounded once.
    unsafe fn multiply_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// Has a cache line fetched that will be needed later. Any address will do.
    unsafe fn prefetch(_: *const u8) {}
    /// Has a cache line fetched that will be needed soon. Any address will do.
    unsafe fn prefetch_near(_: *const u8) {}
}
