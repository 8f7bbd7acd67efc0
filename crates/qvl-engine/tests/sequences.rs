//! Sequences: however a token history comes about, the logits are those of the history.

#![allow(clippy::unwrap_used, reason = "functions beside the tests are parts of them")]

mod common;

use common::{assert_close, difference, engine_of, options_of, package};
use qvl_engine::{Engine, EngineChoice, EngineError, EngineOptions, Features, Prefill, SequenceId};

/// Logits may differ by this much where the same sums are taken in another order.
const TOLERANCE: f32 = 1e-4;

/// The tests, each for both engines.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod ort {
            $(#[test] fn $name() { super::$name(super::EngineChoice::Ort) })*
        }
        mod cpu {
            $(#[test] fn $name() { super::$name(super::EngineChoice::Cpu) })*
        }
    };
}

on_both_engines!(
    chunks_give_what_one_run_gives,
    features_go_to_their_own_chunks,
    decoding_gives_what_prefilling_gives,
    truncating_leaves_no_trace,
    sequences_do_not_see_each_other,
    a_sequence_grows_beyond_its_capacity,
    a_refused_call_leaves_the_sequence_as_it_was,
);

/// `count` tokens of no meaning, without placeholders.
fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| (i * 37 + 11) % 1200).collect()
}

fn positions(count: usize) -> Vec<[i64; 3]> {
    (0..count as i64).map(|i| [i; 3]).collect()
}

fn prefill(engine: &mut dyn Engine, id: SequenceId, token_ids: &[u32]) -> Vec<f32> {
    let start = engine.len(id).unwrap();
    let positions = &positions(start + token_ids.len())[start..];
    engine.prefill(id, &Prefill { token_ids, positions, features: None }).unwrap().last().to_vec()
}

/// Logits after `token_ids`, in a new sequence.
fn fresh(engine: &mut dyn Engine, token_ids: &[u32]) -> Vec<f32> {
    let id = engine.open_sequence(token_ids.len()).unwrap();
    let logits = prefill(engine, id, token_ids);
    engine.close_sequence(id);
    logits
}

fn chunks_give_what_one_run_gives(choice: EngineChoice) {
    let all = tokens(150);
    let expected = fresh(engine_of(choice, "dense-tied").as_mut(), &all);
    for prefill_chunk in [1, 7, 64, 149, 150] {
        let options = EngineOptions { prefill_chunk, ..options_of(choice) };
        let mut engine = qvl_engine::open(&package("dense-tied"), &options).unwrap();
        let found = fresh(engine.as_mut(), &all);
        assert_close(&found, &expected, TOLERANCE, &format!("chunks of {prefill_chunk}"));
    }
}

fn features_go_to_their_own_chunks(choice: EngineChoice) {
    let package = package("dense-tied");
    let config = package.config();
    let mut token_ids = tokens(60);
    for place in [3, 4, 5, 20, 21, 40] {
        token_ids[place] = config.image_token_id;
    }
    token_ids[41] = config.video_token_id;
    let (rows, width) = (7, config.packed_width());
    let data = (0..rows * width).map(|i| ((i * 7919) % 2003) as f32 / 1000.0 - 1.0).collect();
    let features = Features { rows, width, data };
    let prompt = Prefill { token_ids: &token_ids, positions: &positions(60), features: Some(&features) };
    let run = |prefill_chunk| {
        let mut engine = qvl_engine::open(&package, &EngineOptions { prefill_chunk, ..options_of(choice) }).unwrap();
        let id = engine.open_sequence(60).unwrap();
        engine.prefill(id, &prompt).unwrap().last().to_vec()
    };
    let expected = run(60);
    for prefill_chunk in [1, 4, 21, 41] {
        assert_close(&run(prefill_chunk), &expected, TOLERANCE, &format!("chunks of {prefill_chunk}"));
    }
    let text_only = fresh(engine_of(choice, "dense-tied").as_mut(), &token_ids);
    assert!(difference(&text_only, &expected) > 0.01, "the features matter");
}

fn decoding_gives_what_prefilling_gives(choice: EngineChoice) {
    let mut engine = engine_of(choice, "dense-tied");
    let all = tokens(40);
    let id = engine.open_sequence(40).unwrap();
    prefill(engine.as_mut(), id, &all[..20]);
    for (place, &token) in all.iter().enumerate().skip(20) {
        let logits = engine.decode(id, token, place as i64).unwrap();
        assert_eq!(logits.rows, 1);
        let expected = fresh(engine.as_mut(), &all[..=place]);
        assert_close(logits.last(), &expected, TOLERANCE, &format!("token {place}"));
    }
    assert_eq!(engine.len(id), Some(40));
}

fn truncating_leaves_no_trace(choice: EngineChoice) {
    let mut engine = engine_of(choice, "dense-tied");
    let (kept, dropped, continued) = (tokens(30), vec![999; 50], vec![17; 12]);
    let expected = fresh(engine.as_mut(), &[kept.clone(), continued.clone()].concat());

    let id = engine.open_sequence(8).unwrap();
    prefill(engine.as_mut(), id, &kept);
    prefill(engine.as_mut(), id, &dropped);
    engine.truncate(id, kept.len()).unwrap();
    assert_eq!(engine.len(id), Some(kept.len()));
    let found = prefill(engine.as_mut(), id, &continued);
    assert_close(&found, &expected, TOLERANCE, "after truncating");

    engine.truncate(id, 0).unwrap();
    let found = prefill(engine.as_mut(), id, &kept);
    assert_eq!(found, fresh(engine.as_mut(), &kept));
}

fn sequences_do_not_see_each_other(choice: EngineChoice) {
    let mut engine = engine_of(choice, "dense-tied");
    let histories = [tokens(50), tokens(90)[40..].to_vec()];
    let expected = histories.each_ref().map(|history| fresh(engine.as_mut(), history));

    let ids = [engine.open_sequence(50).unwrap(), engine.open_sequence(1).unwrap()];
    for (&id, history) in ids.iter().zip(&histories) {
        prefill(engine.as_mut(), id, &history[..40]);
    }
    let mut last = [Vec::new(), Vec::new()];
    for place in 40..50 {
        for (sequence, history) in histories.iter().enumerate() {
            last[sequence] = engine.decode(ids[sequence], history[place], place as i64).unwrap().last().to_vec();
        }
    }
    for (found, expected) in last.iter().zip(&expected) {
        assert_close(found, expected, TOLERANCE, "interleaved");
    }

    engine.close_sequence(ids[0]);
    assert_eq!((engine.len(ids[0]), engine.len(ids[1])), (None, Some(50)));
    assert!(matches!(engine.decode(ids[0], 1, 50), Err(EngineError::NoSequence(id)) if id == ids[0]));
    engine.decode(ids[1], 1, 50).unwrap();
}

fn a_sequence_grows_beyond_its_capacity(choice: EngineChoice) {
    let mut engine = engine_of(choice, "dense-tied");
    let all = tokens(700);
    let roomy = engine.open_sequence(700).unwrap();
    let tight = engine.open_sequence(0).unwrap();
    for (number, piece) in all.chunks(100).enumerate() {
        let expected = prefill(engine.as_mut(), roomy, piece);
        let found = prefill(engine.as_mut(), tight, piece);
        assert_eq!(found, expected, "piece {number}");
    }
    for place in 700..780 {
        let expected = engine.decode(roomy, 5, place).unwrap();
        assert_eq!(engine.decode(tight, 5, place).unwrap(), expected, "token {place}");
    }
}

fn a_refused_call_leaves_the_sequence_as_it_was(choice: EngineChoice) {
    let mut engine = engine_of(choice, "dense-tied");
    let config = engine.config().clone();
    let (vocab, limit) = (config.text.vocab_size, config.text.max_position_embeddings);
    let id = engine.open_sequence(10).unwrap();
    prefill(engine.as_mut(), id, &tokens(10));

    let mut refuse = |token_ids: &[u32], count: usize, features: Option<&Features>| {
        let prompt = Prefill { token_ids, positions: &positions(count), features };
        let error = engine.prefill(id, &prompt).unwrap_err().to_string();
        assert_eq!(engine.len(id), Some(10), "{error}");
        error
    };
    let features = |rows, width| Features { rows, width, data: vec![0.0; rows * width] };
    let width = config.packed_width();
    let image = config.image_token_id;
    assert_eq!(refuse(&[], 0, None), "the prompt has no tokens");
    assert_eq!(refuse(&[1, 2], 1, None), "the prompt has 2 tokens and 1 positions");
    assert_eq!(
        refuse(&[1, vocab as u32], 2, None),
        "token 1280 is not of the vocabulary, which has 1280; the tokenizer does not belong to this package"
    );
    assert_eq!(
        refuse(&[image, image], 2, Some(&features(1, width))),
        "the prompt has 2 picture and video placeholders and 1 rows of features"
    );
    assert_eq!(
        refuse(&[image], 1, Some(&features(1, width - 1))),
        format!("the features have rows of {} values where the model takes {width}", width - 1)
    );
    assert_eq!(
        refuse(&vec![1; limit - 9], limit - 9, None),
        format!(
            "{} tokens do not fit the model's context of {limit}; shorten the prompt or use smaller pictures",
            limit + 1
        )
    );
    assert!(matches!(engine.truncate(id, 11), Err(EngineError::Truncate { len: 11, have: 10 })));
    assert!(matches!(engine.open_sequence(limit + 1), Err(EngineError::Context { .. })));

    let continued = prefill(engine.as_mut(), id, &[7]);
    let expected = fresh(engine.as_mut(), &[tokens(10), vec![7]].concat());
    assert_close(&continued, &expected, TOLERANCE, "after the refusals");
}
