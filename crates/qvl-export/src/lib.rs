//! From a checkpoint to a package: the three graphs, their weights and the files around them.
//!
//! The graphs are built node by node from the model's configuration, so every size that the architecture leaves free
//! stays free: pictures of any size and number, sequences and batches of any length. Section numbers in the comments
//! are those of `reference/SPEC.md`.
//!
//! * [`graph::vision`]: patches of pictures and video frames to features (§4)
//! * [`graph::embedding`]: token ids, and features in the placeholders' place, to input embeddings (§5.1)
//! * [`graph::text`]: input embeddings to logits, with a KV cache and DeepStack (§5)
//!
//! ```no_run
//! use qvl_export::{ExportOptions, NoProgress, export};
//!
//! let options = ExportOptions::new("qwen3-vl-2b-onnx");
//! let report = export("Qwen3-VL-2B-Instruct".as_ref(), &options, &NoProgress)?;
//! println!("{} bytes", report.bytes);
//! # Ok::<(), qvl_export::ExportError>(())
//! ```
//!
//! [`requantize()`] does the same from a floating-point package, whose checkpoint is no longer at hand.

mod calibrate;
mod error;
mod export;
mod files;
pub mod graph;
mod graphs;
mod matrices;
mod mix;
mod options;
mod progress;
mod quantize;
mod requantize;
mod storage;
mod weights;

pub use calibrate::{CalibrationPrompt, Calibrator};
pub use error::ExportError;
pub use export::{ExportReport, export};
pub use mix::Mix;
pub use options::ExportOptions;
pub use progress::{NoProgress, Progress, Stage};
pub use quantize::BlockFormat;
pub use qvl_package::{Graph, Layout, Method, Precision};
pub use requantize::requantize;
pub use storage::{SharedTensor, Storage, StoragePlan};
