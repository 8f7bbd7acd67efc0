//! From a conversation with pictures and videos to what Qwen3-VL takes: token ids, three-axis positions, patches.
//!
//! [`Processor`] joins the parts: the [`Tokenizer`], the [`ChatTemplate`], the [`ImageProcessor`] and the
//! [`VideoProcessor`]. It equals `transformers` 5.23 in ids, positions and, bit for bit, pixel values
//! (`reference/SPEC.md` §1, §2, §3, §6), with one wanted difference: what looks like a control token in a user's or
//! tool's text stays text. This crate knows neither ONNX nor the engines that run it.

mod animation;
mod decode;
mod format;
mod guard;
mod image_error;
mod image_processor;
mod jpeg;
mod message;
mod patches;
mod picture;
mod positions;
mod preprocessor_config;
mod processor;
mod prompt;
mod resize;
mod resized;
mod sampling;
mod smart_resize;
mod template;
mod tokenizer;
mod video_processor;
mod webp;

pub use animation::{Frame, decode_frames, frames_to_video};
pub use decode::{ImageLimits, decode_image};
pub use image_error::ImageError;
pub use image_processor::ImageProcessor;
pub use message::{Message, Part, Role, ToolCall};
pub use patches::Patches;
pub use picture::Rgb8;
pub use positions::{Position, PositionError, positions};
pub use preprocessor_config::PreprocessorConfig;
pub use processor::{Processor, ProcessorError};
pub use prompt::{Media, MediaInfo, MediaKind, Prompt, PromptOptions, TokenType};
pub use resize::resize;
pub use resized::ResizedPicture;
pub use smart_resize::{PixelBudget, smart_resize, smart_resize_video};
pub use template::{ChatTemplate, TemplateError};
pub use tokenizer::{Tokenizer, TokenizerError};
pub use video_processor::{VideoMeta, VideoOptions, VideoPatches, VideoProcessor};
