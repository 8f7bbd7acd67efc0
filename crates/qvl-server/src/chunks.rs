//! The chunks in which `/v1/chat/completions` and `/v1/completions` stream.

use serde_json::{Value, json};

use crate::app::{App, new_id, unix_seconds};
use crate::sse::Frame;
use crate::usage::Usage;

/// What all chunks of a stream have in common.
pub(crate) struct Chunks {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    /// Whether the client wants the usage.
    include_usage: bool,
    pub(crate) usage: Usage,
}

impl Chunks {
    /// Those of a stream of `object`s whose id begins with `prefix`.
    pub(crate) fn new(app: &App, prefix: &str, object: &'static str, include_usage: bool, usage: Usage) -> Self {
        let model = app.options.model_name.clone();
        Self { id: new_id(prefix), object, created: unix_seconds(), model, include_usage, usage }
    }

    /// A chunk with one choice.
    pub(crate) fn chunk(&self, choice: Value) -> Frame {
        self.frame(json!([choice]), Value::Null)
    }

    /// The usage, if it is wanted, and the end.
    pub(crate) fn end(&self) -> Vec<Frame> {
        let usage = self.include_usage.then(|| self.frame(json!([]), self.usage.to_json()));
        usage.into_iter().chain([Frame::done()]).collect()
    }

    fn frame(&self, choices: Value, usage: Value) -> Frame {
        let mut chunk = json!({
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if let (true, Some(map)) = (self.include_usage, chunk.as_object_mut()) {
            map.insert("usage".to_owned(), usage);
        }
        Frame::data(&chunk)
    }
}
