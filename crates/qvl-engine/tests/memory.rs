//! Memory: a step of a decode takes none that it does not give back.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "functions beside the tests are parts of them")]

mod common;

use common::{ENGINES, engine_of};
use qvl_engine::Prefill;

/// Memory that the process holds, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

// The only test of this program, or another one's memory would be counted too.
#[test]
fn a_long_decode_stays_flat() {
    for choice in ENGINES {
        let mut engine = engine_of(choice, "dense-tied");
        let id = engine.open_sequence(3000).unwrap();
        let token_ids: Vec<u32> = (0..1500).map(|i| i % 1000).collect();
        let positions: Vec<[i64; 3]> = (0..1500).map(|i| [i; 3]).collect();
        engine.prefill(id, &Prefill { token_ids: &token_ids, positions: &positions, features: None }).unwrap();
        for step in 0..200 {
            engine.decode(id, 5, 1500 + step).unwrap();
        }
        let before = resident();
        for step in 200..1400 {
            engine.decode(id, 5, 1500 + step).unwrap();
        }
        let after = resident();
        // A copy of the past in each step would take 2 MiB of this tiny model's cache; a leak of 10 KiB a step, 12 MiB.
        // The 1200 steps' own keys and values are up to 2.4 MiB.
        assert!(after < before + 4096, "{choice}: {before} KiB before, {after} KiB after");
    }
}
