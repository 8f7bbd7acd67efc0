//! The vision graph: opened late, and never given what does not fit.

#![allow(clippy::unwrap_used, reason = "functions beside the tests are parts of them")]

mod common;

use common::{ENGINES, engine_of};
use qvl_checkpoint::Grid;
use qvl_engine::{Encoding, EngineChoice};

fn grid(t: usize, h: usize, w: usize) -> Grid {
    Grid { t, h, w }
}

#[test]
fn the_vision_graph_is_opened_with_the_first_picture() {
    ENGINES.into_iter().for_each(check_opening);
}

fn check_opening(choice: EngineChoice) {
    let mut engine = engine_of(choice, "dense-tied");
    let patch = engine.config().vision.patch_len();
    let opened = engine.load_time();
    let features = engine.encode(&vec![0.5; 24 * patch], &[grid(1, 4, 6)]).unwrap();
    let with_vision = engine.load_time();
    assert!(with_vision > opened);
    assert_eq!((features.rows, features.width), (6, engine.config().packed_width()));
    assert_eq!(features.data.len(), features.rows * features.width);
    engine.encode(&vec![0.5; 8 * patch], &[grid(2, 2, 2)]).unwrap();
    assert_eq!(engine.load_time(), with_vision, "it stays open");
}

#[test]
fn grids_and_pixel_values_are_checked_before_the_graph_sees_them() {
    ENGINES.into_iter().for_each(check_refusals);
}

fn check_refusals(choice: EngineChoice) {
    let mut engine = engine_of(choice, "dense-tied");
    let patch = engine.config().vision.patch_len();
    let mut refuse = |values: usize, grids: &[Grid]| engine.encode(&vec![0.0; values], grids).unwrap_err().to_string();
    assert_eq!(refuse(0, &[]), "there are no pictures to encode");
    for odd in [grid(1, 3, 2), grid(1, 2, 3), grid(0, 2, 2), grid(1, 0, 2), grid(1, 2, 0)] {
        let error = refuse(odd.t * odd.h * odd.w * patch, &[odd]);
        assert!(error.contains("cannot be merged") && error.contains("multiples of 2"), "{error}");
    }
    assert_eq!(
        refuse(4 * patch - 1, &[grid(1, 2, 2)]),
        format!("{} pixel values do not fill the grids, which take {}", 4 * patch - 1, 4 * patch)
    );
    assert!(refuse(4 * patch, &[grid(1, 2, 2), grid(1, 2, 2)]).contains("do not fill"));
    let huge = grid(2, usize::MAX - 1, usize::MAX - 1);
    assert!(refuse(4 * patch, &[huge]).contains("do not fill"));
    assert!(refuse(4 * patch, &[grid(1, 2, 2), huge]).contains("do not fill"));
}

#[test]
fn interleaved_encodings_give_what_each_alone_gives() {
    ENGINES.into_iter().for_each(check_interleaving);
}

fn check_interleaving(choice: EngineChoice) {
    let mut engine = engine_of(choice, "dense-tied");
    let patch = engine.config().vision.patch_len();
    let values = |grids: &[Grid], step: f32| -> Vec<f32> {
        let count = grids.iter().map(Grid::patches).sum::<usize>() * patch;
        (0..count).map(|index| (index as f32 * step).sin()).collect()
    };
    // Several pictures, and a video that goes through the tower in two parts.
    let pictures = [vec![grid(1, 4, 6), grid(1, 2, 2)], vec![grid(3, 46, 44)]];
    let pixels = [values(&pictures[0], 0.37), values(&pictures[1], 0.61)];
    let mut encodings = [Encoding::new(&pictures[0]), Encoding::new(&pictures[1])];
    let mut found = [None, None];
    while found.iter().any(Option::is_none) {
        for ((found, encoding), pixels) in found.iter_mut().zip(&mut encodings).zip(&pixels) {
            if found.is_none() {
                *found = engine.encode_part(encoding, pixels).unwrap();
            }
        }
    }
    for ((found, grids), pixels) in found.into_iter().zip(&pictures).zip(&pixels) {
        assert_eq!(found.unwrap(), engine.encode(pixels, grids).unwrap(), "{choice}");
    }
}
