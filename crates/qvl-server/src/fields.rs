//! The fields of a request, taken one by one with their types and ranges; what nobody took is named.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::error::ApiError;

/// Longest piece of a wrong value that is quoted.
const MAX_QUOTED_CHARS: usize = 60;

/// What clients tell about a request. Nothing is stored, whatever `store` says.
const BOOKKEEPING: [&str; 7] =
    ["user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"];

/// A JSON object of a request. `null` counts as absent, as OpenAI's clients expect.
#[derive(Debug)]
pub(crate) struct Fields {
    map: Map<String, Value>,
    /// Where the object stands: empty for the request itself, else `messages[0].`
    prefix: String,
}

impl Fields {
    /// The request itself.
    ///
    /// # Errors
    /// If it is no object.
    pub(crate) fn of_request(value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(map) => Ok(Self { map, prefix: String::new() }),
            other => Err(ApiError::bad_request(format!("the body must be a JSON object, not {}", quoted(&other)))),
        }
    }

    /// The object at `path`.
    ///
    /// # Errors
    /// If it is no object.
    pub(crate) fn at(path: &str, value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(map) => Ok(Self { map, prefix: format!("{path}.") }),
            other => Err(ApiError::field(path, format!("must be an object, not {}", quoted(&other)))),
        }
    }

    /// The path of a field, for errors.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// An error about a field.
    pub(crate) fn error(&self, name: &str, what: impl Display) -> ApiError {
        ApiError::field(self.path(name), what)
    }

    /// A copy of a value that is taken later.
    pub(crate) fn peek(&self, name: &str) -> Option<Value> {
        self.map.get(name).filter(|value| !value.is_null()).cloned()
    }

    /// Any value.
    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name).filter(|value| !value.is_null())
    }

    /// An integer within `range`.
    pub(crate) fn integer<T>(&mut self, name: &str, range: RangeInclusive<T>) -> Result<Option<T>, ApiError>
    where
        T: TryFrom<i128> + Into<i128> + Copy + Display,
    {
        let Some(value) = self.value(name) else { return Ok(None) };
        let (least, most): (i128, i128) = ((*range.start()).into(), (*range.end()).into());
        let number = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
        let number = number.filter(|number| (least..=most).contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(self.error(name, format!("must be an integer from {least} to {most}, not {}", quoted(&value)))),
        }
    }

    /// An integer from `least` to `most`, as a count.
    pub(crate) fn count(&mut self, name: &str, least: usize, most: usize) -> Result<Option<usize>, ApiError> {
        let found = self.integer::<u64>(name, least as u64..=most as u64)?;
        Ok(found.map(|count| usize::try_from(count).unwrap_or(usize::MAX)))
    }

    /// A number within `range`.
    pub(crate) fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value.as_f64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.error(
                name,
                format!("must be a number from {} to {}, not {}", range.start(), range.end(), quoted(&value)),
            )),
        }
    }

    /// True or false.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.error(name, format!("must be true or false, not {}", quoted(&other)))),
        }
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.error(name, format!("must be a string, not {}", quoted(&other)))),
        }
    }

    /// A list.
    pub(crate) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(self.error(name, format!("must be a list, not {}", quoted(&other)))),
        }
    }

    /// An object.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Fields>, ApiError> {
        self.value(name).map(|value| Fields::at(&self.path(name), value)).transpose()
    }

    /// A field that must be there.
    pub(crate) fn required<T>(&self, name: &str, found: Option<T>) -> Result<T, ApiError> {
        found.ok_or_else(|| self.error(name, "is missing"))
    }

    /// Drops what a request tells of itself, which changes no answer of any API.
    pub(crate) fn ignore_bookkeeping(&mut self) {
        self.ignore(&BOOKKEEPING);
    }

    /// Drops fields that cannot change the answer.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.map.shift_remove(*name);
        }
    }

    /// Drops the field if it has the `harmless` value, which asks for nothing.
    ///
    /// # Errors
    /// If it has another; `why` says what to do instead.
    pub(crate) fn only(&mut self, name: &str, harmless: &Value, why: &str) -> Result<(), ApiError> {
        match self.value(name) {
            Some(value) if value != *harmless => Err(self.error(name, why)),
            _ => Ok(()),
        }
    }

    /// The object's fields that nobody took.
    pub(crate) fn into_rest(self) -> Map<String, Value> {
        self.map
    }

    /// Nothing else may be there.
    ///
    /// # Errors
    /// Names the first field that nobody took.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        match self.map.iter().find(|(_, value)| !value.is_null()) {
            Some((name, _)) => {
                let name: String = name.chars().take(MAX_QUOTED_CHARS).collect();
                Err(self.error(&name, "is not a field that this server knows; leave it out"))
            }
            None => Ok(()),
        }
    }
}

/// A value as an error shows it: its beginning.
pub(crate) fn quoted(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().nth(MAX_QUOTED_CHARS).is_some() => {
            format!("{:?}…", text.chars().take(MAX_QUOTED_CHARS).collect::<String>())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::of_request(value).unwrap()
    }

    fn message(error: ApiError) -> String {
        error.to_json()["error"]["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn values_of_the_right_type_and_range_are_taken() {
        let mut f = fields(json!({"n": 3, "p": 0.5, "s": "x", "b": true, "l": [1], "o": {"i": 1}, "z": null}));
        assert_eq!(f.integer::<u64>("n", 1..=5).unwrap(), Some(3));
        assert_eq!(f.number("p", 0.0..=1.0).unwrap(), Some(0.5));
        assert_eq!(f.text("s").unwrap().as_deref(), Some("x"));
        assert_eq!(f.flag("b").unwrap(), Some(true));
        assert_eq!(f.list("l").unwrap().unwrap().len(), 1);
        assert_eq!(f.object("o").unwrap().unwrap().count("i", 0, 1).unwrap(), Some(1));
        assert_eq!(f.flag("z").unwrap(), None);
        f.finish().unwrap();
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        let mut f =
            fields(json!({"n": -1, "big": 1e300, "huge": 18446744073709551615_u64, "p": "0.5", "o": {"x": []}}));
        assert_eq!(message(f.integer::<u64>("n", 1..=5).unwrap_err()), "n: must be an integer from 1 to 5, not -1");
        assert!(f.integer::<u64>("big", 1..=5).is_err());
        assert!(f.integer::<i64>("huge", i64::MIN..=i64::MAX).is_err());
        assert_eq!(message(f.number("p", 0.0..=1.0).unwrap_err()), "p: must be a number from 0 to 1, not \"0.5\"");
        let mut object = f.object("o").unwrap().unwrap();
        assert_eq!(message(object.text("x").unwrap_err()), "o.x: must be a string, not a list");
        assert!(Fields::of_request(json!([1])).is_err());
    }

    #[test]
    fn what_nobody_took_is_named_unless_it_is_null() {
        let mut f = fields(json!({"user": "me", "nothing": null, "temprature": 1, "best_of": 1}));
        f.ignore(&["user"]);
        f.only("best_of", &json!(1), "is not supported").unwrap();
        let error = f.finish().unwrap_err();
        assert_eq!(error.to_json()["error"]["param"], "temprature");
        let mut f = fields(json!({"best_of": 2}));
        assert_eq!(message(f.only("best_of", &json!(1), "is not supported").unwrap_err()), "best_of: is not supported");
    }
}
