//! A conversation of several turns.

use qvl_processor::{Media, Message, Part, PromptOptions, Role};

use crate::answer::Answer;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::generate::OnText;
use crate::generation::GenerationConfig;
use crate::pipeline::{Pipeline, Request};
use crate::sequence::Sequence;

/// What a user's message is made of.
#[derive(Debug)]
pub enum Content {
    /// Text; control tokens in it are plain text to the model.
    Text(String),
    /// A picture or a video.
    Media(Media),
}

/// Messages and pictures so far, and the KV cache over them: a turn computes only what the last one did not.
pub struct Conversation<'p> {
    pipeline: &'p mut Pipeline,
    sequence: Option<Sequence>,
    messages: Vec<Message>,
    media: Vec<Media>,
    prompt_options: PromptOptions,
}

impl<'p> Conversation<'p> {
    pub(crate) fn new(pipeline: &'p mut Pipeline) -> Self {
        Self {
            pipeline,
            sequence: None,
            messages: Vec::new(),
            media: Vec::new(),
            prompt_options: PromptOptions::default(),
        }
    }

    /// How prompts are made, from the next turn on.
    pub fn prompt_options(&mut self) -> &mut PromptOptions {
        &mut self.prompt_options
    }

    /// The messages so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Sets the system message, or removes it if `text` is empty.
    pub fn set_system(&mut self, text: &str) {
        self.messages.retain(|message| message.role != Role::System);
        if !text.is_empty() {
            self.messages.insert(0, Message::text(Role::System, text));
        }
    }

    /// Forgets all turns; the system message stays.
    pub fn reset(&mut self) {
        self.messages.retain(|message| message.role == Role::System);
        self.media.clear();
    }

    /// Takes the last question and its answer back; false if there is none. The next question goes on from the turn
    /// before, whose keys and values are still there.
    pub fn undo(&mut self) -> bool {
        let Some(last) = self.messages.iter().rposition(|message| message.role == Role::User) else { return false };
        self.messages.truncate(last);
        let parts = self.messages.iter().flat_map(|message| &message.content);
        let media = parts.filter(|part| matches!(part, Part::Image(_) | Part::Video(_))).count();
        self.media.truncate(media);
        true
    }

    /// Asks the next question and adds it, with its answer, to the conversation.
    ///
    /// An answer that was cancelled is added as far as it came. If that is nowhere, and after an error, the conversation
    /// is as before.
    ///
    /// # Errors
    /// As [`Pipeline::generate`].
    pub fn ask(
        &mut self,
        content: Vec<Content>,
        generation: &GenerationConfig,
        cancel: &CancelFlag,
        on_text: OnText<'_>,
    ) -> Result<Answer, Error> {
        let before = (self.messages.len(), self.media.len());
        let parts = content.into_iter().map(|content| self.part(content)).collect();
        self.messages.push(Message::new(Role::User, parts));
        let request =
            Request { messages: &self.messages, media: &self.media, prompt: &self.prompt_options, generation, cancel };
        let result = self.pipeline.generate_in(&mut self.sequence, &request, on_text);
        match &result {
            Ok(answer) if !answer.token_ids.is_empty() => {
                self.messages.push(Message::text(Role::Assistant, answer.text.clone()));
            }
            _ => {
                self.messages.truncate(before.0);
                self.media.truncate(before.1);
            }
        }
        result
    }

    fn part(&mut self, content: Content) -> Part {
        match content {
            Content::Text(text) => Part::Text(text),
            Content::Media(media) => {
                let index = self.media.len();
                let part = match &media {
                    Media::Image(_) | Media::Resized(_) => Part::Image(index),
                    Media::Video { .. } => Part::Video(index),
                };
                self.media.push(media);
                part
            }
        }
    }
}

impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        self.pipeline.close(&mut self.sequence);
    }
}

#[cfg(test)]
mod tests;
