//! The rotary tables of the text decoder (§5.2).

use qvl_checkpoint::TextConfig;
use qvl_kernels::{for_each, rotate};

/// Fewer rows than this are rotated sooner than they are handed to another thread.
const ROWS_AT_ONCE: usize = 16;

/// Interleaved M-RoPE: each frequency turns with the position on one axis.
#[derive(Debug)]
pub(super) struct RotaryAngles {
    /// Frequency and axis, for each half of a head.
    frequencies: Vec<(f32, usize)>,
    /// YaRN's attention factor, 1 without YaRN.
    factor: f32,
}

/// Cosines and sines of the new positions, [tokens, head size / 2].
#[derive(Debug)]
pub(super) struct RotaryTables {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RotaryAngles {
    pub(super) fn new(config: &TextConfig) -> Self {
        let frequencies = config.rope.inverse_frequencies(config.head_dim).into_iter().enumerate();
        let frequencies = frequencies.map(|(k, frequency)| (frequency, config.rope.axis_of_frequency(k)));
        Self { frequencies: frequencies.collect(), factor: config.rope.attention_factor() }
    }

    /// The tables for `positions` on the axes time, height, width.
    pub(super) fn tables(&self, positions: &[[i64; 3]]) -> RotaryTables {
        let angle = |position: &[i64; 3], &(frequency, axis): &(f32, usize)| position[axis] as f32 * frequency;
        let angles = positions.iter().flat_map(|position| self.frequencies.iter().map(move |f| angle(position, f)));
        let (cos, sin) = angles.map(|angle| (angle.cos() * self.factor, angle.sin() * self.factor)).unzip();
        RotaryTables { half: self.frequencies.len(), cos, sin }
    }
}

impl RotaryTables {
    /// Rotates the heads of the rows `x` [rows, width], which are those of the tokens from number `first` on.
    pub(super) fn rotate(&self, x: &mut [f32], width: usize, first: usize) {
        for_each(x.chunks_mut(ROWS_AT_ONCE * width).enumerate(), |(piece, x)| {
            for (row, x) in (first + piece * ROWS_AT_ONCE..).zip(x.chunks_exact_mut(width)) {
                let (cos, sin) = self.row(row);
                rotate(x, cos, sin);
            }
        });
    }

    fn row(&self, token: usize) -> (&[f32], &[f32]) {
        let row = token * self.half..(token + 1) * self.half;
        (&self.cos[row.clone()], &self.sin[row])
    }
}

#[cfg(test)]
mod tests {
    use qvl_checkpoint::Config;

    use super::*;

    #[test]
    fn a_frequency_turns_with_its_axis() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/tiny/dense-tied/config.json");
        let config = Config::read(path.as_ref()).unwrap().text;
        let angles = RotaryAngles::new(&config);
        let frequencies = config.rope.inverse_frequencies(config.head_dim);
        let tables = angles.tables(&[[0; 3], [3, 5, 70]]);
        let rows = [tables.row(0), tables.row(1)];
        assert!(rows[0].0.iter().all(|&cos| cos == 1.0) && rows[0].1.iter().all(|&sin| sin == 0.0));
        for (k, frequency) in frequencies.iter().enumerate() {
            let angle = [3.0, 5.0, 70.0][config.rope.axis_of_frequency(k)] * frequency;
            assert_eq!((rows[1].0[k], rows[1].1[k]), (angle.cos(), angle.sin()));
        }
    }

    #[test]
    fn rows_are_rotated_by_their_tokens() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/tiny/dense-tied/config.json");
        let config = Config::read(path.as_ref()).unwrap().text;
        let positions: Vec<[i64; 3]> = (0..50).map(|i| [i, i / 7, i % 7]).collect();
        let tables = RotaryAngles::new(&config).tables(&positions);
        let width = 2 * config.head_dim;
        let rows: Vec<f32> = (0..40 * width).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut rotated = rows.clone();
        tables.rotate(&mut rotated, width, 10);
        for (token, (before, after)) in (10..).zip(rows.chunks(width).zip(rotated.chunks(width))) {
            let mut expected = before.to_vec();
            rotate(&mut expected, tables.row(token).0, tables.row(token).1);
            assert_eq!(after, expected);
        }
    }
}
