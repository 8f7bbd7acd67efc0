//! How much a grammar may ask for, since schemas come from strangers.

use std::collections::HashSet;

use serde_json::Value;

use super::error::GrammarError;
use super::weight::weight;

/// Characters of all keys and strings of a schema, or of a list of choices, in bytes. OpenAI allows 120,000.
pub(super) const SCHEMA_BYTES: usize = 256 << 10;
/// Values in a schema, nested ones included.
const SCHEMA_VALUES: usize = 20_000;
/// Properties of one object: the work grows with their square.
const PROPERTIES: usize = 1_000;
/// Properties of all objects, and names of required ones, which can meet in one object.
const ALL_PROPERTIES: usize = 4_000;
/// Objects and arrays around a value of a schema; `serde_json` reads 127.
const SCHEMA_DEPTH: usize = 96;
/// The depths of all parts of a schema that are referred to, added up: compiling one can lead into any other.
const REFERENCE_LEVELS: usize = 2_000;
/// The length of a regular expression.
pub(super) const PATTERN_BYTES: usize = 2_000;
/// Regular expressions in a schema. Whether one can match anything is tried out, for up to a fraction of a second.
const PATTERNS: usize = 64;
/// What every `multipleOf` of a schema divides, without powers of ten: it takes a state of the lexer for each remainder,
/// and two that meet are one of their least common multiple.
const DIVISOR: usize = 10_000;
/// Counts such as `maxItems`.
const COUNT: usize = 1_000_000;
/// The size of a schema once `allOf`, `anyOf` and what stands beside them are multiplied out.
const WEIGHT: usize = 100_000;
/// Functions that may be offered; OpenAI allows 128.
pub(super) const TOOLS: usize = 512;
/// States of the lexer, of one to two kilobytes each, that an answer may visit.
pub(super) const LEXER_STATES: usize = 20_000;
/// Symbols of the compiled grammar.
pub(super) const GRAMMAR_SYMBOLS: usize = 100_000;
/// What the parser may expect at once; four things for each property that may come next.
pub(super) const ROW_ITEMS: usize = 5_000;
/// What it may consider for one token, a fiftieth of a millisecond for a thousand.
pub(super) const STEP_ITEMS: usize = 400_000;
/// Stack for compiling: the library recurses along the schema and its references. Only what is used takes memory.
pub(super) const STACK_BYTES: usize = 128 << 20;

/// An error if there are more of a thing than the limit.
pub(super) fn check(what: &'static str, unit: &'static str, found: usize, limit: usize) -> Result<(), GrammarError> {
    if found <= limit { Ok(()) } else { Err(GrammarError::TooLarge { what, unit, found, limit }) }
}

/// Checks a schema before anything is made of it.
///
/// # Errors
/// If it exceeds a limit, or refers to something outside.
pub(super) fn check_schema(schema: &Value) -> Result<(), GrammarError> {
    let Sizes { references, .. } = Sizes::measure(schema)?;
    let mut levels = 0;
    for reference in &references {
        levels += depth(referenced(schema, reference)?);
        check("what the schema refers to", "levels", levels, REFERENCE_LEVELS)?;
    }
    check("the schema, once its alternatives are combined,", "parts", weight(schema, &references), WEIGHT)
}

/// What one walk over a schema finds.
#[derive(Default)]
struct Sizes<'s> {
    values: usize,
    bytes: usize,
    properties: usize,
    patterns: usize,
    divisor: usize,
    references: HashSet<&'s str>,
}

impl<'s> Sizes<'s> {
    /// # Errors
    /// At the first limit that is exceeded.
    fn measure(schema: &'s Value) -> Result<Self, GrammarError> {
        let mut sizes = Self { divisor: 1, ..Self::default() };
        let mut open = vec![(schema, 1)];
        while let Some((value, depth)) = open.pop() {
            sizes.values += 1;
            match value {
                Value::String(text) => sizes.bytes += text.len(),
                Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
                Value::Object(entries) => {
                    for (key, value) in entries {
                        sizes.bytes += key.len();
                        sizes.keyword(key, value)?;
                        open.push((value, depth + 1));
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
            check("the schema", "levels", depth, SCHEMA_DEPTH)?;
            check("the schema", "values", sizes.values + open.len(), SCHEMA_VALUES)?;
            check("the schema", "bytes", sizes.bytes, SCHEMA_BYTES)?;
            check("the schema", "properties and required names", sizes.properties, ALL_PROPERTIES)?;
            check("the schema", "patterns", sizes.patterns, PATTERNS)?;
        }
        Ok(sizes)
    }

    fn keyword(&mut self, keyword: &str, value: &'s Value) -> Result<(), GrammarError> {
        match (keyword, value) {
            ("pattern", Value::String(pattern)) => self.pattern(pattern),
            ("patternProperties", Value::Object(properties)) => {
                properties.keys().try_for_each(|pattern| self.pattern(pattern))
            }
            ("properties", Value::Object(properties)) => self.properties(properties.len()),
            ("required", Value::Array(names)) => self.properties(names.len()),
            ("minItems" | "minLength" | "minProperties" | "maxItems" | "maxLength" | "maxProperties", count) => {
                let count = count.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
                check("a count of the schema", "as its value", count, COUNT)
            }
            ("multipleOf", Value::Number(divisor)) => {
                self.divisor = common_multiple(self.divisor, digits(&divisor.to_string()));
                check("multipleOf", "as the least common multiple of all its digits", self.divisor, DIVISOR)
            }
            ("$ref", Value::String(reference)) => {
                self.references.insert(reference);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn pattern(&mut self, pattern: &str) -> Result<(), GrammarError> {
        self.patterns += 1;
        check("a pattern", "bytes", pattern.len(), PATTERN_BYTES)
    }

    fn properties(&mut self, count: usize) -> Result<(), GrammarError> {
        self.properties += count;
        check("an object of the schema", "properties", count, PROPERTIES)
    }
}

/// The digits of a number without its sign, point and power of ten, and without zeros at the end.
fn digits(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default().replace(['-', '.'], "");
    let digits = mantissa.trim_end_matches('0');
    if digits.is_empty() { 0 } else { digits.parse().unwrap_or(usize::MAX) }
}

/// The least common multiple, or the greatest number there is; of 0 and another number the other.
fn common_multiple(a: usize, b: usize) -> usize {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    if a == 0 || b == 0 { a.max(b) } else { (a / divisor).saturating_mul(b) }
}

/// Objects and arrays in one another, which [`Sizes`] found to be not too many.
fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(entries) => entries.values().map(depth).max(),
        _ => None,
    };
    1 + inner.unwrap_or(0)
}

fn referenced<'s>(schema: &'s Value, reference: &str) -> Result<&'s Value, GrammarError> {
    let unknown = || {
        let reference: String = reference.chars().take(100).collect();
        GrammarError::Schema {
            reason: format!("there is nothing at {reference:?}; give references such as #/$defs/name"),
        }
    };
    resolve(schema, reference).ok_or_else(unknown)
}

/// What a reference such as `#/$defs/item` means, found as the library finds it.
pub(super) fn resolve<'s>(schema: &'s Value, reference: &str) -> Option<&'s Value> {
    if reference == "#" {
        return Some(schema);
    }
    reference.strip_prefix("#/")?.split('/').filter(|part| !part.is_empty()).try_fold(schema, |value, part| match value
    {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    })
}
