//! How fast attention is, with the heads of the 4B model.
//!
//! Throughputs of a decode are bytes of keys and values a second, to be held against what memory gives; those of prompts
//! and pictures are floating-point operations a second, an addition and a multiplication each counted, of the scores that
//! are seen; `peak` of the bench `products` is the most that one core could do. Compare figures of one run only.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the measurement")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use qvl_kernels::{Arithmetic, KEY_PANEL, KeyValues, ThreadPool, attend_causal, attend_full, vector_unit};

/// Key-value heads, query heads and size of a head of the text decoder.
const HEADS: (usize, usize, usize) = (8, 32, 128);

/// New positions, and earlier ones: two decodes, and the first and the last chunk of a prompt.
const STEPS: [(usize, usize); 4] = [(1, 2048), (1, 8192), (512, 0), (512, 1536)];

/// Patches of a picture of 1024 x 768.
const PATCHES: usize = 3072;

/// Pools of one thread and of all.
fn pools() -> Vec<ThreadPool> {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = |threads| ThreadPool::new(threads).unwrap();
    if all > 1 { vec![pool(1), pool(all)] } else { vec![pool(1)] }
}

fn causal(criterion: &mut Criterion) {
    let (heads, query_heads, size) = HEADS;
    for pool in pools() {
        let threads = pool.num_threads();
        let mut group = criterion.benchmark_group(format!("causal {} {threads} threads", vector_unit()));
        group.sample_size(10);
        for (m, past) in STEPS {
            let capacity = (past + m).next_multiple_of(KEY_PANEL);
            let lines = vec![f16::from_f32(0.25); heads * capacity * size];
            let cache = KeyValues { keys: &lines, values: &lines.clone(), heads, capacity, head_size: size };
            let query = vec![0.5; m * query_heads * size];
            let mut out = vec![0.0; query.len()];
            group.throughput(if m == 1 {
                Throughput::Bytes((2 * size_of_val(&*lines)) as u64)
            } else {
                let scores = query_heads * (m * past + m * (m + 1) / 2);
                Throughput::Elements((4 * scores * size) as u64)
            });
            group.bench_function(format!("{m} after {past}"), |bench| {
                bench.iter(|| pool.install(|| attend_causal(&query, m, query_heads, &cache, past, &mut out)));
            });
        }
        group.finish();
    }
}

fn full(criterion: &mut Criterion) {
    for pool in pools() {
        let threads = pool.num_threads();
        let mut group = criterion.benchmark_group(format!("full {} {threads} threads", vector_unit()));
        group.sample_size(10);
        for (heads, size) in [(16, 64), (16, 72)] {
            let width = heads * size;
            let rows = vec![0.5; PATCHES * 3 * width];
            let mut out = vec![0.0; PATCHES * width];
            group.throughput(Throughput::Elements((4 * PATCHES * PATCHES * width) as u64));
            for arithmetic in [Arithmetic::Float32, Arithmetic::Int8] {
                group.bench_function(format!("{heads} heads of {size}, {arithmetic:?}"), |bench| {
                    let qkv = [&rows[..], &rows[width..], &rows[2 * width..]];
                    let mut compute = || attend_full(qkv, 3 * width, PATCHES, heads, size, arithmetic, &mut out);
                    bench.iter(|| pool.install(&mut compute));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, causal, full);
criterion_main!(benches);
