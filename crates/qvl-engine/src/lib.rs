//! Running a package: pictures to features, tokens to logits.
//!
//! An [`Engine`] knows numbers only: patches, token ids, positions, logits. It knows no text, no chat and no sampling.
//! [`open`] gives the one that runs the package's graphs with ONNX Runtime, on the [`Device`] that the
//! [`EngineOptions`] name.
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
//! ONNX Runtime is loaded as a shared library when the first engine is opened; [`runtime`] finds and installs it.

mod device;
mod engine;
mod error;
mod features;
mod logits;
mod options;
mod ort;
mod prefill;
pub mod runtime;
mod sequence;
mod vision;

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

/// Opens `package` with ONNX Runtime.
///
/// The vision graph is opened when the first picture comes.
///
/// # Errors
/// If ONNX Runtime is not there or lacks the device, or a graph does not load or has other inputs and outputs than the
/// package's contract says.
pub fn open(package: &PackageDir, options: &EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(ort::OrtEngine::open(package, options)?))
}
