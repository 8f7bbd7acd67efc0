//! Typed access to one object of `config.json`, collecting every problem instead of stopping at the first.

use std::cell::RefCell;

use serde_json::{Map, Value};

/// Every problem found so far, in the order of the checks.
pub(super) type Problems = RefCell<Vec<String>>;

/// One JSON object with its path in the file, for messages like `text_config.hidden_size is 0`.
pub(super) struct Fields<'a> {
    path: &'static str,
    map: &'a Map<String, Value>,
    problems: &'a Problems,
}

impl<'a> Fields<'a> {
    pub(super) fn new(path: &'static str, map: &'a Map<String, Value>, problems: &'a Problems) -> Self {
        Self { path, map, problems }
    }

    /// The value, with JSON `null` as absent.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn problem(&self, text: String) {
        self.problems.borrow_mut().push(text);
    }

    /// `text_config.key`.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn missing(&self, key: &str) {
        self.problem(format!("{} is missing", self.name(key)));
    }

    fn refuse(&self, key: &str, value: &Value, expected: &str) {
        let shown: String = value.to_string().chars().take(80).collect();
        self.problem(format!("{} is {shown}, must be {expected}", self.name(key)));
    }

    /// A whole number in `1..=max`; a problem is noted and 1 returned otherwise, so that later checks can go on.
    pub(super) fn count(&self, key: &str, max: usize) -> usize {
        match self.value(key) {
            Some(value) => self.checked(key, value, 1, max).unwrap_or(1),
            None => {
                self.missing(key);
                1
            }
        }
    }

    /// As [`Fields::count`], but an absent value is `default`.
    pub(super) fn count_or(&self, key: &str, max: usize, default: usize) -> usize {
        self.value(key).map_or(default, |value| self.checked(key, value, 1, max).unwrap_or(default))
    }

    fn checked(&self, key: &str, value: &Value, min: usize, max: usize) -> Option<usize> {
        let number = value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.refuse(key, value, &format!("a whole number from {min} to {max}"));
        }
        number
    }

    /// A list of at most `max_len` whole numbers up to `max`; absent is `None`.
    pub(super) fn counts(&self, key: &str, max: usize, max_len: usize) -> Option<Vec<usize>> {
        let value = self.value(key)?;
        let Some(items) = value.as_array().filter(|items| items.len() <= max_len) else {
            self.refuse(key, value, &format!("a list of at most {max_len} whole numbers"));
            return Some(Vec::new());
        };
        Some(items.iter().map_while(|item| self.checked(key, item, 0, max)).collect())
    }

    /// A token id inside the vocabulary.
    pub(super) fn token(&self, key: &str, vocab_size: usize) -> Option<u32> {
        let value = self.value(key)?;
        self.checked(key, value, 0, vocab_size.saturating_sub(1)).and_then(|id| u32::try_from(id).ok())
    }

    /// A token id that must be there; 0 after a problem.
    pub(super) fn required_token(&self, key: &str, vocab_size: usize) -> u32 {
        if self.value(key).is_none() {
            self.missing(key);
        }
        self.token(key, vocab_size).unwrap_or(0)
    }

    /// A finite number above zero; absent is `None`, and so is a wrong one after the problem is noted.
    pub(super) fn positive(&self, key: &str) -> Option<f64> {
        let value = self.value(key)?;
        let number = value.as_f64().filter(|n| n.is_finite() && *n > 0.0);
        if number.is_none() {
            self.refuse(key, value, "a number above 0");
        }
        number
    }

    /// As [`Fields::positive`], but absence is a problem too.
    pub(super) fn required_positive(&self, key: &str) -> f64 {
        if self.value(key).is_none() {
            self.missing(key);
        }
        self.positive(key).unwrap_or(1.0)
    }

    /// True or false; absent is `None`.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let value = self.value(key)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.refuse(key, value, "true or false");
        }
        flag
    }

    /// Notes a problem unless the text is the expected one; absent counts as expected.
    pub(super) fn expect_text(&self, key: &str, expected: &str) {
        if let Some(value) = self.value(key)
            && value.as_str() != Some(expected)
        {
            self.refuse(key, value, &format!("{expected:?}"));
        }
    }

    /// The object under the key; absent is `None`.
    pub(super) fn object(&self, key: &str, path: &'static str) -> Option<Fields<'a>> {
        let value = self.value(key)?;
        let map = value.as_object();
        if map.is_none() {
            self.refuse(key, value, "an object");
        }
        Some(Fields::new(path, map?, self.problems))
    }
}
