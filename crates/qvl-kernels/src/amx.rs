//! Intel's unit for products of tiles (AMX): eight registers of 16 rows of 64 bytes.
//!
//! Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18. The instructions are written as
//! assembly since Rust has no names for them yet. What they work on belongs to a thread, as other registers do.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Rows of a tile.
pub(crate) const ROWS: usize = 16;

/// Bytes of a row of a tile.
pub(crate) const BYTES: usize = 64;

/// A machine that multiplies tiles of bf16 numbers, rounds to them with AVX-512, and lets this process do so.
#[derive(Clone, Copy)]
pub(crate) struct Bf16(());

impl Bf16 {
    /// This machine, if it is one.
    pub(crate) fn get() -> Option<Self> {
        static IS_ONE: OnceLock<bool> = OnceLock::new();
        IS_ONE.get_or_init(|| has_bf16() && is_permitted()).then_some(Self(()))
    }
}

fn has_bf16() -> bool {
    /// Bits of what CPUID says of leaf 7 in EDX: AMX-BF16 and AMX-TILE.
    const UNIT: u32 = 1 << 22 | 1 << 24;
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16")
        && __cpuid_count(7, 0).edx & UNIT == UNIT
}

/// Asks the system for the tiles' state, which is too large for it to save unasked (Linux,
/// Documentation/arch/x86/xstate.rst). The answer holds for all threads of the process.
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and touches no memory.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

/// Shapes of the eight tiles, as `ldtilecfg` takes them.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// This thread's tiles while they are in use: sums in 0 to 3, left-hand operands in 4 and 5, right-hand ones in 6 and
/// 7. Sums 0 and 1 are of the rows in 4, sums 2 and 3 of those in 5.
///
/// They are given back at the end: a thread without tiles is switched sooner.
pub(crate) struct Tiles {
    counts: [usize; 2],
    /// They cannot be used from another thread.
    of_thread: PhantomData<*const ()>,
}

impl Tiles {
    /// Tiles for 16 rows in each of the two left-hand ones.
    pub(crate) fn new(_machine: Bf16) -> Self {
        let tiles = Self { counts: [ROWS; 2], of_thread: PhantomData };
        tiles.load();
        tiles
    }

    /// Makes the tiles for `count` rows, 1 to 32: a tile of fewer rows is multiplied sooner. One that would have no
    /// rows has one.
    pub(crate) fn shape(&mut self, count: usize) {
        let counts = [count.clamp(1, ROWS), count.saturating_sub(ROWS).clamp(1, ROWS)];
        if counts != self.counts {
            self.counts = counts;
            self.load();
        }
    }

    fn load(&self) {
        let mut shapes = Shapes { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        let [first, second] = self.counts.map(|count| count as u8);
        shapes.rows[..8].copy_from_slice(&[first, first, second, second, first, second, ROWS as u8, ROWS as u8]);
        shapes.row_bytes[..8].fill(BYTES as u16);
        // SAFETY: the machine has the unit, or there would be no `Bf16`; the 64 bytes of the structure are read.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &shapes, options(nostack, readonly, preserves_flags)) }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: as in `load`.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) }
    }
}

/// Adds products of numbers in four tiles for so many steps, and says how many. The numbers are not all the same,
/// because such products take less power, and may therefore be faster than those of any use.
pub(crate) fn bf16_dots(machine: Bf16, steps: usize) -> usize {
    /// The bits of 1, to which those of a sign and of a fraction are added.
    const ONE: usize = 0x3f80;
    let _tiles = Tiles::new(machine);
    let numbers: [[u16; BYTES / 2]; 2 * ROWS] = std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let chance = (row * BYTES + column) * 7919 % 251;
            (ONE + chance % 128 + (chance & 1) * 0x8000) as u16
        })
    });
    // SAFETY: the tiles have shapes and are loaded from numbers that are there; no memory is touched otherwise.
    unsafe {
        asm!(
            "tileloadd tmm4, [{numbers} + {line}]",
            "tileloadd tmm5, [{numbers} + {line} + 1024]",
            "tileloadd tmm6, [{numbers} + {line}]",
            "tileloadd tmm7, [{numbers} + {line} + 1024]",
            "2:",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "dec {steps}",
            "jnz 2b",
            numbers = in(reg) &numbers,
            line = in(reg) BYTES,
            steps = inout(reg) steps.max(1) => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, readonly),
        );
    }
    steps * 4 * ROWS * ROWS * BYTES / size_of::<u16>()
}
