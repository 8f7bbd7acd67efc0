//! The three graphs, one file for each part of the model.

mod embedding;
mod experts;
mod text;
mod text_layer;
mod text_positions;
mod vision;
mod vision_block;
mod vision_positions;

pub(crate) use embedding::TABLE;
pub use embedding::{embed_tokens, embedding};
pub(crate) use experts::{expert_format, experts_of};
pub(crate) use text::{HEAD, head_name};
pub use text::{TextGraph, text};
pub use vision::{VisionGraph, vision};
