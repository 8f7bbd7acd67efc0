//! ONNX files: a typed graph builder, and a writer that streams weights into an external-data file.
//!
//! ```
//! use qvl_onnx::{DataType, GraphBuilder, shape};
//!
//! # fn main() -> Result<(), qvl_onnx::OnnxError> {
//! let mut graph = GraphBuilder::new();
//! let x = graph.input("x", DataType::Float32, shape!["rows", 3])?;
//! let one = graph.scalar_f32(1.0)?;
//! let y = graph.add("y", &x, &one)?;
//! graph.output("y", &y)?;
//! let model = graph.finish("example");
//! assert_eq!(model.proto().graph.as_ref().map(|g| g.node.len()), Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! Each node is checked as it is added: its inputs must be known where it stands, and their element types and shapes
//! must fit the operator. Operators of ONNX's own domain follow operator set 23; the others are ONNX Runtime's
//! contributed ones (`com.microsoft`).

mod builder;
mod error;
mod misplaced;
mod ops;
mod packed;
pub mod proto;
mod types;
mod weights;
mod write;

pub use builder::{GraphBuilder, Model};
pub use error::OnnxError;
pub use misplaced::check_places_of_tensors;
pub use ops::attention::{GroupQueryAttention, GroupQueryOutputs};
pub use ops::experts::MixtureOfExperts;
pub use ops::quantized::{MatMulNBits, QuantizedExperts, QuantizedTable};
pub use packed::PackedFile;
pub use types::{DataType, Dim, Shape, Value};
pub use weights::{StoredTensor, WeightSource};
pub use write::ALIGNMENT;
