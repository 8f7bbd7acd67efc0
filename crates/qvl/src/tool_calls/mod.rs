//! Calls of functions in an answer, found while it streams.
//!
//! The template teaches the model the Hermes form: `<tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>`, once for
//! each call, after the text if there is any.

mod call_body;
mod json_scanner;

use call_body::{CallBody, Progress};
use qvl_processor::ToolCall;

use crate::stop::overlap;

pub(crate) const OPEN: &str = "<tool_call>";
pub(crate) const CLOSE: &str = "</tool_call>";

/// What an answer with calls consists of. Calls are numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolCallEvent {
    /// Text outside calls.
    Text(String),
    /// A call begins.
    Start {
        /// Its number.
        index: usize,
        /// A new identifier, `call_` and 24 hexadecimal digits.
        id: String,
        /// The function's name.
        name: String,
    },
    /// More of the call's arguments: JSON text.
    Arguments {
        /// The call's number.
        index: usize,
        /// What comes after what came before.
        text: String,
    },
    /// The call is over.
    End {
        /// Its number.
        index: usize,
    },
}

/// Finds the calls in the text of an answer, whatever pieces it comes in.
///
/// White space between text and calls is left out. Tags inside strings of a call's JSON are part of the string. What
/// follows an opening tag and is no JSON object with a name and arguments is text, tags and all. Once a call's arguments
/// have begun it is a call: arguments that break off, or break the rules of JSON, are handed on as they are, and it is
/// for the caller of the function to check them. (An answer that keeps to a [`Grammar`](crate::Grammar) breaks none.)
#[derive(Debug)]
pub struct ToolCallParser {
    state: State,
    /// Text that was not understood yet.
    held: String,
    /// Calls that have begun.
    calls: usize,
}

#[derive(Debug)]
enum State {
    Text,
    /// Behind an opening tag, before it is known to be a call; the white space before the tag.
    Candidate(CallBody, String),
    /// In the object of a call.
    Call(CallBody),
    /// In arguments that are no JSON: all is theirs up to the closing tag.
    Raw,
    /// Behind the object of a call.
    Closing,
}

impl Default for ToolCallParser {
    fn default() -> Self {
        Self { state: State::Text, held: String::new(), calls: 0 }
    }
}

impl ToolCallParser {
    /// Takes the next piece of the answer's text and returns what is known now.
    pub fn push(&mut self, text: &str) -> Vec<ToolCallEvent> {
        self.held.push_str(text);
        let mut events = Vec::new();
        while self.step(&mut events) {}
        events
    }

    /// What was held back, once no more text follows.
    pub fn finish(&mut self) -> Vec<ToolCallEvent> {
        let mut events = Vec::new();
        let held = std::mem::take(&mut self.held);
        match std::mem::replace(&mut self.state, State::Text) {
            State::Candidate(body, space) => show(&mut events, format!("{space}{OPEN}{}", body.raw())),
            State::Call(_) => self.end(&mut events),
            State::Raw => {
                self.arguments(&mut events, held);
                self.end(&mut events);
            }
            State::Text | State::Closing if self.calls > 0 && held.trim().is_empty() => {}
            State::Text | State::Closing => show(&mut events, held),
        }
        events
    }

    /// Whether a call has begun, so that the answer ends for the reason `tool_calls`.
    pub fn found_calls(&self) -> bool {
        self.calls > 0
    }

    /// Goes on until the next change of state; false if more text is needed.
    fn step(&mut self, events: &mut Vec<ToolCallEvent>) -> bool {
        match std::mem::replace(&mut self.state, State::Text) {
            State::Text => self.text(events),
            State::Candidate(body, space) => self.candidate(body, space, events),
            State::Call(body) => self.call(body, events),
            State::Raw => self.raw(events),
            State::Closing => self.closing(events),
        }
    }

    fn text(&mut self, events: &mut Vec<ToolCallEvent>) -> bool {
        let tag = self.held.find(OPEN);
        let end = tag.unwrap_or(self.held.len() - overlap(&self.held, OPEN));
        let shown = self.held[..end].trim_end().len();
        show(events, self.held.drain(..shown).collect());
        if tag.is_none() {
            return false;
        }
        let space = self.held.drain(..end - shown).collect();
        self.held.drain(..OPEN.len());
        self.state = State::Candidate(CallBody::new(), space);
        true
    }

    fn candidate(&mut self, mut body: CallBody, space: String, events: &mut Vec<ToolCallEvent>) -> bool {
        let progress = body.push(&std::mem::take(&mut self.held));
        if let Some(name) = body.begun() {
            let id = format!("call_{:024x}", rand::random::<u128>() >> 32);
            events.push(ToolCallEvent::Start { index: self.calls, id, name: name.to_owned() });
            self.calls += 1;
            return self.after_object(body, progress, events);
        }
        if let Progress::Malformed(at) = progress {
            show(events, format!("{space}{OPEN}{}", &body.raw()[..at]));
            self.held = body.raw()[at..].to_owned();
            return true;
        }
        self.state = State::Candidate(body, space);
        false
    }

    fn call(&mut self, mut body: CallBody, events: &mut Vec<ToolCallEvent>) -> bool {
        let progress = body.push(&std::mem::take(&mut self.held));
        self.after_object(body, progress, events)
    }

    /// Hands out the arguments of a call that has begun, and goes on behind its object if that is over.
    fn after_object(&mut self, mut body: CallBody, progress: Progress, events: &mut Vec<ToolCallEvent>) -> bool {
        let text = body.take_arguments();
        self.arguments(events, text);
        let rest = match progress {
            Progress::Open => {
                self.state = State::Call(body);
                return false;
            }
            Progress::Malformed(at) | Progress::Whole(at) => at,
        };
        self.held = body.raw()[rest..].to_owned();
        if body.has_all_arguments() {
            self.end(events);
            self.state = State::Closing;
        } else {
            self.state = State::Raw;
        }
        true
    }

    fn raw(&mut self, events: &mut Vec<ToolCallEvent>) -> bool {
        let tag = self.held.find(CLOSE);
        let end = tag.unwrap_or(self.held.len() - overlap(&self.held, CLOSE));
        let shown = self.held[..end].trim_end().len();
        let text = self.held.drain(..shown).collect();
        self.arguments(events, text);
        if tag.is_none() {
            self.state = State::Raw;
            return false;
        }
        self.end(events);
        self.held.drain(..end - shown + CLOSE.len());
        true
    }

    /// Passes over what stands between a call's object and its closing tag, which may be missing before the next call.
    fn closing(&mut self, events: &mut Vec<ToolCallEvent>) -> bool {
        let close = self.held.find(CLOSE);
        let open = self.held.find(OPEN);
        match (close, open) {
            (Some(close), open) if open.is_none_or(|open| close < open) => {
                self.held.drain(..close + CLOSE.len());
            }
            (_, Some(open)) => {
                let between: String = self.held.drain(..open).collect();
                show(events, between.trim().to_owned());
            }
            _ => {
                self.state = State::Closing;
                return false;
            }
        }
        true
    }

    fn arguments(&self, events: &mut Vec<ToolCallEvent>, text: String) {
        if !text.is_empty() {
            events.push(ToolCallEvent::Arguments { index: self.calls - 1, text });
        }
    }

    fn end(&self, events: &mut Vec<ToolCallEvent>) {
        events.push(ToolCallEvent::End { index: self.calls - 1 });
    }
}

fn show(events: &mut Vec<ToolCallEvent>, text: String) {
    if !text.is_empty() {
        events.push(ToolCallEvent::Text(text));
    }
}

/// The text outside calls, and the calls, of a whole answer. Arguments are the text that the model wrote.
pub fn parse_tool_calls(answer: &str) -> (String, Vec<ToolCall>) {
    let mut parser = ToolCallParser::default();
    let mut events = parser.push(answer);
    events.extend(parser.finish());
    collect(events)
}

/// Puts the pieces together again.
fn collect(events: Vec<ToolCallEvent>) -> (String, Vec<ToolCall>) {
    let mut text = String::new();
    let mut calls: Vec<(String, String, String)> = Vec::new();
    for event in events {
        match event {
            ToolCallEvent::Text(piece) => text.push_str(&piece),
            ToolCallEvent::Start { id, name, .. } => calls.push((id, name, String::new())),
            ToolCallEvent::Arguments { index, text } => calls[index].2.push_str(&text),
            ToolCallEvent::End { .. } => {}
        }
    }
    let call =
        |(id, name, arguments): (String, String, String)| ToolCall { id: Some(id), name, arguments: arguments.into() };
    (text, calls.into_iter().map(call).collect())
}

#[cfg(test)]
mod tests;
