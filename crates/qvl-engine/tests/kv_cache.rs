//! What keys and values are kept in: the memory that it takes and what it costs.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "functions beside the tests are parts of them")]

mod common;

use common::{Kind, cosine, options_of, package_of_kind};
use qvl_engine::{Engine, EngineChoice, EngineOptions, KvPrecision, Prefill};
use qvl_export::Precision;

fn open(checkpoint: &str, precision: Precision, precise: bool, kv_cache: KvPrecision) -> Box<dyn Engine> {
    let package = package_of_kind(checkpoint, Kind { precision, all_logits: false });
    let options = EngineOptions { precise, kv_cache, ..options_of(EngineChoice::Cpu) };
    qvl_engine::open(&package, &options).unwrap()
}

/// Logits at all positions of a prompt, most of which is read from the cache.
fn logits(engine: &mut dyn Engine) -> Vec<f32> {
    let token_ids: Vec<u32> = (0..300).map(|i| (i * 37 + 11) % 1200).collect();
    let positions: Vec<[i64; 3]> = (0..300).map(|i| [i; 3]).collect();
    let id = engine.open_sequence(300).unwrap();
    engine.prefill_all(id, &Prefill { token_ids: &token_ids, positions: &positions, features: None }).unwrap().data
}

#[test]
fn a_token_takes_as_many_bytes_as_its_elements() {
    use KvPrecision::{Auto, F16, F32, Int8};
    for (precision, precise, kv_cache, head_bytes) in [
        (Precision::Int4, false, Auto, 64),
        (Precision::Int4, true, Auto, 128),
        (Precision::Fp32, false, Auto, 128),
        (Precision::Fp32, true, F16, 64),
        (Precision::Int4, false, F32, 128),
        (Precision::Int4, false, Int8, 34),
        (Precision::Fp32, true, Int8, 34),
    ] {
        let engine = open("dense-tied", precision, precise, kv_cache);
        let text = &engine.config().text;
        assert_eq!(text.head_dim, 32);
        let heads = 2 * text.num_hidden_layers * text.num_key_value_heads;
        assert_eq!(engine.bytes_per_token(), heads * head_bytes, "{precision}, precise {precise}, {kv_cache}");
    }
}

/// Random weights forgive no rounding; that of weights to 8 bits is the measure.
#[test]
fn int8_keys_and_values_cost_less_than_int8_weights() {
    for checkpoint in ["dense-tied", "dense-untied"] {
        let run = |precision, kv_cache| logits(open(checkpoint, precision, true, kv_cache).as_mut());
        let exact = run(Precision::Fp32, KvPrecision::F32);
        let loss = |found: Vec<f32>| 1.0 - cosine(&found, &exact);
        let [half, int8] = [KvPrecision::F16, KvPrecision::Int8].map(|kv| loss(run(Precision::Fp32, kv)));
        let weights = loss(run(Precision::Int8, KvPrecision::F32));
        println!(
            "{checkpoint}: 1 - cosine is {half:.2e} with f16, {int8:.2e} with int8, {weights:.2e} with int8 weights"
        );
        assert!(0.0 < half && half < int8 && int8 < weights, "{checkpoint}");
    }
}
