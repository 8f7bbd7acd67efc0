//! What holds for the positions of any prompt.
#![allow(clippy::unwrap_used, reason = "the inputs fit by construction")]

use proptest::prelude::*;
use qvl_checkpoint::Grid;
use qvl_processor::{TokenType, positions};

/// A stretch of a prompt.
#[derive(Clone, Debug)]
enum Piece {
    Text(usize),
    Visual(TokenType, Grid),
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let text = (1..30_usize).prop_map(Piece::Text);
    let image =
        (1..9_usize, 1..9_usize).prop_map(|(h, w)| Piece::Visual(TokenType::Image, Grid { t: 1, h: 2 * h, w: 2 * w }));
    let video = (1..4_usize, 1..5_usize, 1..5_usize)
        .prop_map(|(t, h, w)| Piece::Visual(TokenType::Video, Grid { t, h: 2 * h, w: 2 * w }));
    prop::collection::vec(prop_oneof![text, image, video], 0..12)
}

/// Types and grids of a prompt in which a text token follows every frame.
fn prompt(pieces: &[Piece]) -> (Vec<TokenType>, Vec<Grid>) {
    let (mut types, mut grids) = (Vec::new(), Vec::new());
    for piece in pieces {
        match *piece {
            Piece::Text(length) => types.extend(vec![TokenType::Text; length]),
            Piece::Visual(kind, grid) => {
                for _ in 0..grid.t {
                    types.extend(vec![kind; grid.h * grid.w / 4]);
                    types.push(TokenType::Text);
                }
                grids.push(grid);
            }
        }
    }
    (types, grids)
}

proptest! {
    #[test]
    fn positions_are_consistent(pieces in pieces()) {
        let (types, grids) = prompt(&pieces);
        let (found, delta) = positions(&types, &grids, 2).unwrap();
        prop_assert_eq!(found.len(), types.len());
        // The next token's position lies right behind every position used so far.
        let greatest = found.iter().flatten().max().map_or(0, |max| max + 1);
        prop_assert_eq!(i64::try_from(types.len()).unwrap() + delta, greatest);
        prop_assert!(delta <= 0);
        let mut last_text = -1;
        let mut greatest = -1;
        for (kind, position) in types.iter().zip(&found) {
            let [t, h, w] = *position;
            prop_assert!(h >= t && w >= t && t > last_text);
            if *kind == TokenType::Text {
                prop_assert!(t == h && h == w && t == greatest + 1);
                last_text = t;
            }
            greatest = greatest.max(h).max(w);
        }
    }

    #[test]
    fn a_frame_covers_its_rectangle_once(h in 1..20_usize, w in 1..20_usize) {
        let grid = Grid { t: 1, h: 2 * h, w: 2 * w };
        let (mut found, _) = positions(&vec![TokenType::Image; h * w], &[grid], 2).unwrap();
        found.sort_unstable();
        found.dedup();
        prop_assert_eq!(found.len(), h * w);
        let [t, last_h, last_w] = found[h * w - 1];
        prop_assert_eq!([t, last_h + 1, last_w + 1], [0, h, w].map(|n| i64::try_from(n).unwrap()));
    }

    #[test]
    fn a_missing_or_spare_token_is_an_error(pieces in pieces(), at in any::<prop::sample::Index>()) {
        let (mut types, grids) = prompt(&pieces);
        prop_assume!(types.iter().any(|kind| *kind != TokenType::Text));
        let visual: Vec<usize> = (0..types.len()).filter(|&i| types[i] != TokenType::Text).collect();
        let at = visual[at.index(visual.len())];
        types.insert(at, types[at]);
        prop_assert!(positions(&types, &grids, 2).is_err());
        types.drain(at..=at + 1);
        prop_assert!(positions(&types, &grids, 2).is_err());
    }
}
