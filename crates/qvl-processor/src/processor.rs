//! From a conversation to a prompt.

use crate::guard::{ControlRules, Guard, MarksUsed, Trust};
use crate::message::map_strings;
use crate::prompt::{Expansion, MediaInfo, VisionTokens, expand};
use crate::template::{TemplateInput, special_texts};
use crate::{
    ChatTemplate, ImageError, ImageProcessor, Media, MediaKind, Message, Part, Patches, PositionError,
    PreprocessorConfig, Prompt, PromptOptions, TemplateError, TokenType, Tokenizer, TokenizerError, VideoOptions,
    VideoProcessor, positions,
};
use qvl_checkpoint::{Config, ConfigError, Grid};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;

/// Messages that are rendered anew to find the one whose media the template dropped.
const MAX_BLAMED: usize = 64;

/// Why a processor cannot be opened, or a prompt not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// `config.json` is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The tokenizer is wrong, or failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The chat template is wrong, or failed.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A preprocessor configuration is wrong.
    #[error(transparent)]
    Preprocessor(ImageError),
    /// A picture or video cannot be used.
    #[error("{kind} {index} of the media list: {source}")]
    Media {
        /// Picture or video.
        kind: MediaKind,
        /// Index in the media list.
        index: usize,
        /// What is wrong.
        source: ImageError,
    },
    /// The tokenizer and `config.json` do not belong together.
    #[error("{0}; take tokenizer.json and config.json from one checkpoint")]
    Mismatch(String),
    /// There is nothing to answer.
    #[error("the conversation has no messages; give at least one")]
    NoMessages,
    /// A message names a medium that is not there, or of the other kind.
    #[error("message {message} refers to {kind} {index}, but {found}")]
    BadReference {
        /// Index of the message.
        message: usize,
        /// The kind that the message says.
        kind: MediaKind,
        /// Index in the media list.
        index: usize,
        /// What is there.
        found: String,
    },
    /// A medium was given that no message shows.
    #[error("{kind} {index} of the media list is in no message; refer to it in one, or leave it away")]
    Unused {
        /// Picture or video.
        kind: MediaKind,
        /// Index in the media list.
        index: usize,
    },
    /// The template does not show a message's pictures or videos.
    #[error(
        "message {message} ({role}) has pictures or videos that this model's chat template does not show; \
         put them into a user message"
    )]
    Dropped {
        /// Index of the message.
        message: usize,
        /// Its role.
        role: &'static str,
    },
    /// The template's placeholders are not the conversation's media.
    #[error("the chat template printed {printed} placeholders for {given} pictures and videos, or in another order")]
    Placeholders {
        /// Placeholders printed.
        printed: usize,
        /// Media in the messages.
        given: usize,
    },
    /// All 131,104 characters that could serve as marks are in the texts.
    #[error("the texts hold every noncharacter and private-use character; remove those that mean nothing")]
    NoMarkLeft,
    /// The placeholders do not fit the grids.
    #[error(transparent)]
    Positions(#[from] PositionError),
}

/// Makes prompts for one checkpoint.
#[derive(Debug)]
pub struct Processor {
    tokenizer: Tokenizer,
    rules: ControlRules,
    template: ChatTemplate,
    special_texts: serde_json::Map<String, serde_json::Value>,
    images: ImageProcessor,
    videos: VideoProcessor,
    vision: VisionTokens,
    merge: usize,
}

/// Where a medium appears.
#[derive(Clone, Copy)]
struct Appearance {
    message: usize,
    kind: MediaKind,
    index: usize,
}

/// A processed medium.
struct Visual {
    patches: Patches,
    expansion: Expansion,
    info: MediaInfo,
}

impl Processor {
    /// Reads what a checkpoint or a package says about text and media: `config.json`, `tokenizer.json`, the chat
    /// template, `preprocessor_config.json` and `video_preprocessor_config.json`.
    pub fn open(directory: &Path) -> Result<Processor, ProcessorError> {
        let config = Config::read(&directory.join("config.json"))?;
        let tokenizer = Tokenizer::open(&directory.join("tokenizer.json"))?;
        let vision = check_tokens(&tokenizer, &config)?;
        let images = PreprocessorConfig::read_image(directory).map_err(ProcessorError::Preprocessor)?;
        let videos = PreprocessorConfig::read_video(directory).map_err(ProcessorError::Preprocessor)?;
        Ok(Processor {
            rules: ControlRules::new(&tokenizer),
            template: ChatTemplate::open(directory)?,
            special_texts: special_texts(directory)?,
            images: ImageProcessor::from_config(&images),
            videos: VideoProcessor::from_config(&videos),
            merge: config.vision.spatial_merge_size,
            vision,
            tokenizer,
        })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The picture processor, for its budget and sizes.
    pub fn images(&self) -> &ImageProcessor {
        &self.images
    }

    /// The video processor, for its budget and sampling.
    pub fn videos(&self) -> &VideoProcessor {
        &self.videos
    }

    /// Renders the conversation, prepares its media and expands their placeholders.
    ///
    /// What looks like a control token in a user's or tool's text stays text. A medium of `given` may appear more
    /// than once; it is then in `pixel_values` more than once.
    pub fn prepare(
        &self,
        messages: &[Message],
        given: &[Media],
        options: &PromptOptions,
    ) -> Result<Prompt, ProcessorError> {
        if messages.is_empty() {
            return Err(ProcessorError::NoMessages);
        }
        let shown = appearances(messages);
        check_references(&shown, given)?;
        let (guard, text) = self.render(messages, options)?;
        let segments = self.tokenizer.segments(&text);
        let printed = self.vision.placeholders(&segments);
        if !printed.iter().copied().eq(shown.iter().map(|shown| shown.kind)) {
            return Err(self.blame(messages, options, printed.len(), shown.len()));
        }
        let visuals = self.visuals(&shown, given, options)?;
        let in_order = || shown.iter().filter_map(|shown| visuals.get(&shown.index));
        let expansions: Vec<Expansion> = in_order().map(|visual| visual.expansion.clone()).collect();
        let token_ids =
            expand(&self.tokenizer, guard, &segments, &expansions, self.vision, options.legacy_video_prompt)?;
        let token_types: Vec<TokenType> = token_ids.iter().map(|&id| self.vision.type_of(id)).collect();
        let grids: Vec<Grid> = in_order().map(|visual| visual.patches.grid).collect();
        let (positions, rope_delta) = positions(&token_types, &grids, self.merge)?;
        let media = in_order().map(|visual| visual.info.clone()).collect();
        let text = guard.unmark(&text).into_owned();
        let resized = shown.iter().map(|shown| given.get(shown.index).and_then(Media::resized)).collect();
        let pixel_values = pixel_values(&shown, visuals);
        Ok(Prompt { token_ids, token_types, positions, rope_delta, pixel_values, resized, grids, media, text })
    }

    /// The rendered conversation, with marks.
    fn render(&self, messages: &[Message], options: &PromptOptions) -> Result<(Guard<'_>, String), ProcessorError> {
        let mut used = MarksUsed::default();
        self.template.sources().iter().for_each(|source| used.note(source));
        template_input(messages, options, |text, _| {
            used.note(text);
            String::new()
        });
        let guard = Guard::new(&self.rules, &used).ok_or(ProcessorError::NoMarkLeft)?;
        let mut input = template_input(messages, options, |text, trust| guard.mark(text, trust));
        for (name, text) in &self.special_texts {
            input.variables.entry(name).or_insert_with(|| text.clone());
        }
        Ok((guard, self.template.render(&input)?))
    }

    /// The error for placeholders that are not the conversation's media: names the first message without which
    /// the template prints as many placeholders as with it.
    fn blame(&self, messages: &[Message], options: &PromptOptions, printed: usize, given: usize) -> ProcessorError {
        let with_media = messages.iter().enumerate().filter(|(_, message)| has_media(message));
        for (index, message) in with_media.take(MAX_BLAMED) {
            let mut without = messages.to_vec();
            without[index].content.retain(|part| matches!(part, Part::Text(_)));
            let rendered = self.render(&without, options);
            let count = rendered.map(|(_, text)| self.vision.placeholders(&self.tokenizer.segments(&text)).len());
            if count.is_ok_and(|count| count == printed) {
                return ProcessorError::Dropped { message: index, role: message.role.as_str() };
            }
        }
        ProcessorError::Placeholders { printed, given }
    }

    /// Each medium that appears, processed once.
    fn visuals(
        &self,
        shown: &[Appearance],
        media: &[Media],
        options: &PromptOptions,
    ) -> Result<HashMap<usize, Visual>, ProcessorError> {
        let mut visuals = HashMap::new();
        for &Appearance { kind, index, .. } in shown {
            if let (false, Some(medium)) = (visuals.contains_key(&index), media.get(index)) {
                let visual = self.visual(medium, options);
                visuals.insert(index, visual.map_err(|source| ProcessorError::Media { kind, index, source })?);
            }
        }
        Ok(visuals)
    }

    fn visual(&self, medium: &Media, options: &PromptOptions) -> Result<Visual, ImageError> {
        let mut hash = Sha256::new();
        let (patches, expansion) = match medium {
            Media::Image(image) => {
                let patches = self.images.process(image, options.image_budget.as_ref())?;
                self.picture(patches, image.content_hash(), &mut hash)
            }
            Media::Resized(image) => {
                let patches = image.without_patches();
                self.picture(patches, image.source_hash, &mut hash)
            }
            Media::Video { frames, meta, sampled } => {
                let options = VideoOptions { sampled: *sampled, ..options.video.clone() };
                let video = self.videos.process(frames, meta, &options)?;
                hash.update(b"video");
                let taken = if *sampled { (0..frames.len()).collect() } else { video.indices };
                for frame in taken.into_iter().filter_map(|index| frames.get(index)) {
                    hash.update(frame.content_hash());
                }
                let tokens_per_frame = Grid { t: 1, ..video.patches.grid }.merged(self.merge);
                let timestamps = video.timestamps;
                (video.patches, Expansion::Video { tokens_per_frame, timestamps })
            }
        };
        for side in <[usize; 3]>::from(patches.grid) {
            hash.update((side as u64).to_le_bytes());
        }
        let info = MediaInfo {
            kind: medium.kind(),
            grid: patches.grid,
            width: patches.width,
            height: patches.height,
            tokens: patches.grid.merged(self.merge),
            content_hash: hash.finalize().into(),
        };
        Ok(Visual { patches, expansion, info })
    }

    /// A picture's patches and what its placeholder grows to; what it is joins `hash`.
    fn picture(&self, patches: Patches, content: [u8; 32], hash: &mut Sha256) -> (Patches, Expansion) {
        hash.update(b"image");
        hash.update(content);
        let tokens = patches.grid.merged(self.merge);
        (patches, Expansion::Image { tokens })
    }
}

/// The control tokens for vision, once the tokenizer and the configuration are known to agree.
fn check_tokens(tokenizer: &Tokenizer, config: &Config) -> Result<VisionTokens, ProcessorError> {
    let (ids, rows) = (tokenizer.id_count(), config.text.vocab_size);
    if ids > rows {
        return Err(ProcessorError::Mismatch(format!(
            "the tokenizer has ids up to {}, but the model's vocabulary has {rows} rows",
            ids - 1
        )));
    }
    for (name, configured, text) in [
        ("image_token_id", config.image_token_id, "<|image_pad|>"),
        ("video_token_id", config.video_token_id, "<|video_pad|>"),
        ("vision_start_token_id", config.vision_start_token_id, "<|vision_start|>"),
        ("vision_end_token_id", config.vision_end_token_id, "<|vision_end|>"),
    ] {
        let found = tokenizer.token_id(text).filter(|_| tokenizer.controls().any(|(control, _)| control == text));
        if found != Some(configured) {
            let found = found.map_or("has no such token".to_owned(), |id| format!("says {id}"));
            return Err(ProcessorError::Mismatch(format!(
                "config.json says {name} {configured}, but for {text} the tokenizer {found}"
            )));
        }
    }
    Ok(VisionTokens {
        image: config.image_token_id,
        video: config.video_token_id,
        start: config.vision_start_token_id,
        end: config.vision_end_token_id,
    })
}

/// What the template is given, with `change` applied to every text of a caller.
fn template_input(
    messages: &[Message],
    options: &PromptOptions,
    mut change: impl FnMut(&str, Trust) -> String,
) -> TemplateInput {
    let messages = messages.iter().map(|message| {
        let trust = Trust::of(message.role);
        message.to_template(&mut |text| change(text, trust))
    });
    let messages = messages.collect();
    let mut untrusted = |text: &str| change(text, Trust::Untrusted);
    let tools = options.tools.iter().map(|tool| map_strings(tool, &mut untrusted)).collect();
    let given = options.template_variables.iter();
    let mut variables: serde_json::Map<_, _> =
        given.map(|(name, value)| (name.clone(), map_strings(value, &mut untrusted))).collect();
    variables.insert("add_generation_prompt".into(), options.add_generation_prompt.into());
    variables.insert("add_vision_id".into(), options.add_vision_id.into());
    if let Some(enable) = options.enable_thinking {
        variables.insert("enable_thinking".into(), enable.into());
    }
    TemplateInput { messages, tools, variables }
}

fn has_media(message: &Message) -> bool {
    message.content.iter().any(|part| !matches!(part, Part::Text(_)))
}

/// Where the media appear, in order.
fn appearances(messages: &[Message]) -> Vec<Appearance> {
    let parts =
        messages.iter().enumerate().flat_map(|(at, message)| message.content.iter().map(move |part| (at, part)));
    parts
        .filter_map(|(message, part)| match *part {
            Part::Text(_) => None,
            Part::Image(index) => Some(Appearance { message, kind: MediaKind::Image, index }),
            Part::Video(index) => Some(Appearance { message, kind: MediaKind::Video, index }),
        })
        .collect()
}

/// Every appearance is of a medium of its kind, and every medium appears.
fn check_references(shown: &[Appearance], media: &[Media]) -> Result<(), ProcessorError> {
    let mut unused: Vec<bool> = vec![true; media.len()];
    for &Appearance { message, kind, index } in shown {
        let found = match media.get(index).map(Media::kind) {
            Some(found) if found == kind => {
                unused[index] = false;
                continue;
            }
            Some(found) => format!("that is a {found}"),
            None => format!("there are {} media", media.len()),
        };
        return Err(ProcessorError::BadReference { message, kind, index, found });
    }
    match unused.iter().position(|unused| *unused) {
        Some(index) => Err(ProcessorError::Unused { kind: media[index].kind(), index }),
        None => Ok(()),
    }
}

/// The patches of all media in order of appearance; a single one is not copied.
fn pixel_values(shown: &[Appearance], mut visuals: HashMap<usize, Visual>) -> Vec<f32> {
    if let [only] = shown {
        return visuals.remove(&only.index).map(|visual| visual.patches.pixel_values).unwrap_or_default();
    }
    let in_order = shown.iter().filter_map(|shown| visuals.get(&shown.index));
    let values = in_order.map(|visual| visual.patches.pixel_values.as_slice());
    values.collect::<Vec<_>>().concat()
}
