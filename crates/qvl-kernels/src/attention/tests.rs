use half::f16;
use proptest::prelude::*;

use super::*;
use crate::pool::ThreadPool;
use crate::reference::numbers;

/// Keys and values of a cache, the ones in use and those behind them.
struct Cache<T> {
    keys: Vec<T>,
    values: Vec<T>,
    heads: usize,
    capacity: usize,
    head_size: usize,
}

impl<T: CacheElement> Cache<T> {
    /// Room for at least `capacity` positions.
    fn new(heads: usize, capacity: usize, head_size: usize, seed: u32) -> Self {
        let capacity = capacity.next_multiple_of(KEY_PANEL);
        let lines = |seed| numbers(heads * capacity * head_size, seed);
        let values = lines(seed ^ 12).chunks(head_size).flat_map(|line| line.chunks(T::NUMBERS)).map(T::of).collect();
        let panel = KEY_PANEL * T::count(head_size);
        let mut keys = vec![T::of(&[0.0]); heads * capacity * T::count(head_size)];
        for (position, line) in lines(seed ^ 11).chunks(head_size).enumerate() {
            T::round_key(line, &mut keys[position / KEY_PANEL * panel..][..panel], position % KEY_PANEL);
        }
        Self { keys, values, heads, capacity, head_size }
    }

    fn view(&self) -> KeyValues<'_, T> {
        let Self { keys, values, heads, capacity, head_size } = self;
        KeyValues { keys, values, heads: *heads, capacity: *capacity, head_size: *head_size }
    }
}

/// Queries that make some scores stand out, as a trained model's do.
fn queries(length: usize, seed: u32) -> Vec<f32> {
    numbers(length, seed).into_iter().map(|x| x * 6.0).collect()
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32], what: &str) {
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 2e-5, "{what}: {found} for {expected} at {index}");
    }
}

/// Compares with the plain version on every unit of the machine.
fn check_causal<T: CacheElement>(cache: &Cache<T>, group: usize, past: usize, m: usize, seed: u32) {
    let query_heads = cache.heads * group;
    let query = queries(m * query_heads * cache.head_size, seed);
    let mut expected = vec![f32::NAN; query.len()];
    plain::causal(&query, query_heads, &cache.view(), past, &mut expected);
    for unit in Unit::available() {
        let mut found = vec![f32::NAN; query.len()];
        causal(unit, &query, query_heads, &cache.view(), past).run(m, &mut found);
        assert_near(&found, &expected, &format!("{unit:?}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn causal_equals_the_plain_one(
        (heads, group) in (1..4usize, 1..9usize),
        (past, m, spare) in (0..150usize, 0..40usize, 0..3usize),
        head_size in prop_oneof![Just(64usize), Just(128), 1..140usize],
        seed: u32,
    ) {
        check_causal(&Cache::<f16>::new(heads, past + m + spare, head_size, seed), group, past, m, seed);
        check_causal(&Cache::<f32>::new(heads, past + m + spare, head_size, seed), group, past, m, seed);
        check_causal(&Cache::<Int8Block>::new(heads, past + m + spare, head_size, seed), group, past, m, seed);
    }

    #[test]
    fn full_equals_the_plain_one(
        (n, heads) in (0..200usize, 1..4usize),
        head_size in prop_oneof![Just(64usize), Just(72), Just(80), 1..100usize],
        spare in 0..9usize,
        seed: u32,
    ) {
        let (width, stride) = (heads * head_size, 3 * heads * head_size + spare);
        let rows = queries(n * stride, seed);
        let part = |index: usize| rows.get(index * width..).unwrap_or_default();
        let qkv = [part(0), part(1), part(2)];
        let mut expected = vec![f32::NAN; n * width];
        plain::full(qkv, stride, n, heads, head_size, &mut expected);
        for unit in Unit::available() {
            let mut found = vec![f32::NAN; n * width];
            Frame::new(qkv, stride, n, heads, head_size).attend(unit, n, &mut found);
            // Queries and keys are large here, and float32 scores with them.
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() <= 2e-3, "{:?}: {} for {}", unit, found, expected);
            }
        }
    }
}

#[test]
fn stretches_of_a_long_past_are_merged() {
    let cache = Cache::<f16>::new(2, 2200, 24, 5);
    check_causal(&cache, 4, 2100, 1, 6);
    check_causal(&cache, 4, 1000, 60, 7);
}

/// What comes of chunks of these lengths, one after another.
fn in_chunks<T: CacheElement>(
    cache: &Cache<T>,
    query: &[f32],
    query_heads: usize,
    past: usize,
    chunks: &[usize],
) -> Vec<f32> {
    let (mut out, mut done) = (vec![f32::NAN; query.len()], 0);
    for &m in chunks {
        let part = done * query_heads * cache.head_size..(done + m) * query_heads * cache.head_size;
        attend_causal(&query[part.clone()], m, query_heads, &cache.view(), past + done, &mut out[part]);
        done += m;
    }
    out
}

#[test]
fn rows_depend_neither_on_their_neighbours_nor_on_the_threads() {
    let (past, m, group) = (1980, 120, 4);
    let query = queries(m * 3 * group * 48, 2);
    let with = |threads: usize, chunks: &[usize]| {
        let pool = ThreadPool::new(threads).unwrap();
        let (half, int8) = (Cache::<f16>::new(3, past + m, 48, 1), Cache::<Int8Block>::new(3, past + m, 48, 1));
        pool.install(|| {
            [in_chunks(&half, &query, 3 * group, past, chunks), in_chunks(&int8, &query, 3 * group, past, chunks)]
                .concat()
        })
    };
    let whole = with(1, &[m]);
    for (threads, chunks) in [(4, vec![m]), (1, vec![1; m]), (3, vec![1, 7, 62, 50]), (16, vec![2; m / 2])] {
        let other = with(threads, &chunks);
        let differences = other.iter().zip(&whole).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        assert_eq!(differences, 0, "{threads} threads, chunks of {chunks:?}");
    }
}

#[test]
fn not_a_number_stays_in_the_rows_that_saw_it() {
    let mut cache = Cache::<f32>::new(1, 100, 16, 3);
    f32::round_key(&[f32::NAN; 16], &mut cache.keys[70 / KEY_PANEL * KEY_PANEL * 16..], 70 % KEY_PANEL);
    let query = queries(100 * 16, 4);
    for unit in Unit::available() {
        let mut out = vec![0.0; query.len()];
        causal(unit, &query, 1, &cache.view(), 0).run(100, &mut out);
        let is_nan: Vec<bool> = out.chunks(16).map(|row| row.iter().all(|x| x.is_nan())).collect();
        assert_eq!(is_nan, (0..100).map(|row| row >= 70).collect::<Vec<_>>(), "{unit:?}");
    }
}

#[test]
fn large_scores_do_not_overflow() {
    let mut cache = Cache::<f32>::new(1, 300, 8, 3);
    cache.keys.iter_mut().for_each(|key| *key *= 1e4);
    let query: Vec<f32> = queries(8, 4);
    for unit in Unit::available() {
        let mut out = vec![f32::NAN; 8];
        causal(unit, &query, 1, &cache.view(), 299).run(1, &mut out);
        assert!(out.iter().all(|x| x.abs() <= 1.0), "{unit:?}: {out:?}");
    }
}

#[test]
#[should_panic(expected = "positions in a cache for")]
fn a_cache_without_room_is_refused() {
    let cache = Cache::<f16>::new(1, KEY_PANEL, 8, 0);
    attend_causal(&[0.0; 16], 2, 1, &cache.view(), KEY_PANEL - 1, &mut [0.0; 16]);
}
