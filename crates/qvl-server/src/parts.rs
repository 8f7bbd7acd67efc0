//! What an answer's text consists of: thinking, text, calls of functions; told apart while it streams.

use qvl::{Answer, FinishReason, Reasoning, ReasoningPiece, ToolCallEvent, ToolCallParser};

/// Something new of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Thinking.
    Reasoning(String),
    /// Text.
    Text(String),
    /// A call begins.
    CallStart { index: usize, id: String, name: String },
    /// More of its arguments.
    CallArguments { index: usize, text: String },
    /// It is over.
    CallEnd,
}

/// Takes an answer apart.
#[derive(Debug)]
pub(crate) struct PartsParser {
    reasoning: Reasoning,
    /// None where no function can be called: what looks like a call is text.
    calls: Option<ToolCallParser>,
    /// Bytes of the answer's text that came so far.
    taken: usize,
    /// Tokens that came before the content, if there was thinking.
    thought: usize,
    /// What came so far.
    seen: Seen,
}

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Reasoning,
    Content,
}

impl PartsParser {
    pub(crate) fn new(reasoning: Reasoning, has_tools: bool) -> Self {
        Self { reasoning, calls: has_tools.then(ToolCallParser::default), taken: 0, thought: 0, seen: Seen::Nothing }
    }

    /// The text of the next token.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Piece> {
        let pieces = self.take(text);
        self.thought += usize::from(self.seen == Seen::Reasoning);
        pieces
    }

    /// Tokens of the thinking, tags about included.
    pub(crate) fn reasoning_tokens(&self) -> usize {
        self.thought
    }

    fn take(&mut self, text: &str) -> Vec<Piece> {
        self.taken += text.len();
        let piece = self.reasoning.push(text);
        self.pieces(piece)
    }

    /// The end. The answer's text may go on where the pieces ended: what was held back until then.
    pub(crate) fn finish(&mut self, answer: &Answer) -> Vec<Piece> {
        let held_back = answer.text.get(self.taken..).unwrap_or_default().to_owned();
        let mut pieces = self.take(&held_back);
        let rest = self.reasoning.finish();
        pieces.extend(self.pieces(rest));
        if let Some(calls) = &mut self.calls {
            pieces.extend(calls.finish().into_iter().map(Piece::from));
        }
        pieces
    }

    /// OpenAI's name for why the answer ended.
    pub(crate) fn finish_reason(&self, reason: FinishReason) -> &'static str {
        match reason {
            FinishReason::Length => "length",
            _ if self.calls.as_ref().is_some_and(ToolCallParser::found_calls) => "tool_calls",
            FinishReason::Stop | FinishReason::Cancelled => "stop",
        }
    }

    fn pieces(&mut self, piece: ReasoningPiece) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if !piece.content.is_empty() {
            self.seen = Seen::Content;
        } else if !piece.reasoning.is_empty() && self.seen == Seen::Nothing {
            self.seen = Seen::Reasoning;
        }
        if !piece.reasoning.is_empty() {
            pieces.push(Piece::Reasoning(piece.reasoning));
        }
        match &mut self.calls {
            _ if piece.content.is_empty() => {}
            Some(calls) => pieces.extend(calls.push(&piece.content).into_iter().map(Piece::from)),
            None => pieces.push(Piece::Text(piece.content)),
        }
        pieces
    }
}

impl From<ToolCallEvent> for Piece {
    fn from(event: ToolCallEvent) -> Self {
        match event {
            ToolCallEvent::Text(text) => Self::Text(text),
            ToolCallEvent::Start { index, id, name } => Self::CallStart { index, id, name },
            ToolCallEvent::Arguments { index, text } => Self::CallArguments { index, text },
            ToolCallEvent::End { .. } => Self::CallEnd,
        }
    }
}

/// A whole answer, its parts apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) reasoning: String,
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
}

/// A call of a function.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

impl Parts {
    /// Adds what is new.
    pub(crate) fn add(&mut self, piece: Piece) {
        match piece {
            Piece::Reasoning(text) => self.reasoning.push_str(&text),
            Piece::Text(text) => self.text.push_str(&text),
            Piece::CallStart { id, name, .. } => self.calls.push(Call { id, name, arguments: String::new() }),
            Piece::CallArguments { index, text } => {
                if let Some(call) = self.calls.get_mut(index) {
                    call.arguments.push_str(&text);
                }
            }
            Piece::CallEnd => {}
        }
    }
}
