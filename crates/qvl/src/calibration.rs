//! Prompts for the methods of quantisation that calibrate.

use std::error::Error as StdError;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use qvl_checkpoint::Config;
use qvl_engine::{EngineOptions, VisionTower};
use qvl_export::{CalibrationPrompt, Calibrator};
use qvl_processor::{Media, Message, Part, Processor, Prompt, PromptOptions, Role};

use crate::error::Error;
use crate::eval::{MediaFile, Question, QuestionsError, read_media_file, read_questions};

/// What pictures of a folder are asked.
const DESCRIBE: &str = "Describe this image.";

/// Endings of the pictures in a folder.
const PICTURES: [&str; 8] = ["bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp"];

/// Ending of the texts in a folder.
const TEXT: &str = "txt";

/// Largest text of a folder that is read, in bytes: no calibration has room for more.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Questions with answers, or pictures and texts without, as prompts for a calibration.
#[derive(Debug)]
pub struct CalibrationSet {
    source: String,
    conversations: Vec<Conversation>,
    engine: EngineOptions,
}

/// What a prompt is made of.
#[derive(Debug)]
struct Conversation {
    messages: Vec<Message>,
    media: Vec<MediaFile>,
}

impl CalibrationSet {
    /// Reads a question file (JSONL, as for an evaluation) or a folder.
    ///
    /// In a folder, each picture is a prompt that asks for its description, and each text file (.txt) one that holds the
    /// text. `engine` says how the vision graph is run.
    ///
    /// # Errors
    /// If the file or folder cannot be read, or there is nothing in it.
    pub fn read(path: &Path, engine: EngineOptions) -> Result<Self, CalibrationError> {
        let conversations = if path.is_dir() {
            read_folder(path)?
        } else {
            read_questions(path)?.into_iter().map(Conversation::answered).collect()
        };
        let source = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { source, conversations, engine })
    }

    /// The same, under another name in the manifest.
    #[must_use]
    pub fn named(self, source: impl Into<String>) -> Self {
        Self { source: source.into(), ..self }
    }
}

impl Conversation {
    /// A question with its reference answer.
    fn answered(question: Question) -> Self {
        let mut messages = question.messages;
        messages.push(Message::text(Role::Assistant, question.answer));
        Self { messages, media: question.media }
    }
}

impl Calibrator for CalibrationSet {
    fn source(&self) -> String {
        self.source.clone()
    }

    fn prompts(
        &self,
        package: &Path,
        vision: &Path,
        tokens: usize,
    ) -> Result<Vec<CalibrationPrompt>, Box<dyn StdError + Send + Sync>> {
        let processor = Processor::open(package)?;
        let config = Config::read(&package.join("config.json"))?;
        let mut tower = None;
        let mut prompts = Vec::new();
        let mut left = tokens;
        for conversation in &self.conversations {
            let prompt = prepare(&processor, conversation)?;
            // A shorter one may still fit.
            let Some(rest) = left.checked_sub(prompt.token_ids.len()) else { continue };
            left = rest;
            let features = if prompt.grids.is_empty() {
                Vec::new()
            } else {
                let tower = match &mut tower {
                    Some(tower) => tower,
                    closed => closed.insert(VisionTower::open(vision, &config, &self.engine)?),
                };
                tower.encode(&prompt.pixel_values, &prompt.grids)?.data
            };
            prompts.push(CalibrationPrompt { token_ids: prompt.token_ids, positions: prompt.positions, features });
        }
        if prompts.is_empty() {
            return Err(CalibrationError::TooLong { source_name: self.source.clone(), tokens }.into());
        }
        Ok(prompts)
    }
}

fn prepare(processor: &Processor, conversation: &Conversation) -> Result<Prompt, Error> {
    let media = conversation.media.iter().map(read_media_file).collect::<Result<Vec<Media>, Error>>()?;
    let is_answered = conversation.messages.last().is_some_and(|message| message.role == Role::Assistant);
    let options = PromptOptions { add_generation_prompt: !is_answered, ..PromptOptions::default() };
    Ok(processor.prepare(&conversation.messages, &media, &options)?)
}

/// The pictures and texts of a folder, in the order of their names.
fn read_folder(folder: &Path) -> Result<Vec<Conversation>, CalibrationError> {
    let io_error = |path: &Path| {
        let path = path.to_path_buf();
        move |source| CalibrationError::Io { path, source }
    };
    let entries = fs::read_dir(folder).map_err(io_error(folder))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>, _>>();
    let mut paths = paths.map_err(io_error(folder))?;
    paths.sort();
    let mut conversations = Vec::new();
    for path in paths {
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
        if PICTURES.contains(&ending.as_str()) {
            let content = vec![Part::Image(0), Part::Text(DESCRIBE.to_owned())];
            let messages = vec![Message::new(Role::User, content)];
            conversations.push(Conversation { messages, media: vec![MediaFile::Image(path)] });
        } else if ending == TEXT {
            let bytes = fs::metadata(&path).map_err(io_error(&path))?.len();
            if bytes > MAX_TEXT_BYTES {
                return Err(CalibrationError::TextTooLarge { path, limit: MAX_TEXT_BYTES });
            }
            let text = fs::read_to_string(&path).map_err(io_error(&path))?;
            conversations.push(Conversation { messages: vec![Message::text(Role::User, text)], media: Vec::new() });
        }
    }
    if conversations.is_empty() {
        return Err(CalibrationError::EmptyFolder { path: folder.to_path_buf() });
    }
    Ok(conversations)
}

/// Why there is nothing to calibrate on.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The question file is not usable.
    #[error(transparent)]
    Questions(#[from] QuestionsError),
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The folder has neither pictures nor texts.
    #[error("{} has no pictures and no .txt files; put some in, or give a question file (JSONL)", path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A text is too large.
    #[error("{} has over {limit} bytes; split it into several files", path.display())]
    TextTooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes, at most.
        limit: u64,
    },
    /// No prompt is short enough.
    #[error(
        "no prompt of {source_name} has at most {tokens} tokens; allow more, or give shorter texts and smaller pictures"
    )]
    TooLong {
        /// Name of the prompts' source.
        source_name: String,
        /// Tokens, at most.
        tokens: usize,
    },
}
