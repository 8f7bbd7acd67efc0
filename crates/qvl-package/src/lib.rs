//! The package: one directory that holds a model as ONNX and everything that is needed to use it.
//!
//! ```text
//! package/
//!   package.json               this crate's manifest: what made the package, precision per graph, every file's size
//!   genai_config.json          onnxruntime-genai's configuration
//!   processor_config.json      onnxruntime-genai's picture pipeline
//!   config.json, generation_config.json, tokenizer.json, …      as in the checkpoint
//!   vision.onnx    + vision.onnx.data
//!   embedding.onnx + embedding.onnx.data
//!   text.onnx      + text.onnx.data
//! ```
//!
//! Where a quantised token table is the head too, `text.onnx` reads it from `embedding.onnx.data`: it is stored once.
//! An export in another [`Layout`] has the same manifest, but only packages are opened.
//!
//! [`Staging`] writes a package beside its target and puts it in place by renaming; [`PackageDir`] opens one and
//! checks that it is whole. What the graphs compute is `qvl-export`'s business, how they are run is an engine's.

mod directory;
mod error;
mod graph_file;
mod layout;
mod manifest;
pub mod names;
mod staging;
pub mod transformers_js;

pub use directory::PackageDir;
pub use error::PackageError;
pub use graph_file::Graph;
pub use layout::{GraphFiles, Layout};
pub use manifest::{
    CalibrationInfo, FileInfo, GraphInfo, Intermediate, LogitsRows, MANIFEST, Manifest, Method, Precision,
    QuantizationInfo, SourceInfo,
};
pub use staging::{Staging, Target};
