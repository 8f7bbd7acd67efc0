//! An answer of `/v1/completions`, piece by piece.

use qvl::service::Event;
use serde_json::{Value, json};

use super::output::{Output, choice_object};
use crate::app::{App, new_id, unix_seconds};
use crate::sse::{Frame, StreamWriter};
use crate::usage::Usage;

/// Writes the chunks of a stream.
pub(super) struct CompletionStream {
    id: String,
    created: u64,
    model: String,
    include_usage: bool,
    outputs: Vec<Output>,
    usage: Usage,
}

impl CompletionStream {
    pub(super) fn new(app: &App, include_usage: bool, outputs: Vec<Output>, usage: Usage) -> Self {
        Self {
            id: new_id("cmpl-"),
            created: unix_seconds(),
            model: app.options.model_name.clone(),
            include_usage,
            outputs,
            usage,
        }
    }

    fn chunk(&self, choices: Value, usage: Value) -> Frame {
        let mut chunk = json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if let (true, Some(map)) = (self.include_usage, chunk.as_object_mut()) {
            map.insert("usage".to_owned(), usage);
        }
        Frame::data(&chunk)
    }

    fn piece(&self, choice: Value) -> Frame {
        self.chunk(json!([choice]), Value::Null)
    }
}

impl StreamWriter for CompletionStream {
    fn begin(&mut self) -> Vec<Frame> {
        let echoed = self.outputs.iter().enumerate().filter(|(_, output)| !output.echo().is_empty());
        echoed.map(|(index, output)| self.piece(choice_object(index, output.echo(), Value::Null, None))).collect()
    }

    fn event(&mut self, index: usize, event: Event) -> Vec<Frame> {
        self.usage.note(&event);
        match event {
            Event::Token { id, text, logprobs } => {
                self.outputs[index].token(id, &text, logprobs.as_ref());
                if text.is_empty() {
                    return Vec::new();
                }
                let logprobs = self.outputs[index].take_logprobs();
                vec![self.piece(choice_object(index, &text, logprobs, None))]
            }
            Event::Finished(answer) => {
                let text = self.outputs[index].held_back(&answer.text);
                let logprobs = self.outputs[index].take_logprobs();
                vec![self.piece(choice_object(index, text, logprobs, Some(answer.finish_reason)))]
            }
            Event::Started { .. } | Event::Failed(_) => Vec::new(),
        }
    }

    fn end(&mut self) -> Vec<Frame> {
        let usage = self.include_usage.then(|| self.chunk(json!([]), self.usage.to_json()));
        usage.into_iter().chain([Frame::done()]).collect()
    }
}
