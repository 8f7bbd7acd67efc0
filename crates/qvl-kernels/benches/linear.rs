//! How fast linear layers are, and how fast the machine could be.
//!
//! First the limits of one core are printed: what a product in blocks comes to is its throughput divided by them. In
//! decoding that is bytes of weights a second and the read bandwidth, in prefill multiplications and additions a second
//! and the int8 peak. Compare figures of one run only.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints, and fails if something fails")]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use qvl_kernels::{
    Arithmetic, Blocks, Elements, Input, Linear, Matrix, ThreadPool, gated_silu, limits, linear, linear_of, rms_norm,
};

/// Outputs and inputs: `down_proj` of the 4B model and the transpose of it, which are its largest matrices.
const SHAPES: [(usize, usize); 2] = [(2560, 9728), (9728, 2560)];

/// Bits and block sizes.
const BLOCKS: [(usize, usize); 3] = [(4, 32), (4, 128), (8, 128)];

/// Inputs and outputs of layers of the vision towers of the smaller and the larger models.
const VISION: [(usize, usize); 4] = [(1024, 3072), (1024, 1024), (4096, 1024), (1152, 4304)];

/// Copies of a matrix, so that none is in a cache when its turn comes.
const COPIES: usize = 16;

fn blocks(criterion: &mut Criterion) {
    let pool = one_core();
    println!("{} on one core", limits::int8_unit());
    println!("read bandwidth {:.2} GB/s", pool.install(limits::read_bandwidth) / 1e9);
    println!("int8 peak {:.1} Gop/s", pool.install(limits::int8_peak) / 1e9);
    println!("float32 peak {:.1} Gop/s", pool.install(limits::float32_peak) / 1e9);
    for (outputs, inputs) in SHAPES {
        for (bits, size) in BLOCKS {
            let bytes = outputs * inputs * bits / 8;
            let (codes, scales) = (vec![0x5a; COPIES * bytes], vec![0.01; outputs * inputs / size]);
            let matrix = |copy: usize| {
                let codes = &codes[copy % COPIES * bytes..][..bytes];
                let blocks = Blocks { bits, size, codes, scales: &scales, zero_points: None };
                Matrix { inputs, outputs, elements: Elements::Blocks(blocks) }
            };
            let mut group = criterion.benchmark_group(format!("{outputs}x{inputs} {bits} bit, blocks of {size}"));
            group.sample_size(10);
            for m in [1, 4, 512] {
                let (x, mut out, mut copy) = (vec![0.5; m * inputs], vec![0.0; m * outputs], 0);
                group.throughput(match m {
                    512 => Throughput::Elements((2 * m * outputs * inputs) as u64),
                    _ => Throughput::Bytes((bytes + size_of_val(&scales[..])) as u64),
                });
                group.bench_function(format!("{m} rows"), |bench| {
                    bench.iter(|| {
                        copy += 1;
                        let product = Linear { matrix: matrix(copy), bias: None, out: &mut out };
                        pool.install(|| linear(&x, m, &mut [product], Arithmetic::Int8));
                    });
                });
            }
            group.finish();
        }
    }
}

fn dense(criterion: &mut Criterion) {
    let pool = one_core();
    let (outputs, inputs) = (9728, 2560);
    let (wide, halves) = (vec![0.5; 4 * inputs * outputs], vec![f16::ONE; 4 * inputs * outputs]);
    let mut group = criterion.benchmark_group(format!("{outputs}x{inputs}"));
    for (name, bytes) in [("float32", 4), ("float16", 2)] {
        let (x, mut out, mut copy) = (vec![0.5; inputs], vec![0.0; outputs], 0);
        group.sample_size(10).throughput(Throughput::Bytes((bytes * inputs * outputs) as u64));
        group.bench_function(format!("{name}, 1 row"), |bench| {
            bench.iter(|| {
                copy = (copy + 1) % 4;
                let part = copy * inputs * outputs..(copy + 1) * inputs * outputs;
                let elements =
                    if bytes == 4 { Elements::Float32(&wide[part]) } else { Elements::Float16(&halves[part]) };
                let product = Linear { matrix: Matrix { inputs, outputs, elements }, bias: None, out: &mut out };
                pool.install(|| linear(&x, 1, &mut [product], Arithmetic::Float32));
            });
        });
    }
    group.finish();
}

/// Layers of the vision towers, on as many rows as go through them at once and on a few.
fn vision(criterion: &mut Criterion) {
    let pool = one_core();
    if let Some(peak) = pool.install(limits::bf16_peak) {
        println!("bf16 peak {:.1} Gop/s", peak / 1e9);
    }
    for (inputs, outputs) in VISION {
        let weights: Vec<f16> = numbers(inputs * outputs).map(f16::from_f32).collect();
        let mut group = criterion.benchmark_group(format!("{outputs}x{inputs} float16"));
        group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(500));
        for m in [1, 16, 64, 3072] {
            let (x, mut out): (Vec<f32>, _) = (numbers(m * inputs).collect(), vec![0.0; m * outputs]);
            let matrix = Matrix { inputs, outputs, elements: Elements::Float16(&weights) };
            group.throughput(Throughput::Elements((2 * m * outputs * inputs) as u64));
            for arithmetic in [Arithmetic::Int16, Arithmetic::Bf16] {
                group.bench_function(format!("{arithmetic:?}, {m} rows"), |bench| {
                    bench.iter(|| {
                        let product = Linear { matrix, bias: None, out: &mut out };
                        pool.install(|| linear(&x, m, &mut [product], arithmetic));
                    });
                });
            }
        }
        group.finish();
    }
}

/// Norms and gates before a product: in passes of their own, and strip by strip while rows are rounded.
fn inputs(criterion: &mut Criterion) {
    const ROWS: usize = 512;
    let pool = one_core();
    for (outputs, inputs) in SHAPES {
        let (codes, scales) = (vec![0x5a; outputs * inputs / 2], vec![0.01; outputs * inputs / 128]);
        let blocks = Blocks { bits: 4, size: 128, codes: &codes, scales: &scales, zero_points: None };
        let matrix = Matrix { inputs, outputs, elements: Elements::Blocks(blocks) };
        let (x, weight, epsilon) = (vec![0.5; ROWS * inputs], vec![0.5; inputs], 1e-6);
        // SiLU leaves such gates of ones as they are, however often.
        let (mut gate, up) = (vec![20.0; ROWS * inputs], vec![1.0; ROWS * inputs]);
        let (mut normed, mut out) = (vec![0.0; ROWS * inputs], vec![0.0; ROWS * outputs]);
        let mut multiply = |input: Input<'_>| {
            let product = Linear { matrix, bias: None, out: &mut out };
            linear_of(input, ROWS, &mut [product], Arithmetic::Int8);
        };
        let mut group = criterion.benchmark_group(format!("{outputs}x{inputs} 4 bit, {ROWS} rows"));
        group.sample_size(10);
        group.bench_function("norm before", |bench| {
            bench.iter(|| {
                pool.install(|| {
                    rms_norm(&x, &weight, epsilon, &mut normed);
                    multiply(Input::Rows(&normed));
                });
            });
        });
        group.bench_function("norm in strips", |bench| {
            bench.iter(|| {
                pool.install(|| multiply(Input::Normed { x: &x, weight: &weight, epsilon, out: &mut normed }));
            });
        });
        group.bench_function("gate before", |bench| {
            bench.iter(|| {
                pool.install(|| {
                    gated_silu(&mut gate, &up);
                    multiply(Input::Rows(&gate));
                });
            });
        });
        group.bench_function("gate in strips", |bench| {
            bench.iter(|| pool.install(|| multiply(Input::Gated { gate: &mut gate, up: &up })));
        });
        group.finish();
    }
}

/// Numbers between -1 and 1, different ones.
fn numbers(count: usize) -> impl Iterator<Item = f32> {
    (0..count).map(|index| (index * 7919 % 2003) as f32 / 1001.0 - 1.0)
}

/// One thread: others may be busy with something else.
fn one_core() -> ThreadPool {
    ThreadPool::new(1).unwrap()
}

criterion_group!(benches, blocks, dense, vision, inputs);
criterion_main!(benches);
