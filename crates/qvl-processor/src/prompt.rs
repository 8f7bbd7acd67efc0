//! The prompt that a model takes, and how placeholders in it grow to one token per merged patch (SPEC §3).

use crate::guard::Guard;
use crate::positions::Position;
use crate::tokenizer::{Segment, Tokenizer, TokenizerError};
use crate::{PixelBudget, ResizedPicture, Rgb8, VideoMeta, VideoOptions};
use qvl_checkpoint::Grid;
use std::sync::Arc;

/// A picture or a video to ask about.
#[derive(Clone, Debug)]
pub enum Media {
    /// A picture.
    Image(Rgb8),
    /// A picture that [`ImageProcessor::resize`](crate::ImageProcessor::resize) of the same processor has made; the budget of
    /// [`PromptOptions`] does not change it any more.
    Resized(Arc<ResizedPicture>),
    /// A video.
    Video {
        /// All frames of the source, or those sampled from it; all of one size.
        frames: Vec<Rgb8>,
        /// Where the frames come from.
        meta: VideoMeta,
        /// Whether the frames were sampled already, so that all of them are taken.
        sampled: bool,
    },
}

impl Media {
    pub(crate) fn resized(&self) -> Option<Arc<ResizedPicture>> {
        match self {
            Media::Resized(picture) => Some(Arc::clone(picture)),
            Media::Image(_) | Media::Video { .. } => None,
        }
    }

    pub(crate) fn kind(&self) -> MediaKind {
        match self {
            Media::Image(_) | Media::Resized(_) => MediaKind::Image,
            Media::Video { .. } => MediaKind::Video,
        }
    }
}

/// Picture or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A video.
    Video,
}

impl std::fmt::Display for MediaKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            MediaKind::Image => "picture",
            MediaKind::Video => "video",
        })
    }
}

/// How to make a prompt of a conversation.
#[derive(Clone, Debug)]
pub struct PromptOptions {
    /// End with the start of the assistant's answer.
    pub add_generation_prompt: bool,
    /// Number the pictures and videos: `Picture 1: `.
    pub add_vision_id: bool,
    /// Passed to templates that know it; the published Qwen3-VL templates do not.
    pub enable_thinking: Option<bool>,
    /// Further variables of the template.
    pub template_variables: serde_json::Map<String, serde_json::Value>,
    /// Schemas of the tools that the model may call, in OpenAI's form.
    pub tools: Vec<serde_json::Value>,
    /// Bounds for the area of each picture; by default those of the checkpoint.
    pub image_budget: Option<PixelBudget>,
    /// How videos are sampled and sized; [`VideoOptions::sampled`] is replaced by that of each [`Media::Video`].
    pub video: VideoOptions,
    /// Expand videos as the original release did, without the outer `<|vision_start|>` and `<|vision_end|>`
    /// that transformers 5 keeps around the frames.
    pub legacy_video_prompt: bool,
}

impl Default for PromptOptions {
    fn default() -> PromptOptions {
        PromptOptions {
            add_generation_prompt: true,
            add_vision_id: false,
            enable_thinking: None,
            template_variables: serde_json::Map::new(),
            tools: Vec::new(),
            image_budget: None,
            video: VideoOptions::default(),
            legacy_video_prompt: false,
        }
    }
}

/// What a token stands for (`mm_token_type_ids`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TokenType {
    /// Text, timestamps and the control tokens around placeholders.
    Text = 0,
    /// A merged patch of a picture.
    Image = 1,
    /// A merged patch of a video.
    Video = 2,
}

impl TokenType {
    /// `image` or `video`; none for text.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            TokenType::Text => None,
            TokenType::Image => Some("image"),
            TokenType::Video => Some("video"),
        }
    }
}

/// What became of a picture or video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaInfo {
    /// Picture or video.
    pub kind: MediaKind,
    /// Its patches.
    pub grid: Grid,
    /// Width in pixels after the resize.
    pub width: usize,
    /// Height in pixels after the resize.
    pub height: usize,
    /// Placeholders it has in the prompt.
    pub tokens: usize,
    /// SHA-256 of all that the pixel values depend on: equal hashes have equal features.
    pub content_hash: [u8; 32],
}

/// Everything that the model takes.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Token ids, placeholders included.
    pub token_ids: Vec<u32>,
    /// The type of each token.
    pub token_types: Vec<TokenType>,
    /// The position of each token.
    pub positions: Vec<Position>,
    /// What to add to the index of a generated token to get its position on all axes.
    pub rope_delta: i64,
    /// Patches of all media but the resized ones, in order of appearance, `[Σ patches, patch_len]`.
    pub pixel_values: Vec<f32>,
    /// The media that came as [`Media::Resized`], in order of appearance; their patches are not in `pixel_values`, and
    /// [computed](ResizedPicture::patches) when they are needed.
    pub resized: Vec<Option<Arc<ResizedPicture>>>,
    /// Grids of all media in order of appearance, pictures and videos mixed.
    pub grids: Vec<Grid>,
    /// The media in order of appearance.
    pub media: Vec<MediaInfo>,
    /// The rendered conversation before placeholders were expanded; for people to read, not to tokenize.
    pub text: String,
}

impl Prompt {
    /// A prompt of text alone, without template: every token is at its own index on all axes.
    ///
    /// `token_ids` are taken as they are; placeholders among them would have no picture to stand for.
    #[must_use]
    pub fn from_tokens(token_ids: Vec<u32>, text: String) -> Prompt {
        let token_types = vec![TokenType::Text; token_ids.len()];
        let positions = (0..).take(token_ids.len()).map(|index| [index; 3]).collect();
        let (pixel_values, resized, grids, media) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Prompt { token_ids, token_types, positions, rope_delta: 0, pixel_values, resized, grids, media, text }
    }
}

/// What a placeholder of the template grows to.
#[derive(Clone, Debug)]
pub(crate) enum Expansion {
    Image { tokens: usize },
    Video { tokens_per_frame: usize, timestamps: Vec<f64> },
}

/// The control tokens around and for vision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VisionTokens {
    pub image: u32,
    pub video: u32,
    pub start: u32,
    pub end: u32,
}

impl VisionTokens {
    pub(crate) fn type_of(&self, id: u32) -> TokenType {
        match id {
            _ if id == self.image => TokenType::Image,
            _ if id == self.video => TokenType::Video,
            _ => TokenType::Text,
        }
    }

    /// The kinds of the placeholders in `segments`, in order.
    pub(crate) fn placeholders(&self, segments: &[Segment]) -> Vec<MediaKind> {
        let kinds = segments.iter().map(|segment| match segment {
            Segment::Control(id) if *id == self.image => Some(MediaKind::Image),
            Segment::Control(id) if *id == self.video => Some(MediaKind::Video),
            Segment::Control(_) | Segment::Text(_) => None,
        });
        kinds.flatten().collect()
    }
}

/// Token ids of the rendered `segments`, each placeholder grown as the next of `expansions` says.
pub(crate) fn expand(
    tokenizer: &Tokenizer,
    guard: Guard,
    segments: &[Segment],
    expansions: &[Expansion],
    vision: VisionTokens,
    legacy_video: bool,
) -> Result<Vec<u32>, TokenizerError> {
    let mut ids = IdBuilder { tokenizer, ids: Vec::new(), text: String::new() };
    let wrapped_video = [vision.start, vision.video, vision.end].map(Segment::Control);
    let mut expansions = expansions.iter();
    let mut rest = segments;
    while let [segment, tail @ ..] = rest {
        let legacy = legacy_video.then(|| rest.strip_prefix(&wrapped_video)).flatten();
        rest = legacy.unwrap_or(tail);
        match segment {
            Segment::Text(text) => ids.text(&guard.unmark(text)),
            Segment::Control(id) if legacy.is_none() && vision.type_of(*id) == TokenType::Text => ids.control(*id)?,
            Segment::Control(_) => match expansions.next() {
                Some(Expansion::Image { tokens }) => ids.run(vision.image, *tokens)?,
                Some(Expansion::Video { tokens_per_frame, timestamps }) => {
                    for seconds in timestamps {
                        ids.text(&format!("<{seconds:.1} seconds>"));
                        ids.control(vision.start)?;
                        ids.run(vision.video, *tokens_per_frame)?;
                        ids.control(vision.end)?;
                    }
                }
                None => {}
            },
        }
    }
    ids.finish()
}

/// Collects ids; texts that meet are encoded as one.
struct IdBuilder<'t> {
    tokenizer: &'t Tokenizer,
    ids: Vec<u32>,
    text: String,
}

impl IdBuilder<'_> {
    fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn control(&mut self, id: u32) -> Result<(), TokenizerError> {
        self.run(id, 1)
    }

    fn run(&mut self, id: u32, count: usize) -> Result<(), TokenizerError> {
        self.flush()?;
        self.ids.extend(std::iter::repeat_n(id, count));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TokenizerError> {
        self.tokenizer.encode_plain_into(&self.text, &mut self.ids)?;
        self.text.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u32>, TokenizerError> {
        self.flush()?;
        Ok(self.ids)
    }
}
