//! JSON (RFC 8259), checked byte by byte while it streams, and where its values begin and end.

/// Nesting beyond this is malformed; most readers, serde_json among them, go no deeper.
const MAX_DEPTH: usize = 128;

/// What the last byte was. A level is the number of objects and arrays around the thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Anything else.
    Inside,
    /// The opening quote of a key.
    KeyStart(usize),
    /// The closing quote of a key.
    KeyEnd(usize),
    /// The first byte of a value.
    ValueStart(usize),
    /// The last byte of a value; a number has none, since only what follows ends it.
    ValueEnd(usize),
}

/// The text is no JSON object, whatever follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads one object.
#[derive(Debug)]
pub(super) struct JsonScanner {
    /// The objects (true) and arrays (false) that are open.
    open: Vec<bool>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the object.
    Begin,
    /// A value must follow.
    Value,
    /// A value or the end of the array.
    FirstItem,
    /// A key or the end of the object.
    FirstKey,
    Key,
    Colon,
    /// A comma or a closing bracket.
    Next,
    Text {
        key: bool,
    },
    Escape {
        key: bool,
    },
    /// In `\uXXXX`, so many digits before its end.
    Hex {
        key: bool,
        left: u8,
    },
    Number(Number),
    /// In `true`, `false` or `null`: what is left of it.
    Word(&'static [u8]),
    /// Behind the object.
    End,
}

/// Where in a number the last byte was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl Number {
    fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::E,
            (Self::E, b'+' | b'-') => Self::Sign,
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Self::Exponent,
            _ => return None,
        })
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Exponent)
    }
}

impl JsonScanner {
    pub(super) fn new() -> Self {
        Self { open: Vec::new(), state: State::Begin }
    }

    /// Takes the next byte of a text that is UTF-8.
    pub(super) fn push(&mut self, byte: u8) -> Result<Mark, Malformed> {
        match self.state {
            State::Text { key } => self.text(byte, key),
            State::Escape { key } => self.escape(byte, key),
            State::Hex { key, left } => self.hex(byte, key, left),
            State::Word(left) => self.word(byte, left),
            State::Number(number) => match number.next(byte) {
                Some(next) => self.go(State::Number(next)),
                None if number.may_end() => {
                    self.state = State::Next;
                    self.push(byte)
                }
                None => Err(Malformed),
            },
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => Ok(Mark::Inside),
            State::Begin if byte == b'{' => self.begin(byte),
            State::Value => self.begin(byte),
            State::FirstItem if byte != b']' => self.begin(byte),
            State::FirstItem | State::Next if byte == b']' => self.close(false),
            State::FirstKey | State::Next if byte == b'}' => self.close(true),
            State::FirstKey | State::Key if byte == b'"' => {
                self.state = State::Text { key: true };
                Ok(Mark::KeyStart(self.open.len()))
            }
            State::Colon if byte == b':' => self.go(State::Value),
            State::Next if byte == b',' => match self.open.last() {
                Some(true) => self.go(State::Key),
                Some(false) => self.go(State::Value),
                None => Err(Malformed),
            },
            _ => Err(Malformed),
        }
    }

    fn go(&mut self, state: State) -> Result<Mark, Malformed> {
        self.state = state;
        Ok(Mark::Inside)
    }

    fn begin(&mut self, byte: u8) -> Result<Mark, Malformed> {
        let level = self.open.len();
        self.state = match byte {
            b'{' | b'[' if level == MAX_DEPTH => return Err(Malformed),
            b'{' => {
                self.open.push(true);
                State::FirstKey
            }
            b'[' => {
                self.open.push(false);
                State::FirstItem
            }
            b'"' => State::Text { key: false },
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Integer),
            b't' => State::Word(b"rue"),
            b'f' => State::Word(b"alse"),
            b'n' => State::Word(b"ull"),
            _ => return Err(Malformed),
        };
        Ok(Mark::ValueStart(level))
    }

    /// Ends the innermost object or array.
    fn close(&mut self, object: bool) -> Result<Mark, Malformed> {
        if self.open.pop() != Some(object) {
            return Err(Malformed);
        }
        self.state = if self.open.is_empty() { State::End } else { State::Next };
        Ok(Mark::ValueEnd(self.open.len()))
    }

    fn text(&mut self, byte: u8, key: bool) -> Result<Mark, Malformed> {
        match byte {
            b'"' if key => {
                self.state = State::Colon;
                Ok(Mark::KeyEnd(self.open.len()))
            }
            b'"' => self.value_end(),
            b'\\' => self.go(State::Escape { key }),
            0..=0x1f => Err(Malformed),
            _ => Ok(Mark::Inside),
        }
    }

    fn value_end(&mut self) -> Result<Mark, Malformed> {
        self.state = State::Next;
        Ok(Mark::ValueEnd(self.open.len()))
    }

    fn escape(&mut self, byte: u8, key: bool) -> Result<Mark, Malformed> {
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.go(State::Text { key }),
            b'u' => self.go(State::Hex { key, left: 4 }),
            _ => Err(Malformed),
        }
    }

    fn hex(&mut self, byte: u8, key: bool, left: u8) -> Result<Mark, Malformed> {
        match (byte.is_ascii_hexdigit(), left) {
            (true, 1) => self.go(State::Text { key }),
            (true, _) => self.go(State::Hex { key, left: left - 1 }),
            _ => Err(Malformed),
        }
    }

    fn word(&mut self, byte: u8, left: &'static [u8]) -> Result<Mark, Malformed> {
        match left {
            [last] if *last == byte => self.value_end(),
            [next, rest @ ..] if *next == byte => self.go(State::Word(rest)),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests;
