//! Steps of several sequences at once, rows for all tokens of a prompt, and forks: on the engine `cpu` each gives the very
//! bits that a sequence alone and one token after another give.

#![allow(clippy::unwrap_used, reason = "functions beside the tests are parts of them")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use common::{ENGINES, Kind, REFERENCE, assert_close, engine_of, options_of, package_of_kind};
use proptest::prelude::*;
use qvl_engine::{
    DecodeStep, Engine, EngineChoice, EngineError, EngineOptions, KvPrecision, Logits, Prefill, SequenceId,
};
use qvl_export::{ExportOptions, NoProgress, Precision};
use qvl_package::PackageDir;

/// What is run: dense and with experts, in blocks and in floats, rounded and in single precision.
const PACKAGES: [(&str, Precision); 4] = [
    ("dense-untied", Precision::Int4),
    ("moe", Precision::Int8),
    ("moe", Precision::Fp32),
    ("dense-tied", Precision::Fp16),
];

/// Ways to compute: whether precisely, and what keys and values are kept in.
const WAYS: [(bool, KvPrecision); 3] =
    [(false, KvPrecision::Auto), (true, KvPrecision::Auto), (false, KvPrecision::Int8)];

fn open(checkpoint: &str, precision: Precision, (precise, kv_cache): (bool, KvPrecision)) -> Box<dyn Engine> {
    let package = package_of_kind(checkpoint, Kind { precision, all_logits: false });
    let options = EngineOptions { precise, kv_cache, prefill_chunk: 64, ..options_of(EngineChoice::Cpu) };
    qvl_engine::open(&package, &options).unwrap()
}

/// Tokens that differ from sequence to sequence.
fn token(sequence: usize, place: usize) -> u32 {
    ((sequence * 331 + place * 37 + 11) % 1200) as u32
}

/// A position as behind a picture, where fewer positions than tokens have gone by.
fn position(sequence: usize, place: usize) -> i64 {
    (place - place.min(sequence)) as i64
}

fn step(id: SequenceId, sequence: usize, place: usize) -> DecodeStep {
    DecodeStep { sequence: id, token: token(sequence, place), position: position(sequence, place) }
}

/// A sequence with `len` tokens in it, and their logits.
fn begin(engine: &mut dyn Engine, sequence: usize, len: usize) -> (SequenceId, Logits) {
    let id = engine.open_sequence(len).unwrap();
    let token_ids: Vec<u32> = (0..len).map(|place| token(sequence, place)).collect();
    let positions: Vec<[i64; 3]> = (0..len).map(|place| [position(sequence, place); 3]).collect();
    let prompt = Prefill { token_ids: &token_ids, positions: &positions, features: None };
    let logits = engine.prefill_all(id, &prompt).unwrap();
    (id, logits)
}

fn decode(engine: &mut dyn Engine, step: &DecodeStep) -> Logits {
    engine.decode(step.sequence, step.token, step.position).unwrap()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// Decodes sequences of these lengths in batches, each of those that `turns` names in its order, and the same sequences
/// alone.
fn check_batches(engine: &mut dyn Engine, lengths: &[usize], turns: &[Vec<usize>]) {
    let ids: Vec<_> = (0..).zip(lengths).map(|(sequence, &len)| begin(engine, sequence, len).0).collect();
    let alone: Vec<_> = ids.iter().zip(lengths).map(|(&id, &len)| engine.fork(id, len).unwrap()).collect();
    let mut lengths = lengths.to_vec();
    for turn in turns {
        let steps = |ids: &[SequenceId]| -> Vec<DecodeStep> {
            turn.iter().map(|&sequence| step(ids[sequence], sequence, lengths[sequence])).collect()
        };
        let batch = engine.decode_batch(&steps(&ids)).unwrap();
        assert_eq!((batch.rows, batch.data.len()), (turn.len(), turn.len() * batch.vocab));
        for (row, step) in batch.data.chunks(batch.vocab).zip(steps(&alone)) {
            assert!(bits(row) == bits(decode(engine, &step).last()), "{turn:?} with lengths {lengths:?}");
        }
        turn.iter().for_each(|&sequence| lengths[sequence] += 1);
    }
    for (id, len) in ids.iter().chain(&alone).zip(lengths.iter().chain(&lengths)) {
        assert_eq!(engine.len(*id), Some(*len));
        engine.close_sequence(*id);
    }
}

/// Lengths of some sequences, and which of them take part in a number of batches.
fn batches() -> impl Strategy<Value = (Vec<usize>, Vec<Vec<usize>>)> {
    prop::collection::vec(1..150_usize, 1..9).prop_flat_map(|lengths| {
        let all: Vec<usize> = (0..lengths.len()).collect();
        let turn = Just(all).prop_shuffle().prop_flat_map(|all| (0..=all.len()).prop_map(move |n| all[..n].to_vec()));
        (Just(lengths), prop::collection::vec(turn, 1..4))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_batch_gives_what_its_sequences_give_alone(
        (lengths, turns) in batches(),
        (checkpoint, precision) in prop::sample::select(PACKAGES.to_vec()),
        way in prop::sample::select(WAYS.to_vec()),
    ) {
        check_batches(open(checkpoint, precision, way).as_mut(), &lengths, &turns);
    }
}

/// Long pasts are cut into stretches that threads share.
#[test]
fn a_batch_of_long_and_short_sequences() {
    let mut engine = open("dense-untied", Precision::Int4, WAYS[0]);
    let turns = [vec![0, 1, 2, 3], vec![3, 0], vec![2, 3, 1, 0]];
    check_batches(engine.as_mut(), &[1100, 3, 2100, 1023], &turns);
}

#[test]
fn all_rows_of_a_prompt_are_those_of_its_tokens() {
    for (checkpoint, precision) in PACKAGES {
        for way in WAYS {
            let mut engine = open(checkpoint, precision, way);
            assert!(engine.gives_all_rows());
            let (id, rows) = begin(engine.as_mut(), 1, 90);
            let alone = begin(engine.as_mut(), 1, 1);
            assert_eq!((rows.rows, rows.data.len()), (90, 90 * rows.vocab));
            let mut rows = rows.data.chunks(rows.vocab);
            assert_eq!(bits(rows.next().unwrap()), bits(&alone.1.data));
            for (place, row) in (1..).zip(rows) {
                let logits = decode(engine.as_mut(), &step(alone.0, 1, place));
                assert!(bits(row) == bits(logits.last()), "{checkpoint} {precision}, {way:?}: {place}");
            }
            assert_eq!(engine.sequence_bytes(id), engine.sequence_bytes(alone.0));
        }
    }
}

/// A draft of which some is cut back leaves no trace.
#[test]
fn a_rejected_draft_leaves_no_trace() {
    let mut engine = open("moe", Precision::Int8, WAYS[0]);
    let (id, _) = begin(engine.as_mut(), 0, 40);
    let alone = engine.fork(id, 40).unwrap();
    let draft =
        Prefill { token_ids: &[token(0, 40), 999, 998], positions: &[[40; 3], [41; 3], [42; 3]], features: None };
    let rows = engine.prefill_all(id, &draft).unwrap();
    engine.truncate(id, 41).unwrap();
    let expected = decode(engine.as_mut(), &step(alone, 0, 40));
    assert_eq!(bits(&rows.data[..rows.vocab]), bits(expected.last()));
    let [found, expected] = [id, alone].map(|id| decode(engine.as_mut(), &step(id, 0, 41)));
    assert_eq!(bits(found.last()), bits(expected.last()));
}

#[test]
fn onnx_runtime_gives_all_rows_where_its_graph_does() {
    let open = |all_logits| {
        let package = package_of_kind("dense-tied", Kind { precision: Precision::Fp32, all_logits });
        qvl_engine::open(&package, &options_of(EngineChoice::Ort)).unwrap()
    };
    let mut last_row = open(false);
    assert!(!last_row.gives_all_rows());
    let id = last_row.open_sequence(2).unwrap();
    let prompt = Prefill { token_ids: &[1, 2], positions: &[[0; 3], [1; 3]], features: None };
    let error = last_row.prefill_all(id, &prompt).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the package's text graph gives logits for a prompt's last position only; export the checkpoint with \
         --all-logits, or use --engine cpu"
    );
    assert_eq!(last_row.len(id), Some(0));
    let mut all_rows = open(true);
    assert!(all_rows.gives_all_rows());
    assert_eq!(begin(all_rows.as_mut(), 0, 30).1.rows, 30);
}

/// A package whose context ends at 20 tokens.
fn small_context() -> &'static PackageDir {
    static PACKAGE: OnceLock<(tempfile::TempDir, PackageDir)> = OnceLock::new();
    let (_, package) = PACKAGE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let checkpoint = directory.path().join("checkpoint");
        fs::create_dir(&checkpoint).unwrap();
        for file in fs::read_dir(Path::new(REFERENCE).join("tiny/dense-tied")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), checkpoint.join(file.file_name())).unwrap();
        }
        let config = fs::read_to_string(checkpoint.join("config.json")).unwrap();
        let config = config.replace("\"max_position_embeddings\": 262144", "\"max_position_embeddings\": 20");
        fs::write(checkpoint.join("config.json"), config).unwrap();
        let options =
            ExportOptions { precision: Precision::Fp32, ..ExportOptions::new(directory.path().join("package")) };
        qvl_export::export(&checkpoint, &options, &NoProgress).unwrap();
        let package = PackageDir::open(&options.output).unwrap();
        (directory, package)
    });
    package
}

#[test]
fn a_refused_batch_leaves_all_sequences_as_they_were() {
    for choice in ENGINES {
        let mut engine = qvl_engine::open(small_context(), &options_of(choice)).unwrap();
        let fill = |engine: &mut dyn Engine, sequence, len: usize| {
            let id = engine.open_sequence(len).unwrap();
            (0..len).for_each(|place| drop(decode(engine, &step(id, sequence, place))));
            id
        };
        let [short, other, full] = [(0, 5), (1, 7), (2, 20)].map(|(of, len)| fill(engine.as_mut(), of, len));
        let [short_step, other_step] = [step(short, 0, 5), step(other, 1, 7)];
        let [twin, other_twin] = [(short, 5), (other, 7)].map(|(id, len)| engine.fork(id, len).unwrap());
        let [short_next, other_next] = [step(twin, 0, 5), step(other_twin, 1, 7)].map(|s| decode(engine.as_mut(), &s));
        engine.close_sequence(twin);

        let mut refuse = |steps: &[DecodeStep]| {
            let error = engine.decode_batch(steps).unwrap_err();
            let lengths = [short, other, full].map(|id| engine.len(id).unwrap());
            assert_eq!(lengths, [5, 7, 20], "{choice}: {error}");
            error
        };
        let twice = refuse(&[short_step, other_step, short_step]);
        assert!(matches!(twice, EngineError::TwiceInBatch(id) if id == short), "{choice}: {twice}");
        let closed = refuse(&[short_step, DecodeStep { sequence: twin, ..other_step }]);
        assert!(matches!(closed, EngineError::NoSequence(id) if id == twin), "{choice}: {closed}");
        let context = refuse(&[short_step, other_step, step(full, 2, 20)]);
        assert!(matches!(context, EngineError::Context { needed: 21, limit: 20 }), "{choice}: {context}");
        let unknown = refuse(&[short_step, DecodeStep { token: 1280, ..other_step }]);
        assert!(matches!(unknown, EngineError::Token { token: 1280, vocab: 1280 }), "{choice}: {unknown}");

        assert_eq!(engine.decode_batch(&[]).unwrap().rows, 0, "{choice}");
        let batch = engine.decode_batch(&[other_step, short_step]).unwrap();
        assert_eq!(batch.rows, 2, "{choice}");
        assert_eq!(batch.data, [other_next.data, short_next.data].concat(), "{choice}");
    }
}

#[test]
fn a_fork_goes_its_own_way() {
    for choice in ENGINES {
        let mut engine = engine_of(choice, "dense-tied");
        // Beyond the room that either begins with.
        let id = engine.open_sequence(400).unwrap();
        (0..400).for_each(|place| drop(decode(engine.as_mut(), &step(id, 0, place))));
        let [whole, half] = [400, 200].map(|len| engine.fork(id, len).unwrap());
        let others: Vec<_> = (0..250).map(|place| decode(engine.as_mut(), &step(half, 5, 200 + place))).collect();
        for place in 400..420 {
            let [expected, found] = [id, whole].map(|id| decode(engine.as_mut(), &step(id, 0, place)));
            assert_eq!(found, expected, "{choice}: the original and its fork");
        }
        engine.truncate(id, 200).unwrap();
        for (place, expected) in others.iter().enumerate() {
            let found = decode(engine.as_mut(), &step(id, 5, 200 + place));
            assert_close(found.last(), expected.last(), 0.0, &format!("{choice}: the original after {place} tokens"));
        }
        let empty = engine.fork(id, 0).unwrap();
        assert_eq!([whole, half, empty].map(|id| engine.len(id)), [Some(420), Some(450), Some(0)], "{choice}");
        let error = engine.fork(empty, 1).unwrap_err().to_string();
        assert_eq!(error, "a sequence of 0 tokens has no first 1 to copy", "{choice}");
        engine.close_sequence(half);
        assert!(matches!(engine.fork(half, 1), Err(EngineError::NoSequence(id)) if id == half), "{choice}");
    }
}

#[test]
fn bytes_are_those_of_the_tokens() {
    let text = &package_of_kind("dense-tied", common::FP32).config().text.clone();
    let numbers = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim;
    for choice in ENGINES {
        let mut engine = engine_of(choice, "dense-tied");
        assert_eq!(engine.bytes_per_token(), 4 * numbers, "{choice}");
        let id = engine.open_sequence(10).unwrap();
        (0..10).for_each(|place| drop(decode(engine.as_mut(), &step(id, 0, place))));
        let bytes = engine.sequence_bytes(id).unwrap();
        // ONNX Runtime is given all the room at once.
        let tokens = if choice == EngineChoice::Cpu { 10 } else { 256 };
        assert_eq!(bytes, tokens * engine.bytes_per_token(), "{choice}");
        engine.close_sequence(id);
        assert_eq!(engine.sequence_bytes(id), None, "{choice}");
    }
}
