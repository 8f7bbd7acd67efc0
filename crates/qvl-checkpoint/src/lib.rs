//! Qwen3-VL checkpoints in Hugging Face form: `config.json`, safetensors files, tensor names.
//!
//! [`Checkpoint::open`] checks every tensor's presence, shape and type against the configuration and lists all that is
//! wrong at once; after it succeeded, weights are read through memory maps with [`Tensor::read_f32`]. Files are
//! untrusted: sizes are checked before memory is taken, and a file that lies gives an error.

mod checkpoint;
mod config;
mod digest;
mod dtype;
mod error;
mod files;
mod grid;
mod header;
mod layout;
mod limited;
mod mapped;
mod names;
mod published;
mod summary;
pub mod synthetic;
mod tensor;
mod tensor_file;
mod verify;
mod write_header;

pub use checkpoint::{Checkpoint, ShardInfo};
pub use config::{Config, ConfigError, ModelType, MoeConfig, RopeConfig, TextConfig, VisionConfig, YarnConfig};
pub use digest::FileDigest;
pub use dtype::Dtype;
pub use error::{CheckpointError, TensorProblem};
pub use grid::Grid;
pub use header::HeaderError;
pub use layout::{ExpertLayout, TensorSpec, expected_tensors};
pub use limited::{ReadError, read_limited, read_text_limited};
pub use published::{PUBLISHED_SIZES, published_config, published_size};
pub use summary::Summary;
pub use tensor::Tensor;
pub use tensor_file::TensorFile;
pub use write_header::safetensors_header;
