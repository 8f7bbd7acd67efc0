//! An answer of `/v1/completions`, piece by piece.

use qvl::service::Event;
use serde_json::Value;

use super::output::{Output, choice_object};
use crate::app::App;
use crate::chunks::Chunks;
use crate::sse::{Frame, StreamWriter};
use crate::usage::Usage;

/// Writes the chunks of a stream.
pub(super) struct CompletionStream {
    chunks: Chunks,
    outputs: Vec<Output>,
}

impl CompletionStream {
    pub(super) fn new(app: &App, include_usage: bool, outputs: Vec<Output>, usage: Usage) -> Self {
        Self { chunks: Chunks::new(app, "cmpl-", "text_completion", include_usage, usage), outputs }
    }
}

impl StreamWriter for CompletionStream {
    fn begin(&mut self) -> Vec<Frame> {
        let echoed = self.outputs.iter().enumerate().filter(|(_, output)| !output.echo().is_empty());
        echoed
            .map(|(index, output)| self.chunks.chunk(choice_object(index, output.echo(), Value::Null, None)))
            .collect()
    }

    fn event(&mut self, index: usize, event: Event) -> Vec<Frame> {
        self.chunks.usage.note(&event);
        match event {
            Event::Token { id, text, logprobs } => {
                self.outputs[index].token(id, &text, logprobs.as_ref());
                if text.is_empty() {
                    return Vec::new();
                }
                let logprobs = self.outputs[index].take_logprobs();
                vec![self.chunks.chunk(choice_object(index, &text, logprobs, None))]
            }
            Event::Finished(answer) => {
                let text = self.outputs[index].held_back(&answer.text);
                let logprobs = self.outputs[index].take_logprobs();
                vec![self.chunks.chunk(choice_object(index, text, logprobs, Some(answer.finish_reason)))]
            }
            Event::Started { .. } | Event::Failed(_) => Vec::new(),
        }
    }

    fn end(&mut self) -> Vec<Frame> {
        self.chunks.end()
    }
}
