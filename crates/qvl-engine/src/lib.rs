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
//! # What is exact
//!
//! On the engine `cpu` the logits of a token depend on the tokens before it, their positions and features, and on nothing
//! else: they are the same bits with any number of threads, however a prompt is [cut](EngineOptions::prefill_chunk), alone or
//! [among other sequences](Engine::decode_batch), as a row of a [draft](Engine::prefill_all) or step by step, and after a
//! [truncation](Engine::truncate) or in a [fork](Engine::fork). Another machine may have other instructions, which round
//! differently.
//!
//! What it computes is that of the package's graphs but for rounding in single precision if it is
//! [precise](EngineOptions::precise) and keeps keys and values in [`KvPrecision::F32`]. Otherwise activations are rounded to
//! int8 where they meet weights in blocks, as ONNX Runtime rounds them too, and keys and values to half precision, or to int8
//! if that is asked for.
//!
//! On the engine `ort` the library chooses for each run how it sums: the same history may give logits that differ in their
//! last digits if it came about in other pieces. A batch is decoded sequence by sequence there, and so equals that.
//!
//! ONNX Runtime is loaded as a shared library when the first engine `ort` is opened; [`runtime`] finds and installs it.

mod capacity;
mod choice;
mod cpu;
mod decode_step;
mod device;
mod encoding;
mod engine;
mod error;
mod features;
mod kv_precision;
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
pub use decode_step::DecodeStep;
pub use device::{Device, UnknownDevice};
pub use encoding::Encoding;
pub use engine::Engine;
pub use error::EngineError;
pub use features::Features;
pub use kv_precision::{KvPrecision, UnknownKvPrecision};
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
