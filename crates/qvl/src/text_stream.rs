//! From generated tokens to shown text.

use qvl_processor::Tokenizer;

use crate::stop::StopMatcher;
use crate::stream::Utf8Stream;

/// The text of an answer while it grows: whole characters, no control tokens, nothing of a stop text.
#[derive(Debug, Clone)]
pub(crate) struct TextStream {
    characters: Utf8Stream,
    stops: StopMatcher,
    text: String,
}

impl TextStream {
    pub(crate) fn new(stops: &[String]) -> Self {
        Self { characters: Utf8Stream::default(), stops: StopMatcher::new(stops), text: String::new() }
    }

    /// Takes a generated token and returns the text that can be shown now.
    pub(crate) fn push(&mut self, tokenizer: &Tokenizer, token_id: u32) -> String {
        if tokenizer.is_special(token_id) {
            return String::new();
        }
        let Some(bytes) = tokenizer.token_bytes(token_id) else { return String::new() };
        let characters = self.characters.push(bytes.as_ref());
        let shown = self.stops.push(&characters);
        self.text.push_str(&shown);
        shown
    }

    /// Returns what was held back, once no more tokens follow.
    pub(crate) fn finish(&mut self) -> String {
        let characters = self.characters.finish();
        let mut shown = self.stops.push(&characters);
        shown.push_str(&self.stops.finish());
        self.text.push_str(&shown);
        shown
    }

    /// Whether a stop text was found.
    pub(crate) fn stopped(&self) -> bool {
        self.stops.stopped()
    }

    /// All the text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}
