//! One line of a question file.

use std::path::{Component, Path, PathBuf};

use qvl_processor::{Message, Part, Role};
use serde::Deserialize;

use super::error::LineError;
use super::metric::Metric;

/// A question with its reference answer.
#[derive(Debug, Clone)]
pub struct Question {
    /// Tells it from all others of its file.
    pub id: String,
    /// The task whose score it counts for.
    pub task: String,
    /// The conversation; the last message is the question. Picture and video parts index into `media`.
    pub messages: Vec<Message>,
    /// Its pictures and videos, in order.
    pub media: Vec<MediaFile>,
    /// The reference answer.
    pub answer: String,
    /// How an answer is compared with it.
    pub metric: Metric,
}

/// A picture or animation file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaFile {
    /// A picture.
    Image(PathBuf),
    /// An animated GIF or WebP.
    Video(PathBuf),
}

impl Question {
    /// Reads and checks a line; `folder`, in canonical form, is where its pictures are.
    ///
    /// # Errors
    /// Says what is wrong with the line and what would mend it.
    pub(super) fn parse(text: &str, folder: &Path) -> Result<Self, LineError> {
        let line: Line = serde_json::from_str(text)?;
        for (field, value) in [("id", &line.id), ("task", &line.task)] {
            if value.trim().is_empty() {
                return Err(LineError::EmptyField { field });
            }
        }
        line.metric
            .check_reference(&line.answer)
            .map_err(|reason| LineError::Reference { metric: line.metric, reason })?;
        if line.messages.last().is_none_or(|message| message.role != Role::User) {
            return Err(LineError::LastMessage);
        }
        let mut media = Vec::new();
        let messages =
            line.messages.into_iter().map(|message| message.read(folder, &mut media)).collect::<Result<_, _>>()?;
        Ok(Self { id: line.id, task: line.task, messages, media, answer: line.answer, metric: line.metric })
    }
}

#[derive(Deserialize)]
struct Line {
    id: String,
    task: String,
    messages: Vec<MessageLine>,
    answer: String,
    metric: Metric,
}

#[derive(Deserialize)]
struct MessageLine {
    role: Role,
    content: ContentLine,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a message's content must be a text or a list of text, image and video parts")]
enum ContentLine {
    Text(String),
    Parts(Vec<PartLine>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum PartLine {
    Text { text: String },
    Image { image: PathBuf },
    Video { video: PathBuf },
}

impl MessageLine {
    fn read(self, folder: &Path, media: &mut Vec<MediaFile>) -> Result<Message, LineError> {
        let parts = match self.content {
            ContentLine::Text(text) => vec![PartLine::Text { text }],
            ContentLine::Parts(parts) => parts,
        };
        let parts = parts.into_iter().map(|part| part.read(folder, media)).collect::<Result<Vec<_>, _>>()?;
        if self.role != Role::User && parts.iter().any(|part| !matches!(part, Part::Text(_))) {
            return Err(LineError::MediaOfOthers);
        }
        Ok(Message::new(self.role, parts))
    }
}

impl PartLine {
    fn read(self, folder: &Path, media: &mut Vec<MediaFile>) -> Result<Part, LineError> {
        let index = media.len();
        Ok(match self {
            Self::Text { text } => Part::Text(text),
            Self::Image { image } => {
                media.push(MediaFile::Image(inside(folder, &image)?));
                Part::Image(index)
            }
            Self::Video { video } => {
                media.push(MediaFile::Video(inside(folder, &video)?));
                Part::Video(index)
            }
        })
    }
}

/// Where `file` is. Neither its name nor a link leads out of `folder`.
fn inside(folder: &Path, file: &Path) -> Result<PathBuf, LineError> {
    let outside = || LineError::Outside { media: file.to_path_buf() };
    if file.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(outside());
    }
    let unreadable = |source| LineError::Media { media: file.to_path_buf(), source };
    let path = folder.join(file).canonicalize().map_err(unreadable)?;
    if !path.starts_with(folder) {
        return Err(outside());
    }
    if !path.is_file() {
        return Err(unreadable(std::io::Error::other("is not a file")));
    }
    Ok(path)
}
