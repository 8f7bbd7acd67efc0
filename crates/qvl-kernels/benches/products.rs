//! How fast the products are, and how fast the machine could be.
//!
//! Throughputs are floating-point operations a second, an addition and a multiplication each counted. `peak` is a loop
//! of multiply-adds between registers, on one core: what a product comes to is its throughput divided by that one's and
//! by the number of threads. Compare figures of one run only.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the measurement")]

use std::hint::black_box;
use std::ops::Range;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use qvl_kernels::{Rows, ThreadPool, View, ViewMut, add_gram, matmul_nn_sub, matmul_nt, matmul_rows, vector_unit};

/// Rows, outputs and inputs of the products: prompts of two lengths through a square matrix of the 4B model, and its
/// `down_proj`.
const SHAPES: [(usize, usize, usize); 3] = [(512, 2560, 2560), (1024, 2560, 2560), (512, 2560, 9728)];

/// Rows in bfloat16.
struct Bfloat16 {
    bits: Vec<u16>,
    k: usize,
}

impl Rows for Bfloat16 {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let bits = &self.bits[rows.start * self.k..rows.end * self.k];
        out.iter_mut().zip(bits).for_each(|(out, bits)| *out = f32::from_bits(u32::from(*bits) << 16));
    }
}

fn products(criterion: &mut Criterion) {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in if all > 1 { vec![1, all] } else { vec![1] } {
        let pool = ThreadPool::new(threads).unwrap();
        for (m, n, k) in SHAPES {
            let (a, b, mut c) = (vec![0.5; m * k], vec![0.25; n * k], vec![0.0; m * n]);
            let stored = Bfloat16 { bits: vec![0x3e80; n * k], k };
            let name = format!("{} {threads} threads {m}x{n}x{k}", vector_unit());
            let mut group = criterion.benchmark_group(name);
            group.sample_size(10).throughput(Throughput::Elements(2 * (m * n * k) as u64));
            group.bench_function("nt", |bench| {
                bench.iter(|| pool.install(|| matmul_nt(&a, &b, &mut c, m, n, k)));
            });
            group.bench_function("rows", |bench| {
                bench.iter(|| pool.install(|| matmul_rows(&a, m, k, &stored, n, &mut c)));
            });
            group.bench_function("nn_sub", |bench| {
                let (a, b) = (View::new(&a, m, k), View::new(&b, k, n));
                bench.iter(|| pool.install(|| matmul_nn_sub(a, b, ViewMut::new(&mut c, m, n))));
            });
            group.finish();
        }
        let (rows, n) = (1024, 2560);
        let (x, weights, mut out) = (vec![0.5; rows * n], vec![1.0; rows], vec![0.0; n * n]);
        let mut group = criterion.benchmark_group(format!("{} {threads} threads {rows}x{n}", vector_unit()));
        // The result is symmetric: half of the sums are enough.
        group.sample_size(10).throughput(Throughput::Elements((rows * n * (n + 1)) as u64));
        group.bench_function("gram", |bench| {
            bench.iter(|| pool.install(|| add_gram(&x, &weights, n, &mut out)));
        });
        group.finish();
    }
}

#[cfg(target_arch = "x86_64")]
fn peak(criterion: &mut Criterion) {
    use std::arch::x86_64::{__m256, __m512, _mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};

    const STEPS: usize = 1_000_000;
    // Enough for two units of a latency of four cycles, and few enough for the registers of either kind.
    const SUMS: usize = 12;

    #[target_feature(enable = "avx512f")]
    fn avx512() -> [__m512; SUMS] {
        let (a, b) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(0.25)));
        let mut sums = [a; SUMS];
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        sums
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2() -> [__m256; SUMS] {
        let (a, b) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(0.25)));
        let mut sums = [a; SUMS];
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        sums
    }

    let mut group = criterion.benchmark_group("peak");
    let operations = |lanes: usize| Throughput::Elements((2 * lanes * SUMS * STEPS) as u64);
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the machine has AVX-512F.
        group.throughput(operations(16)).bench_function("AVX-512", |bench| bench.iter(|| unsafe { avx512() }));
    }
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the machine has AVX2 and FMA.
        group.throughput(operations(8)).bench_function("AVX2", |bench| bench.iter(|| unsafe { avx2() }));
    }
    group.finish();
}

#[cfg(not(target_arch = "x86_64"))]
fn peak(_: &mut Criterion) {}

criterion_group!(benches, peak, products);
criterion_main!(benches);
