//! The vision tower on grids of many shapes, several in one call, against goldens of `transformers`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use common::{ENGINES, REFERENCE, assert_close, engine_of};
use qvl_checkpoint::Grid;
use qvl_engine::Engine;
use safetensors::SafeTensors;

const PATCH_LEN: u32 = 1536;

/// Largest difference to the golden's features, which are of the order of 1.
const TOLERANCE: f32 = 1e-4;

/// The hash of `reference/vision_cases.py` as a number in [-1, 1).
fn unit(mut x: u32) -> f32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^= x >> 16;
    (x >> 8) as f32 / (1 << 23) as f32 - 1.0
}

/// The pixel values of `reference/vision_cases.py`.
fn pixel_values(rows: u32) -> Vec<f32> {
    let row = |row: u32| {
        let shade = unit(u32::MAX - row);
        (0..PATCH_LEN).map(move |column| (unit(row.wrapping_mul(PATCH_LEN).wrapping_add(column)) + shade) / 2.0)
    };
    (0..rows).flat_map(row).collect()
}

struct Goldens<'a>(SafeTensors<'a>);

impl Goldens<'_> {
    fn floats(&self, name: &str) -> Vec<f32> {
        let bytes = self.0.tensor(name).unwrap().data();
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    fn sizes(&self, name: &str) -> Vec<usize> {
        let bytes = self.0.tensor(name).unwrap().data();
        bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as usize).collect()
    }

    /// Names of the cases.
    fn cases(&self) -> Vec<String> {
        let names = self.0.names();
        let mut cases: Vec<_> =
            names.iter().filter_map(|name| name.strip_suffix(".grid_thw")).map(str::to_owned).collect();
        cases.sort();
        cases
    }
}

fn check(checkpoint: &str) {
    let bytes = std::fs::read(format!("{REFERENCE}/golden/vision_grids/{checkpoint}.safetensors")).unwrap();
    let goldens = Goldens(SafeTensors::deserialize(&bytes).unwrap());
    assert_eq!(goldens.cases().len(), 8);
    for choice in ENGINES {
        println!("{checkpoint} on {choice}");
        check_engine(checkpoint, &goldens, engine_of(choice, checkpoint).as_mut());
    }
}

fn check_engine(checkpoint: &str, goldens: &Goldens<'_>, engine: &mut dyn Engine) {
    let hidden = engine.config().text.hidden_size;
    let parts = 1 + engine.config().deepstack_count();
    for case in goldens.cases() {
        let sizes = goldens.sizes(&format!("{case}.grid_thw"));
        let grids: Vec<Grid> = sizes.chunks_exact(3).map(|s| Grid { t: s[0], h: s[1], w: s[2] }).collect();
        let patches: usize = grids.iter().map(Grid::patches).sum();
        let features = engine.encode(&pixel_values(patches as u32), &grids).unwrap();
        assert_eq!((features.rows, features.width), (patches / 4, parts * hidden));
        let kept = goldens.sizes(&format!("{case}.rows"));
        for part in 0..parts {
            let name = if part == 0 { format!("{case}.features") } else { format!("{case}.deepstack.{}", part - 1) };
            let row = |row: usize| &features.data[row * features.width + part * hidden..][..hidden];
            let found: Vec<f32> = kept.iter().flat_map(|&r| row(r)).copied().collect();
            assert_close(&found, &goldens.floats(&name), TOLERANCE, &format!("{checkpoint}, {name}"));
            // The rows that are not kept are known by their sums, whose errors add up.
            let sums: Vec<f32> =
                (0..features.rows).map(|r| row(r).iter().map(|&v| f64::from(v)).sum::<f64>() as f32).collect();
            let expected = &goldens.floats(&format!("{case}.row_sums"))[part * features.rows..][..features.rows];
            assert_close(&sums, expected, 10.0 * TOLERANCE, &format!("{checkpoint}, sums of {name}"));
        }
    }
}

#[test]
fn grids_of_every_shape_equal_transformers_in_a_dense_model() {
    check("dense-tied");
}

#[test]
fn grids_of_every_shape_equal_transformers_with_odd_sizes() {
    check("dense-untied");
}

#[test]
fn grids_of_every_shape_equal_transformers_with_experts() {
    check("moe");
}

#[test]
fn sixteen_thousand_patches_fit() {
    let grid = Grid { t: 1, h: 128, w: 128 };
    let pixels = pixel_values(grid.patches() as u32);
    for choice in ENGINES {
        let features = engine_of(choice, "dense-tied").encode(&pixels, &[grid]).unwrap();
        assert_eq!(features.rows, 4096, "{choice}");
        assert!(features.data.iter().all(|value| value.is_finite()), "{choice}");
    }
    // A mask or the scores of all patches by all patches would take a gibibyte for each of them.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    assert!(peak.is_none_or(|kib: u64| kib < 1 << 20), "{peak:?} KiB");
}
