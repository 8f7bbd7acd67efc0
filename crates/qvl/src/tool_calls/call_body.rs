//! What stands between the tags of a call: a JSON object with a name and arguments.

use std::ops::Range;

use super::json_scanner::{JsonScanner, Mark};

/// Reads the object of one call and says what is known of it so far.
#[derive(Debug)]
pub(super) struct CallBody {
    json: JsonScanner,
    raw: String,
    /// How many bytes of `raw` are scanned.
    scanned: usize,
    /// Where the key or value began that is being read.
    start: usize,
    field: Field,
    name: Option<String>,
    arguments: Option<Arguments>,
    /// How many bytes of the arguments were handed out.
    taken: usize,
}

/// What the last key at the top says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Arguments,
    Other,
}

/// The value of `arguments`.
#[derive(Debug)]
enum Arguments {
    /// An object that begins here; it ends where the range ends, or is not whole yet.
    Object(Range<usize>),
    /// Another spelling of an object: text that holds it, or null.
    Text(String),
}

/// How far the object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// More must follow.
    Open,
    /// It is whole; what follows it begins at this byte of the text.
    Whole(usize),
    /// The text is no call from this byte on.
    Malformed(usize),
}

impl CallBody {
    pub(super) fn new() -> Self {
        Self {
            json: JsonScanner::new(),
            raw: String::new(),
            scanned: 0,
            start: 0,
            field: Field::Other,
            name: None,
            arguments: None,
            taken: 0,
        }
    }

    /// All the text since the opening tag.
    pub(super) fn raw(&self) -> &str {
        &self.raw
    }

    /// Takes more text.
    pub(super) fn push(&mut self, text: &str) -> Progress {
        self.raw.push_str(text);
        while let Some(&byte) = self.raw.as_bytes().get(self.scanned) {
            let at = self.scanned;
            let Some(whole) = self.json.push(byte).ok().and_then(|mark| self.note(mark, at)) else {
                return Progress::Malformed(at);
            };
            self.scanned += 1;
            if whole {
                return Progress::Whole(self.scanned);
            }
        }
        Progress::Open
    }

    /// Whether the object is whole with the byte at `at`; none if it can be no call.
    fn note(&mut self, mark: Mark, at: usize) -> Option<bool> {
        match mark {
            Mark::KeyStart(1) => self.start = at,
            Mark::KeyEnd(1) => self.field = self.field_of(&self.text(at)?),
            Mark::ValueStart(1) => self.value_start(at)?,
            Mark::ValueEnd(1) => self.value_end(at)?,
            Mark::ValueEnd(0) => {
                self.name.as_ref()?;
                self.arguments.get_or_insert_with(|| Arguments::Text("{}".to_owned()));
                return Some(true);
            }
            _ => {}
        }
        Some(false)
    }

    /// The JSON string from `start` to `end`.
    fn text(&self, end: usize) -> Option<String> {
        serde_json::from_str(&self.raw[self.start..=end]).ok()
    }

    /// The first value under a name counts.
    fn field_of(&self, key: &str) -> Field {
        match key {
            "name" if self.name.is_none() => Field::Name,
            "arguments" if self.arguments.is_none() => Field::Arguments,
            _ => Field::Other,
        }
    }

    fn value_start(&mut self, at: usize) -> Option<()> {
        self.start = at;
        match (self.field, self.raw.as_bytes()[at]) {
            (Field::Other, _) | (Field::Name, b'"') | (Field::Arguments, b'"' | b'n') => {}
            (Field::Arguments, b'{') => self.arguments = Some(Arguments::Object(at..usize::MAX)),
            _ => return None,
        }
        Some(())
    }

    fn value_end(&mut self, at: usize) -> Option<()> {
        match (self.field, self.raw.as_bytes()[self.start]) {
            (Field::Name, _) => self.name = Some(self.text(at)?),
            (Field::Arguments, b'{') => self.arguments = Some(Arguments::Object(self.start..at + 1)),
            (Field::Arguments, b'"') => self.arguments = Some(Arguments::Text(self.text(at)?)),
            (Field::Arguments, _) => self.arguments = Some(Arguments::Text("{}".to_owned())),
            (Field::Other, _) => {}
        }
        self.field = Field::Other;
        Some(())
    }

    /// The name, as soon as the arguments have begun too: what follows can no longer be anything but a call.
    pub(super) fn begun(&self) -> Option<&str> {
        self.arguments.as_ref().and(self.name.as_deref())
    }

    /// Whether the arguments are whole.
    pub(super) fn has_all_arguments(&self) -> bool {
        match &self.arguments {
            Some(Arguments::Object(range)) => range.end != usize::MAX,
            Some(Arguments::Text(_)) => true,
            None => false,
        }
    }

    /// The JSON text of the arguments that was not taken yet.
    pub(super) fn take_arguments(&mut self) -> String {
        let known = match &self.arguments {
            Some(Arguments::Object(range)) => &self.raw[range.start..range.end.min(self.scanned)],
            Some(Arguments::Text(text)) => text.as_str(),
            None => "",
        };
        let new = known[self.taken..].to_owned();
        self.taken = known.len();
        new
    }
}
