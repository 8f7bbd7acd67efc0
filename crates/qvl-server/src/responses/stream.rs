//! An answer of `/v1/responses`, piece by piece.

use qvl::FinishReason;
use qvl::service::Event;
use serde_json::{Value, json};

use super::items::{ItemEvent, Items};
use super::object::ResponseObject;
use crate::error::ApiError;
use crate::parts::PartsParser;
use crate::sse::{Frame, StreamWriter};
use crate::usage::Usage;

/// Writes the events of a stream.
pub(super) struct ResponseStream {
    object: ResponseObject,
    parser: PartsParser,
    items: Items,
    usage: Usage,
    reason: FinishReason,
    /// Number of the next event.
    sequence: u64,
}

impl ResponseStream {
    pub(super) fn new(object: ResponseObject, parser: PartsParser, usage: Usage) -> Self {
        Self { object, parser, items: Items::default(), usage, reason: FinishReason::Stop, sequence: 0 }
    }

    fn frame(&mut self, (name, mut fields): ItemEvent) -> Frame {
        if let Some(map) = fields.as_object_mut() {
            map.insert("type".to_owned(), json!(name));
            map.insert("sequence_number".to_owned(), json!(self.sequence));
        }
        self.sequence += 1;
        Frame::named(name, &fields)
    }

    fn frames(&mut self, events: Vec<ItemEvent>) -> Vec<Frame> {
        events.into_iter().map(|event| self.frame(event)).collect()
    }

    fn whole(&mut self, name: &'static str, response: Value) -> Frame {
        self.frame((name, json!({"response": response})))
    }
}

impl StreamWriter for ResponseStream {
    fn begin(&mut self) -> Vec<Frame> {
        let response = self.object.in_progress();
        vec![self.whole("response.created", response.clone()), self.whole("response.in_progress", response)]
    }

    fn event(&mut self, _index: usize, event: Event) -> Vec<Frame> {
        self.usage.note(&event);
        let pieces = match event {
            Event::Token { text, .. } => self.parser.push(&text),
            Event::Finished(answer) => {
                self.usage.reasoning_tokens += self.parser.reasoning_tokens();
                self.reason = answer.finish_reason;
                self.parser.finish(&answer)
            }
            Event::Started { .. } | Event::Failed(_) => Vec::new(),
        };
        let events = pieces.into_iter().flat_map(|piece| self.items.add(piece)).collect();
        self.frames(events)
    }

    fn end(&mut self) -> Vec<Frame> {
        let events = self.items.close(self.reason);
        let mut frames = self.frames(events);
        let items = std::mem::take(&mut self.items).into_finished();
        let response = self.object.finished(items, self.reason, &self.usage);
        let name = if self.reason == FinishReason::Length { "response.incomplete" } else { "response.completed" };
        frames.push(self.whole(name, response));
        frames
    }

    fn failed(&mut self, error: &ApiError) -> Vec<Frame> {
        let response = self.object.failed(error);
        vec![self.whole("response.failed", response)]
    }
}
