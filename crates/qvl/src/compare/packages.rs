//! Whether two packages are of one model.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use qvl_package::PackageDir;
use serde_json::Value;

use super::error::CompareError;
use crate::error::Error;

/// Largest tokenizer that is read; that of Qwen3-VL has 11 MB.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Most characters of a differing value that are shown.
const SHOWN_CHARS: usize = 40;

/// Checks that configuration and tokenizer are the same, so that tokens and features stand for the same in both.
/// How a file is laid out does not matter.
///
/// # Errors
/// [`CompareError::Different`] names the first difference; others if a tokenizer cannot be read.
pub fn check_packages(reference: &PackageDir, candidate: &PackageDir) -> Result<(), CompareError> {
    let parse = |text: String| serde_json::from_str::<Value>(&text).unwrap_or_default();
    let configs = [reference, candidate].map(|package| parse(package.config().to_json()));
    same("config.json", &configs[0], &configs[1])?;
    let path = |package: &PackageDir| package.path().join("tokenizer.json");
    let ours = read(&path(reference)).map_err(CompareError::Reference)?;
    let theirs = read(&path(candidate)).map_err(CompareError::Candidate)?;
    if ours == theirs {
        return Ok(());
    }
    let ours = parse_file(&path(reference), &ours).map_err(CompareError::Reference)?;
    let theirs = parse_file(&path(candidate), &theirs).map_err(CompareError::Candidate)?;
    same("tokenizer.json", &ours, &theirs)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes));
    read.map_err(|source| Error::io(path, source))?;
    Ok(bytes)
}

fn parse_file(path: &Path, bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::io(path, source.into()))
}

fn same(file: &'static str, reference: &Value, candidate: &Value) -> Result<(), CompareError> {
    let Some((place, reference, candidate)) = first_difference(reference, candidate) else { return Ok(()) };
    Err(CompareError::Different { file, place, reference: shown(reference), candidate: shown(candidate) })
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Where two values differ first, and what each has there.
type Difference<'v> = (String, Option<&'v Value>, Option<&'v Value>);

/// The order of an object's keys does not matter.
fn first_difference<'v>(a: &'v Value, b: &'v Value) -> Option<Difference<'v>> {
    if a == b {
        return None;
    }
    let inner = match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            in_parts(keys.map(|key| (key.clone(), a.get(key), b.get(key))))
        }
        (Value::Array(a), Value::Array(b)) => {
            in_parts((0..a.len().max(b.len())).map(|index| (index.to_string(), a.get(index), b.get(index))))
        }
        _ => None,
    };
    Some(inner.unwrap_or((String::new(), Some(a), Some(b))))
}

fn in_parts<'v>(
    mut parts: impl Iterator<Item = (String, Option<&'v Value>, Option<&'v Value>)>,
) -> Option<Difference<'v>> {
    parts.find_map(|(name, a, b)| {
        let (Some(inner_a), Some(inner_b)) = (a, b) else { return Some((name, a, b)) };
        let (place, a, b) = first_difference(inner_a, inner_b)?;
        let place = if place.is_empty() { name } else { format!("{name}.{place}") };
        Some((place, a, b))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn difference(a: &Value, b: &Value) -> Option<String> {
        same("config.json", a, b).err().map(|error| error.to_string())
    }

    #[test]
    fn the_order_of_keys_does_not_matter() {
        assert_eq!(difference(&json!({"a": 1, "b": {"c": 2}}), &json!({"b": {"c": 2}, "a": 1})), None);
    }

    #[test]
    fn the_first_difference_is_named() {
        for (a, b, expected) in [
            (
                json!({"a": {"b": [1, 2]}}),
                json!({"a": {"b": [1, 3]}}),
                "`a.b.1` (2 in the reference, 3 in the candidate)",
            ),
            (json!({"a": [1]}), json!({"a": [1, 2]}), "`a.1` (nothing in the reference, 2 in the candidate)"),
            (json!({"a": 1}), json!({}), "`a` (1 in the reference, nothing in the candidate)"),
            (json!({"a": {}}), json!({"a": []}), "`a` ({} in the reference, [] in the candidate)"),
        ] {
            let text = difference(&a, &b).unwrap();
            assert!(text.contains(&format!("config.json differs at {expected}")), "{text}");
        }
    }

    #[test]
    fn long_values_are_shortened() {
        let text = difference(&json!("é".repeat(100)), &json!(1)).unwrap();
        assert!(text.contains(&format!("(\"{}… in the reference", "é".repeat(39))), "{text}");
    }
}
