//! The items of an answer, and the events that tell how they grow.

use qvl::FinishReason;
use serde_json::{Map, Value, json};

use crate::app::new_id;
use crate::parts::Piece;

/// An event: its name, and its fields but for the number.
pub(super) type ItemEvent = (&'static str, Value);

/// The items so far.
#[derive(Debug, Default)]
pub(super) struct Items {
    finished: Vec<Value>,
    open: Option<Open>,
}

/// The item that grows.
#[derive(Debug)]
struct Open {
    kind: Kind,
    id: String,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Reasoning,
    Message,
    Call { call_id: String, name: String },
}

impl Items {
    /// Adds a piece of the answer.
    pub(super) fn add(&mut self, piece: Piece) -> Vec<ItemEvent> {
        match piece {
            Piece::Reasoning(text) => self.grow(Kind::Reasoning, &text),
            Piece::Text(text) => self.grow(Kind::Message, &text),
            Piece::CallStart { id, name, .. } => self.begin(Kind::Call { call_id: id, name }),
            Piece::CallArguments { text, .. } => self.delta(&text).into_iter().collect(),
            Piece::CallEnd => self.close(FinishReason::Stop),
        }
    }

    /// Ends the item that grows, if there is one.
    pub(super) fn close(&mut self, reason: FinishReason) -> Vec<ItemEvent> {
        let Some(open) = self.open.take() else { return Vec::new() };
        let index = self.finished.len();
        let status = if reason == FinishReason::Length { "incomplete" } else { "completed" };
        let item = open.item(status);
        let mut events = open.done(index);
        events.push(("response.output_item.done", json!({"output_index": index, "item": item})));
        self.finished.push(item);
        events
    }

    /// All items, when the last one is closed.
    pub(super) fn into_finished(self) -> Vec<Value> {
        self.finished
    }

    fn grow(&mut self, kind: Kind, text: &str) -> Vec<ItemEvent> {
        let mut events = Vec::new();
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            events = self.begin(kind);
        }
        events.extend(self.delta(text));
        events
    }

    fn begin(&mut self, kind: Kind) -> Vec<ItemEvent> {
        let mut events = self.close(FinishReason::Stop);
        let prefix = match kind {
            Kind::Reasoning => "rs_",
            Kind::Message => "msg_",
            Kind::Call { .. } => "fc_",
        };
        let open = Open { kind, id: new_id(prefix), text: String::new() };
        events.extend(open.added(self.finished.len()));
        self.open = Some(open);
        events
    }

    fn delta(&mut self, text: &str) -> Option<ItemEvent> {
        let index = self.finished.len();
        let open = self.open.as_mut()?;
        open.text.push_str(text);
        let (name, more) = match open.kind {
            Kind::Reasoning => ("response.reasoning_text.delta", json!({"delta": text})),
            Kind::Message => ("response.output_text.delta", json!({"delta": text, "logprobs": []})),
            Kind::Call { .. } => ("response.function_call_arguments.delta", json!({"delta": text})),
        };
        Some((name, open.event(index, more)))
    }
}

impl Open {
    /// The item as it is now.
    fn item(&self, status: &str) -> Value {
        match &self.kind {
            Kind::Reasoning => json!({
                "type": "reasoning", "id": self.id, "status": status, "summary": [], "content": [self.part()],
            }),
            Kind::Message => json!({
                "type": "message", "id": self.id, "status": status, "role": "assistant", "content": [self.part()],
            }),
            Kind::Call { call_id, name } => json!({
                "type": "function_call", "id": self.id, "status": status, "call_id": call_id, "name": name,
                "arguments": self.text,
            }),
        }
    }

    fn part(&self) -> Value {
        match self.kind {
            Kind::Reasoning => json!({"type": "reasoning_text", "text": self.text}),
            _ => json!({"type": "output_text", "text": self.text, "annotations": [], "logprobs": []}),
        }
    }

    /// The fields that say where something happens, and `more`.
    fn event(&self, index: usize, more: Value) -> Value {
        let is_call = matches!(self.kind, Kind::Call { .. });
        let place = if is_call { json!({}) } else { json!({"content_index": 0}) };
        let mut event = Map::new();
        for fields in [json!({"item_id": self.id, "output_index": index}), place, more] {
            if let Value::Object(fields) = fields {
                event.extend(fields);
            }
        }
        Value::Object(event)
    }

    fn added(&self, index: usize) -> Vec<ItemEvent> {
        let mut item = self.item("in_progress");
        let is_call = matches!(self.kind, Kind::Call { .. });
        if let (false, Some(map)) = (is_call, item.as_object_mut()) {
            map.insert("content".to_owned(), json!([]));
        }
        let mut events = vec![("response.output_item.added", json!({"output_index": index, "item": item}))];
        if !is_call {
            events.push(("response.content_part.added", self.event(index, json!({"part": self.part()}))));
        }
        events
    }

    fn done(&self, index: usize) -> Vec<ItemEvent> {
        let (name, more) = match &self.kind {
            Kind::Reasoning => ("response.reasoning_text.done", json!({"text": self.text})),
            Kind::Message => ("response.output_text.done", json!({"text": self.text, "logprobs": []})),
            Kind::Call { name, .. } => {
                let more = json!({"arguments": self.text, "name": name});
                return vec![("response.function_call_arguments.done", self.event(index, more))];
            }
        };
        let part = json!({"part": self.part()});
        vec![(name, self.event(index, more)), ("response.content_part.done", self.event(index, part))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_follow_one_another() {
        let mut items = Items::default();
        let pieces = [
            Piece::Reasoning("hm".into()),
            Piece::Text("a".into()),
            Piece::Text("b".into()),
            Piece::CallStart { index: 0, id: "call_1".into(), name: "f".into() },
            Piece::CallArguments { index: 0, text: "{}".into() },
            Piece::CallEnd,
        ];
        let mut events: Vec<ItemEvent> = pieces.into_iter().flat_map(|piece| items.add(piece)).collect();
        events.extend(items.close(FinishReason::Stop));
        let names: Vec<&str> = events.iter().map(|(name, _)| name.trim_start_matches("response.")).collect();
        assert_eq!(
            names,
            [
                "output_item.added",
                "content_part.added",
                "reasoning_text.delta",
                "reasoning_text.done",
                "content_part.done",
                "output_item.done",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
                "output_item.done",
                "output_item.added",
                "function_call_arguments.delta",
                "function_call_arguments.done",
                "output_item.done",
            ]
        );
        assert_eq!(events[8].1["logprobs"], json!([]));
        assert_eq!(events[8].1["output_index"], 1);
        let finished = items.into_finished();
        assert_eq!(finished[1]["content"][0]["text"], "ab");
        assert_eq!((&finished[2]["call_id"], &finished[2]["arguments"]), (&json!("call_1"), &json!("{}")));
    }

    #[test]
    fn an_answer_that_was_cut_off_says_so() {
        let mut items = Items::default();
        items.add(Piece::Text("a".into()));
        items.close(FinishReason::Length);
        assert_eq!(items.into_finished()[0]["status"], "incomplete");
    }
}
