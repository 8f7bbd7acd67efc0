//! Why there is no grammar, or an answer could not keep to it.

/// A form of answers that cannot be asked for, or an answer that failed under it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// A schema, pattern or list exceeds one of the limits.
    #[error("{what} has {found} {unit}; at most {limit} are allowed: make it smaller")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// What is counted.
        unit: &'static str,
        /// How many there are, or how many were counted until it was enough.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The schema means something that cannot be generated.
    #[error("the schema cannot be used: {reason}")]
    Schema {
        /// What is wrong with it.
        reason: String,
    },
    /// It would take too much memory or time to keep to it.
    #[error("the schema is too complex: {reason}; use fewer alternatives, simpler patterns and smaller counts")]
    TooComplex {
        /// Which limit was met.
        reason: String,
    },
    /// The name of a function is unusual.
    #[error("the function name {name:?} is not usable; give 1 to 64 letters, digits, _, - or .")]
    FunctionName {
        /// The name.
        name: String,
    },
    /// Two functions have one name.
    #[error("there are two functions named {name:?}; give each a name of its own")]
    DuplicateFunction {
        /// The name.
        name: String,
    },
    /// A function must be called, and it or any is missing.
    #[error("there is no function to call{}", name.as_ref().map(|name| format!(" with the name {name:?}")).unwrap_or_default())]
    NoFunction {
        /// The name that was asked for.
        name: Option<String>,
    },
    /// The tokenizer cannot be used for this.
    #[error("the model's tokenizer has no usable {what}; use the tokenizer.json of the Qwen3-VL checkpoint")]
    Tokenizer {
        /// What is missing.
        what: &'static str,
    },
    /// A token was chosen that the grammar does not allow.
    #[error("token {token} was chosen although the answer's form does not allow it here")]
    Refused {
        /// The token.
        token: u32,
    },
    /// The library that keeps the answer to its form failed.
    #[error("the answer's form could not be worked out (this is a bug, please report it): {reason}")]
    Internal {
        /// What it says.
        reason: String,
    },
}

/// Longest part of the library's message that is passed on.
const MAX_REASON: usize = 300;

impl GrammarError {
    /// What `llguidance` says of a grammar that it does not compile, sorted by what the caller can do about it.
    pub(super) fn of_compiling(error: impl std::fmt::Display) -> Self {
        let reason = reason(&format!("{error:#}")).replace(PANIC, "it could not be read: ");
        let limits = ["too big", "too large", "fuel", "stack level", "Unable to determine"];
        if limits.iter().any(|limit| reason.contains(limit)) {
            Self::TooComplex { reason }
        } else {
            Self::Schema { reason }
        }
    }

    /// What it says in the middle of an answer, where only its limits are left to fail.
    pub(super) fn of_running(error: impl std::fmt::Display) -> Self {
        let reason = reason(&format!("{error:#}"));
        if reason.starts_with(PANIC) { Self::Internal { reason } } else { Self::TooComplex { reason } }
    }
}

/// How the library reports a panic that it caught.
const PANIC: &str = "panic: ";

/// The first line of a message, and of those about regular expressions also the one that says what is wrong; the rest
/// shows inner states.
fn reason(message: &str) -> String {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    let error = lines.find_map(|line| line.strip_prefix("error: "));
    let line = error.map_or_else(|| first.to_owned(), |error| format!("{first} {error}"));
    line.chars().take(MAX_REASON).collect()
}
