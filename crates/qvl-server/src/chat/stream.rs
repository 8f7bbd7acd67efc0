//! An answer of `/v1/chat/completions`, piece by piece.

use qvl::service::Event;
use serde_json::{Value, json};

use crate::app::App;
use crate::chunks::Chunks;
use crate::logprobs::chat_logprobs;
use crate::parts::{PartsParser, Piece};
use crate::question::Question;
use crate::sse::{Frame, StreamWriter};
use crate::usage::Usage;

/// Writes the chunks of a stream.
pub(super) struct ChatStream {
    chunks: Chunks,
    parsers: Vec<PartsParser>,
    generation: qvl::GenerationConfig,
}

impl ChatStream {
    pub(super) fn new(
        app: &App,
        question: &Question,
        parsers: Vec<PartsParser>,
        usage: Usage,
        include_usage: bool,
    ) -> Self {
        let chunks = Chunks::new(app, "chatcmpl-", "chat.completion.chunk", include_usage, usage);
        Self { chunks, parsers, generation: question.generation.clone() }
    }

    fn delta(&self, index: usize, delta: Value, logprobs: Value, finish_reason: Option<&str>) -> Frame {
        let choice = json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason});
        self.chunks.chunk(choice)
    }

    /// One chunk for each piece. A token's log-probabilities go with its first piece, or alone if it has none.
    fn pieces(&self, index: usize, pieces: Vec<Piece>, logprobs: Option<Value>) -> Vec<Frame> {
        let mut logprobs = logprobs.map_or(Value::Null, |entry| json!({"content": [entry], "refusal": null}));
        let deltas: Vec<Value> = pieces.into_iter().filter_map(delta_object).collect();
        let mut frames: Vec<Frame> =
            deltas.into_iter().map(|delta| self.delta(index, delta, logprobs.take(), None)).collect();
        if !logprobs.is_null() {
            frames.push(self.delta(index, json!({}), logprobs, None));
        }
        frames
    }
}

impl StreamWriter for ChatStream {
    fn begin(&mut self) -> Vec<Frame> {
        let first = |index| self.delta(index, json!({"role": "assistant", "content": ""}), Value::Null, None);
        (0..self.parsers.len()).map(first).collect()
    }

    fn event(&mut self, index: usize, event: Event) -> Vec<Frame> {
        self.chunks.usage.note(&event);
        match event {
            Event::Token { id, text, logprobs } => {
                let pieces = self.parsers[index].push(&text);
                self.pieces(index, pieces, chat_logprobs(id, logprobs.as_ref(), &self.generation))
            }
            Event::Finished(answer) => {
                self.chunks.usage.reasoning_tokens += self.parsers[index].reasoning_tokens();
                let pieces = self.parsers[index].finish(&answer);
                let mut frames = self.pieces(index, pieces, None);
                let reason = self.parsers[index].finish_reason(answer.finish_reason);
                frames.push(self.delta(index, json!({}), Value::Null, Some(reason)));
                frames
            }
            Event::Started { .. } | Event::Failed(_) => Vec::new(),
        }
    }

    fn end(&mut self) -> Vec<Frame> {
        self.chunks.end()
    }
}

fn delta_object(piece: Piece) -> Option<Value> {
    Some(match piece {
        Piece::Reasoning(text) => json!({"reasoning_content": text}),
        Piece::Text(text) => json!({"content": text}),
        Piece::CallStart { index, id, name } => json!({"tool_calls": [
            {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
        ]}),
        Piece::CallArguments { index, text } => {
            json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
        }
        Piece::CallEnd => return None,
    })
}
