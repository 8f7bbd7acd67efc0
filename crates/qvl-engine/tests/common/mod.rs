//! What the tests share: the library, packages of the tiny checkpoints, engines.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "these functions are parts of tests")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use qvl_engine::{Engine, EngineChoice, EngineOptions, runtime};
use qvl_export::{ExportOptions, NoProgress, Precision};
use qvl_package::PackageDir;

/// The project's reference data.
pub const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference");

/// Options that name the library of this machine, installing it if there is none.
pub fn options() -> EngineOptions {
    let library = runtime::locate_or_install().unwrap();
    EngineOptions { ort_library: Some(library.path), threads: Some(2), ..EngineOptions::default() }
}

/// Options for either engine, which makes it compute in single precision where the package does.
pub fn options_of(engine: EngineChoice) -> EngineOptions {
    EngineOptions { engine, precise: engine == EngineChoice::Cpu, ..options() }
}

/// The two engines.
pub const ENGINES: [EngineChoice; 2] = [EngineChoice::Ort, EngineChoice::Cpu];

/// A kind of package.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind {
    pub precision: Precision,
    pub all_logits: bool,
}

/// What most tests want: single precision, logits of the last position.
pub const FP32: Kind = Kind { precision: Precision::Fp32, all_logits: false };

/// A package of the tiny checkpoint `name`, exported once in a run of a test program.
pub fn package_of_kind(name: &str, kind: Kind) -> PackageDir {
    static EXPORTED: Mutex<Option<HashMap<(String, Kind), PathBuf>>> = Mutex::new(None);
    let mut exported = EXPORTED.lock().unwrap();
    let path = exported.get_or_insert_default().entry((name.to_owned(), kind)).or_insert_with(|| export(name, kind));
    PackageDir::open(path).unwrap()
}

fn export(name: &str, kind: Kind) -> PathBuf {
    let rows = if kind.all_logits { "all" } else { "last" };
    // Test programs may run at once, and each replaces its own package only.
    let program = std::env::current_exe().unwrap().file_stem().unwrap().to_owned();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(program);
    std::fs::create_dir_all(&directory).unwrap();
    let output = directory.join(format!("{name}-{}-{rows}", kind.precision));
    let options = ExportOptions {
        precision: kind.precision,
        all_logits: kind.all_logits,
        overwrite: true,
        ..ExportOptions::new(&output)
    };
    qvl_export::export(&Path::new(REFERENCE).join("tiny").join(name), &options, &NoProgress).unwrap();
    output
}

/// A package of the tiny checkpoint `name` in single precision.
pub fn package(name: &str) -> PackageDir {
    package_of_kind(name, FP32)
}

/// An engine for a package of the tiny checkpoint `name`.
pub fn engine(name: &str) -> Box<dyn Engine> {
    qvl_engine::open(&package(name), &options()).unwrap()
}

/// An engine of either kind for a package of the tiny checkpoint `name`.
pub fn engine_of(engine: EngineChoice, name: &str) -> Box<dyn Engine> {
    qvl_engine::open(&package(name), &options_of(engine)).unwrap()
}

/// Asserts that two arrays are of one length and nowhere differ by more than `tolerance`.
#[track_caller]
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    let difference = difference(found, expected);
    assert!(difference <= tolerance, "{what}: the largest difference is {difference}");
}

/// The largest difference of two arrays of one length; NaN if there is a NaN.
pub fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |largest, d| if d > largest || d.is_nan() { d } else { largest })
}

/// The cosine of the angle between two vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
