//! Running a package: pictures to features, tokens to logits.
//!
//! An [`Engine`] knows numbers only: patches, token ids, positions, logits. It knows no text, no chat and no sampling.
//! [`open`] gives the one that the [`EngineOptions`] name: `ort` runs the package's graphs with ONNX Runtime on a
//! [`Device`], `cpu` computes what they do by itself, on the processor, with the weights in the package's files.
//!
//! ```no_run
//! use qvl_engine::{EngineOptions, Prefill};
//!
//! let package = qvl_package::PackageDir::open("package")?;
//! let mut engine = qvl_engine::open(&package, &EngineOptions::default())?;
//! let sequence = engine.open_sequence(64)?;
//! let prompt = Prefill { token_ids: &[9707], positions: &[[0; 3]], features: None };
//! let logits = engine.prefill(sequence, &prompt)?;
//! # let _ = logits;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ONNX Runtime is loaded as a shared library when the first engine `ort` is opened; [`runtime`] finds and installs it.

mod capacity;
mod choice;
mod cpu;
mod device;
mod engine;
mod error;
mod features;
mod logits;
mod options;
mod ort;
mod pixel_values;
mod prefill;
pub mod runtime;
mod sequence;
mod sequences;
mod vision;

pub use choice::{EngineChoice, UnknownEngine};
pub use device::{Device, UnknownDevice};
pub use engine::Engine;
pub use error::EngineError;
pub use features::Features;
pub use logits::Logits;
pub use options::EngineOptions;
pub use prefill::Prefill;
pub use sequence::SequenceId;
pub use vision::VisionTower;

use qvl_package::PackageDir;

/// Opens `package` with the engine that the options name.
///
/// What pictures need is opened when the first one comes.
///
/// # Errors
/// If ONNX Runtime is called for and is not there or lacks the device, or a graph does not load, has other inputs and
/// outputs than the package's contract says, or is none that the engine `cpu` knows; or if the engine cannot do what the
/// options ask for.
pub fn open(package: &PackageDir, options: &EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    if !options.uses_ort() {
        return Ok(Box::new(cpu::CpuEngine::open(package, options)?));
    }
    Ok(Box::new(ort::OrtEngine::open(package, options)?))
}
