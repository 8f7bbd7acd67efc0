//! How large a schema becomes when its alternatives are combined.
//!
//! What stands side by side in a schema (`allOf`, `anyOf`, `$ref`, properties) holds together, and the library works that
//! out by pairing every alternative with every other. A page of schema can so become gigabytes. The weight is an upper
//! estimate of the parts that there will be.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;

use super::limits::resolve;

/// Keywords that bring another schema to hold beside the rest.
const COMBINING: [&str; 4] = ["allOf", "anyOf", "oneOf", "$ref"];
/// Keywords that say nothing of a value.
const SILENT: [&str; 8] = ["$defs", "definitions", "title", "description", "default", "examples", "$schema", "$id"];
/// The types that a schema without `type` is compiled for.
const TYPES: usize = 6;
/// Schemas to look at before one counts as too large.
const STEPS: usize = 200_000;
/// In place of a property's name: items of arrays, and properties of any name.
const ITEMS: &str = "[]";
const ANY_NAME: &str = "*";

/// The weight of `schema` and of what its `references` mean.
pub(super) fn weight(schema: &Value, references: &HashSet<&str>) -> usize {
    let mut weigher = Weigher { root: schema, known: HashMap::new(), open: HashSet::new(), steps: 0 };
    let own = weigher.schema(schema, &Meeting::None).parts;
    let total = references
        .iter()
        .fold(own, |sum, reference| sum.saturating_add(weigher.target(reference, &Meeting::None).parts));
    if weigher.steps > STEPS { usize::MAX } else { total }
}

/// The size of a schema.
#[derive(Debug, Clone, Copy)]
struct Measure {
    /// Alternatives at the top.
    alternatives: usize,
    /// All parts of all alternatives.
    parts: usize,
}

impl Measure {
    const ONE: Self = Self { alternatives: 1, parts: 1 };
    const NOTHING: Self = Self { alternatives: 0, parts: 0 };

    fn or(self, other: Self) -> Self {
        Self {
            alternatives: self.alternatives.saturating_add(other.alternatives),
            parts: self.parts.saturating_add(other.parts),
        }
    }

    /// Each alternative with each; their parts pair too if `all` meet, and are put together otherwise.
    fn and(self, other: Self, all: bool) -> Self {
        let together = || {
            let own = self.parts.saturating_mul(other.alternatives);
            own.saturating_add(other.parts.saturating_mul(self.alternatives))
        };
        Self {
            alternatives: self.alternatives.saturating_mul(other.alternatives),
            parts: if all { self.parts.saturating_mul(other.parts) } else { together() },
        }
    }
}

/// Which parts of a value more than one schema speaks of.
#[derive(Clone)]
enum Meeting<'s> {
    /// There is one schema only.
    None,
    /// How many speak of each property.
    Names(Rc<HashMap<&'s str, u32>>),
    /// Any of them may, since the whole value is such a part.
    All,
}

struct Weigher<'s> {
    root: &'s Value,
    /// References that were measured, alone and where all parts meet; one while it is being measured.
    known: HashMap<(String, bool), Measure>,
    /// References that are being measured among names that meet.
    open: HashSet<String>,
    steps: usize,
}

impl<'s> Weigher<'s> {
    /// A reference that stands alone stays a reference, unless it meets another schema.
    fn schema(&mut self, schema: &'s Value, outside: &Meeting<'s>) -> Measure {
        self.steps += 1;
        let Value::Object(entries) = schema else { return Measure::ONE };
        let factors = factors(schema);
        let alone = factors.len() <= 1 && !speaks(schema);
        if self.steps > STEPS || (alone && matches!(outside, Meeting::None) && entries.contains_key("$ref")) {
            return Measure::ONE;
        }
        let meeting = self.meeting(schema, &factors, outside);
        let all = matches!(meeting, Meeting::All);
        let mut measure = speaks(schema).then(|| self.own(schema, &meeting));
        for (keyword, value) in factors {
            let factor = match (keyword, value) {
                ("anyOf" | "oneOf", Value::Array(options)) => {
                    options.iter().fold(Measure::NOTHING, |sum, option| sum.or(self.schema(option, &meeting)))
                }
                ("$ref", Value::String(reference)) => self.target(reference, &meeting),
                (_, part) => self.schema(part, &meeting),
            };
            measure = Some(measure.map_or(factor, |measure| measure.and(factor, all)));
        }
        measure.unwrap_or(Measure::ONE)
    }

    /// The keywords that bring no other schema to hold beside them.
    fn own(&mut self, schema: &'s Value, meeting: &Meeting<'s>) -> Measure {
        let list = |keyword: &str| schema.get(keyword).and_then(Value::as_array).map(Vec::len);
        let types = if schema.get("type").is_some_and(Value::is_string) { 1 } else { list("type").unwrap_or(TYPES) };
        let options = list("enum").unwrap_or(1);
        let mut parts = types.saturating_mul(options);
        for (name, part) in nested(schema) {
            parts = parts.saturating_add(self.part(name, part, meeting));
        }
        Measure { alternatives: types.saturating_mul(options), parts }
    }

    fn part(&mut self, name: &str, part: &'s Value, meeting: &Meeting<'s>) -> usize {
        match meeting {
            Meeting::None => self.schema(part, &Meeting::None).parts,
            Meeting::All => self.schema(part, &Meeting::All).parts,
            Meeting::Names(names) => {
                let count = |name| names.get(name).copied().unwrap_or(0);
                match count(name).max(count(ANY_NAME)) {
                    0 | 1 => self.schema(part, &Meeting::None).parts,
                    // a·b is at most a² + b².
                    several => self.schema(part, &Meeting::All).parts.saturating_pow(several),
                }
            }
        }
    }

    fn target(&mut self, reference: &str, meeting: &Meeting<'s>) -> Measure {
        let Some(target) = resolve(self.root, reference) else { return Measure::ONE };
        if matches!(meeting, Meeting::Names(_)) {
            if !self.open.insert(reference.to_owned()) {
                return Measure::ONE;
            }
            let measure = self.schema(target, meeting);
            self.open.remove(reference);
            return measure;
        }
        let key = (reference.to_owned(), matches!(meeting, Meeting::All));
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        self.known.insert(key.clone(), Measure::ONE);
        let measure = self.schema(target, meeting);
        self.known.insert(key, measure);
        measure
    }

    /// What meets inside `schema`, and what met outside already.
    fn meeting(&mut self, schema: &'s Value, factors: &[Factor<'s>], outside: &Meeting<'s>) -> Meeting<'s> {
        if matches!(outside, Meeting::All) || factors.len() + usize::from(speaks(schema)) < 2 {
            return outside.clone();
        }
        let mut speakers: Vec<HashSet<&str>> = vec![nested(schema).into_iter().map(|(name, _)| name).collect()];
        for &factor in factors {
            let mut names = HashSet::new();
            self.names(factor, &mut names, &mut HashSet::new());
            speakers.push(names);
        }
        speakers.retain(|names| !names.is_empty());
        let mut counts = if let Meeting::Names(names) = outside { (**names).clone() } else { HashMap::new() };
        self.steps += counts.len();
        for name in speakers.iter().flatten() {
            *counts.entry(name).or_default() += 1;
        }
        if let Some(any) = counts.get_mut(ANY_NAME) {
            *any = (*any).max(u32::try_from(speakers.len()).unwrap_or(u32::MAX));
        }
        Meeting::Names(Rc::new(counts))
    }

    /// The parts of a value that a factor speaks of.
    fn names(&mut self, factor: Factor<'s>, names: &mut HashSet<&'s str>, seen: &mut HashSet<&'s str>) {
        let schemas: Vec<&Value> = match factor {
            ("anyOf" | "oneOf", Value::Array(options)) => options.iter().collect(),
            ("$ref", Value::String(reference)) if seen.insert(reference) => {
                resolve(self.root, reference).into_iter().collect()
            }
            ("$ref", _) => Vec::new(),
            (_, part) => vec![part],
        };
        for schema in schemas {
            let nested = nested(schema);
            self.steps += 1 + nested.len();
            if self.steps > STEPS {
                return;
            }
            names.extend(nested.into_iter().map(|(name, _)| name));
            for factor in factors(schema) {
                self.names(factor, names, seen);
            }
        }
    }
}

/// A keyword that brings another schema, with that schema, the list of alternatives, or the reference.
type Factor<'s> = (&'static str, &'s Value);

/// What must hold beside what `schema` says itself.
fn factors(schema: &Value) -> Vec<Factor<'_>> {
    let mut factors = Vec::new();
    for keyword in COMBINING {
        match schema.get(keyword) {
            Some(Value::Array(all)) if keyword == "allOf" => factors.extend(all.iter().map(|part| (keyword, part))),
            Some(value) => factors.push((keyword, value)),
            None => {}
        }
    }
    factors
}

/// Whether `schema` says something of a value itself.
fn speaks(schema: &Value) -> bool {
    let silent = |keyword: &str| COMBINING.contains(&keyword) || SILENT.contains(&keyword);
    schema.as_object().is_some_and(|entries| entries.keys().any(|keyword| !silent(keyword)))
}

/// The schemas of the parts of a value, with the property's name.
fn nested(schema: &Value) -> Vec<(&str, &Value)> {
    let mut parts = Vec::new();
    if let Some(Value::Object(properties)) = schema.get("properties") {
        parts.extend(properties.iter().map(|(name, part)| (name.as_str(), part)));
    }
    if let Some(Value::Object(properties)) = schema.get("patternProperties") {
        parts.extend(properties.values().map(|part| (ANY_NAME, part)));
    }
    for (keyword, name) in
        [("additionalProperties", ANY_NAME), ("items", ITEMS), ("additionalItems", ITEMS), ("prefixItems", ITEMS)]
    {
        match schema.get(keyword) {
            Some(Value::Array(items)) => parts.extend(items.iter().map(|part| (name, part))),
            Some(part @ Value::Object(_)) => parts.push((name, part)),
            _ => {}
        }
    }
    parts
}
