//! Thinking text and the answer after it: `<think>…</think>`, split while it streams.

use qvl_processor::Tokenizer;

use crate::stop::overlap;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A piece of an answer, told apart; either text may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReasoningPiece {
    /// What belongs to the thinking.
    pub reasoning: String,
    /// What belongs to the answer.
    pub content: String,
}

/// Splits the text of an answer into thinking and content, whatever pieces it comes in.
///
/// An answer thinks if its prompt ends inside the tags (the template of the Thinking models opens them) or if it begins
/// with `<think>`; tags further on are text. Line breaks next to the tags belong to neither, as in the template, which
/// puts them there.
#[derive(Debug)]
pub struct Reasoning {
    state: State,
    held: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far, or half of the opening tag.
    Start {
        inside: bool,
    },
    /// Inside the tags; `begun` after the first character that is no line break.
    Thinking {
        begun: bool,
    },
    /// Behind the closing tag, before the content.
    Between,
    Content,
}

impl Reasoning {
    /// A splitter for an answer whose text begins `inside` the tags, or not.
    pub fn new(inside: bool) -> Self {
        Self { state: State::Start { inside }, held: String::new() }
    }

    /// A splitter for the answer to a prompt of these tokens.
    pub fn after_prompt(prompt: &[u32], tokenizer: &Tokenizer) -> Self {
        Self::new(ThinkTags::of(tokenizer).opened_by(prompt))
    }

    /// Takes the next piece of the answer's text and returns what can be shown.
    pub fn push(&mut self, text: &str) -> ReasoningPiece {
        self.held.push_str(text);
        let mut piece = ReasoningPiece::default();
        loop {
            let before = self.state;
            match before {
                State::Start { inside } => self.start(inside),
                State::Thinking { begun } => self.think(begun, &mut piece.reasoning),
                State::Between => self.between(),
                State::Content => piece.content.push_str(&std::mem::take(&mut self.held)),
            }
            if self.state == before || self.held.is_empty() {
                return piece;
            }
        }
    }

    /// What was held back, once no more text follows.
    pub fn finish(&mut self) -> ReasoningPiece {
        let held = std::mem::take(&mut self.held);
        let mut piece = ReasoningPiece::default();
        match self.state {
            State::Start { inside: true } | State::Thinking { begun: false } => {
                piece.reasoning.push_str(held.trim_matches('\n'));
            }
            State::Thinking { begun: true } => piece.reasoning.push_str(held.trim_end_matches('\n')),
            State::Start { inside: false } | State::Content => piece.content = held,
            State::Between => {}
        }
        piece
    }

    fn start(&mut self, inside: bool) {
        let text = self.held.trim_start();
        if let Some(thought) = text.strip_prefix(OPEN) {
            self.held = thought.to_owned();
            self.state = State::Thinking { begun: false };
        } else if !OPEN.starts_with(text) {
            self.state = if inside { State::Thinking { begun: false } } else { State::Content };
        }
    }

    fn think(&mut self, begun: bool, reasoning: &mut String) {
        if !begun {
            self.held = self.held.trim_start_matches('\n').to_owned();
            if self.held.is_empty() {
                return;
            }
            self.state = State::Thinking { begun: true };
        }
        if let Some(end) = self.held.find(CLOSE) {
            reasoning.push_str(self.held[..end].trim_end_matches('\n'));
            self.held.drain(..end + CLOSE.len());
            self.state = State::Between;
            return;
        }
        let shown = &self.held[..self.held.len() - overlap(&self.held, CLOSE)];
        let shown = shown.trim_end_matches('\n').len();
        reasoning.extend(self.held.drain(..shown));
    }

    fn between(&mut self) {
        self.held = self.held.trim_start_matches('\n').to_owned();
        if !self.held.is_empty() {
            self.state = State::Content;
        }
    }
}

/// The tags as tokens. What users write never becomes one of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThinkTags {
    open: Option<u32>,
    close: Option<u32>,
}

impl ThinkTags {
    pub(crate) fn of(tokenizer: &Tokenizer) -> Self {
        Self { open: tokenizer.token_id(OPEN), close: tokenizer.token_id(CLOSE) }
    }

    /// Whether a prompt of these tokens ends inside the tags.
    pub(crate) fn opened_by(self, prompt: &[u32]) -> bool {
        let last = prompt.iter().rev().find(|&&id| Some(id) == self.open || self.is_close(id));
        last.is_some_and(|&id| Some(id) == self.open)
    }

    pub(crate) fn is_close(self, id: u32) -> bool {
        Some(id) == self.close
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(inside: bool, pieces: &[&str]) -> (String, String) {
        let mut reasoning = Reasoning::new(inside);
        let mut parts: Vec<ReasoningPiece> = pieces.iter().map(|piece| reasoning.push(piece)).collect();
        parts.push(reasoning.finish());
        let join = |text: fn(&ReasoningPiece) -> &str| parts.iter().map(text).collect();
        (join(|part| &part.reasoning), join(|part| &part.content))
    }

    fn pair(reasoning: &str, content: &str) -> (String, String) {
        (reasoning.to_owned(), content.to_owned())
    }

    #[test]
    fn an_answer_that_the_prompt_opened_thinks_first() {
        assert_eq!(split(true, &["a\nb\n</think>\n\nYes.\n"]), pair("a\nb", "Yes.\n"));
        assert_eq!(split(true, &["<think>\na</think>Yes."]), pair("a", "Yes."));
        assert_eq!(split(true, &["</think>\n\nYes."]), pair("", "Yes."));
        assert_eq!(split(true, &["never ends\n"]), pair("never ends", ""));
        assert_eq!(split(true, &["a</thi"]), pair("a</thi", ""));
    }

    #[test]
    fn an_answer_thinks_only_if_it_begins_so() {
        assert_eq!(split(false, &["\n<think>\na\n</think>\n\nYes."]), pair("a", "Yes."));
        assert_eq!(split(false, &["Yes. <think>a</think>"]), pair("", "Yes. <think>a</think>"));
        assert_eq!(split(false, &["  <thin"]), pair("", "  <thin"));
        assert_eq!(split(false, &["a </think> b"]), pair("", "a </think> b"));
    }

    #[test]
    fn further_tags_are_text() {
        assert_eq!(split(true, &["a</think>b<think>c</think>"]), pair("a", "b<think>c</think>"));
    }

    #[test]
    fn text_is_shown_as_soon_as_it_can_be_no_tag() {
        let mut reasoning = Reasoning::new(true);
        assert_eq!(reasoning.push("one\n").reasoning, "one");
        assert_eq!(reasoning.push("two </th").reasoning, "\ntwo ");
        assert_eq!(reasoning.push("i").reasoning, "");
        assert_eq!(reasoning.push("s").reasoning, "</this");
        assert_eq!(reasoning.push("\n</think>\n"), ReasoningPiece::default());
        assert_eq!(reasoning.push("\nYes").content, "Yes");
    }

    #[test]
    fn the_prompt_tells_where_the_answer_begins() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/tiny/dense-tied/tokenizer.json");
        let tokenizer = Tokenizer::open(file.as_ref()).unwrap();
        let tags = ThinkTags::of(&tokenizer);
        let opened = |text: &str| tags.opened_by(&tokenizer.encode_with_special(text).unwrap());
        assert!(opened("<|im_start|>assistant\n<think>\n"));
        assert!(opened("<think>a</think>b<|im_end|><think>\n"));
        assert!(!opened("<|im_start|>assistant\n"));
        assert!(!opened("<think>\n\n</think>\n\n"));
        assert!(!tags.opened_by(&tokenizer.encode_plain("<think>\n").unwrap()));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            text in "(\n|a|<think>|</think>|<thi|</| |好){0,12}",
            cuts in prop::collection::vec(0_usize..60, 0..8),
            inside: bool,
        ) {
            let characters: Vec<char> = text.chars().collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(characters.len())).collect();
            cuts.extend([0, characters.len()]);
            cuts.sort_unstable();
            let pieces: Vec<String> =
                cuts.windows(2).map(|pair| characters[pair[0]..pair[1]].iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(split(inside, &pieces), split(inside, &[&text]));
        }
    }
}
