//! An answer of `/v1/chat/completions`, piece by piece.

use qvl::service::Event;
use serde_json::{Value, json};

use crate::app::{App, new_id, unix_seconds};
use crate::logprobs::chat_logprobs;
use crate::parts::{PartsParser, Piece};
use crate::question::Question;
use crate::sse::{Frame, StreamWriter};
use crate::usage::Usage;

/// Writes the chunks of a stream.
pub(super) struct ChatStream {
    id: String,
    created: u64,
    model: String,
    parsers: Vec<PartsParser>,
    generation: qvl::GenerationConfig,
    /// None where the client does not want it.
    include_usage: bool,
    usage: Usage,
}

impl ChatStream {
    pub(super) fn new(
        app: &App,
        question: &Question,
        parsers: Vec<PartsParser>,
        usage: Usage,
        include_usage: bool,
    ) -> Self {
        Self {
            id: new_id("chatcmpl-"),
            created: unix_seconds(),
            model: app.options.model_name.clone(),
            parsers,
            generation: question.generation.clone(),
            include_usage,
            usage,
        }
    }

    fn chunk(&self, choices: Value, usage: Value) -> Frame {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if let (true, Some(map)) = (self.include_usage, chunk.as_object_mut()) {
            map.insert("usage".to_owned(), usage);
        }
        Frame::data(&chunk)
    }

    fn delta(&self, index: usize, delta: Value, logprobs: Value, finish_reason: Option<&str>) -> Frame {
        let choice = json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason});
        self.chunk(json!([choice]), Value::Null)
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
        self.usage.note(&event);
        match event {
            Event::Token { id, text, logprobs } => {
                let pieces = self.parsers[index].push(&text);
                self.pieces(index, pieces, chat_logprobs(id, logprobs.as_ref(), &self.generation))
            }
            Event::Finished(answer) => {
                self.usage.reasoning_tokens += self.parsers[index].reasoning_tokens();
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
        let usage = self.include_usage.then(|| self.chunk(json!([]), self.usage.to_json()));
        usage.into_iter().chain([Frame::done()]).collect()
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
