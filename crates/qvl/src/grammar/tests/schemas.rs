//! Answers under schemas are valid by them, and all that is valid can be said.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{MODEL, accepts, message, random_text, schema};

/// Schemas with all that OpenAI's strict mode has, and more.
fn schemas() -> Vec<Value> {
    let node = json!({"type": "object", "required": ["value", "next"], "additionalProperties": false, "properties": {
        "value": {"type": "integer", "minimum": -3, "maximum": 120},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
    }});
    vec![
        json!({"$ref": "#/$defs/node", "$defs": {"node": node}}),
        json!({"type": "object", "required": ["name", "tags", "ok"], "additionalProperties": false, "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 8},
            "tags": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"enum": ["a", "b", "é\"\n", 3, null]}},
            "ok": {"type": ["boolean", "null"]},
            "extra": {"const": {"x": [1]}},
        }}),
        json!({"type": "object", "required": ["box"], "additionalProperties": false, "properties": {
            "box": {"type": "array", "prefixItems": [{"type": "integer", "minimum": 0, "maximum": 1000}],
                "items": {"type": "number", "exclusiveMinimum": 0.5, "maximum": 2.25}, "minItems": 2, "maxItems": 4},
        }}),
        json!({"type": "object", "required": ["code", "id", "day"], "additionalProperties": false, "properties": {
            "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
            "id": {"type": "string", "format": "uuid"},
            "day": {"type": "string", "pattern": "^(mon|tues)day$"},
        }}),
        json!({"anyOf": [{"type": "array", "items": {"type": "boolean"}, "maxItems": 2}, {"const": "none"}]}),
        json!({"type": "object", "additionalProperties": {"type": "boolean"}, "minProperties": 1, "maxProperties": 2}),
        json!({"allOf": [
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]},
            {"type": "object", "properties": {"a": {"type": "integer", "maximum": 3}, "b": {"type": "null"}},
                "additionalProperties": false},
        ]}),
        json!({"type": "integer", "multipleOf": 7, "minimum": 10, "maximum": 99}),
    ]
}

#[test]
fn random_answers_are_valid_by_their_schema() {
    for schema in schemas() {
        let validator = jsonschema::validator_for(&schema).unwrap();
        let grammar = MODEL.compiler.json_schema(&schema, true).unwrap();
        for seed in 0..24 {
            let (text, whole) = random_text(&grammar, seed);
            assert!(whole, "{schema}: {text}");
            let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{schema}: {text}: {error}"));
            assert!(validator.is_valid(&answer), "{schema}: {text}");
        }
    }
}

#[test]
fn any_object_is_an_object() {
    let grammar = MODEL.compiler.json_object().unwrap();
    for seed in 0..40 {
        let (text, whole) = random_text(&grammar, seed);
        // Numbers beyond the doubles' range are JSON too; only reading them into a double fails.
        let object: Result<BTreeMap<String, serde::de::IgnoredAny>, _> = serde_json::from_str(&text);
        assert!(!whole || object.is_ok(), "{text}");
    }
    for good in ["{}", r#"{"a": [1, -2.5e3, {"b": "é\n\"\u001f"}], "c": null}"#, "{\n  \"a\": true\n}"] {
        assert!(accepts(&grammar, good), "{good}");
    }
    for bad in ["", "[]", "1", "{", "{} ", " {}", "{'a': 1}", "{}{}", "{\"a\":  1}", "{\"a\":\n\n1}"] {
        assert!(!accepts(&grammar, bad), "{bad}");
    }
}

#[test]
fn what_cannot_be_kept_to_is_an_error_only_if_strict() {
    for (lax, word) in [
        (json!({"type": "object", "properties": {"a": {"type": "string", "format": "colour"}}}), "colour"),
        (json!({"type": "array", "uniqueItems": true, "items": {"enum": [1, 2]}}), "uniqueItems"),
        (json!({"not": {"type": "string"}}), "not"),
    ] {
        assert!(message(schema(lax.clone())).contains(word));
        assert!(MODEL.compiler.json_schema(&lax, false).is_ok(), "{lax}");
    }
}

#[test]
fn usual_schemas_meet_no_limit() {
    // Sixty classes that inherit from one, hold each other, and may be null: what generators of schemas write.
    let reference = |index: usize| json!({"$ref": format!("#/$defs/class_{index}")});
    let mut classes: serde_json::Map<String, Value> = (1..60)
        .map(|index| {
            let child =
                json!({"anyOf": [reference(index * 7 % 60), {"type": "null"}], "default": null, "title": "Child"});
            let own = json!({"type": "object", "required": ["kind"], "properties": {
                "kind": {"const": format!("class_{index}"), "type": "string"},
                "children": {"type": "array", "items": {"oneOf": [reference(index), reference(index * 11 % 60)]}},
                "child": child,
            }});
            (format!("class_{index}"), json!({"allOf": [reference(0), own], "description": "A class."}))
        })
        .collect();
    let names: serde_json::Map<String, Value> = (0..30)
        .map(|index| (format!("field_{index}"), json!({"type": ["string", "null"], "maxLength": 100})))
        .collect();
    classes.insert("class_0".to_owned(), json!({"type": "object", "properties": names}));
    let grammar = schema(json!({"$ref": "#/$defs/class_1", "$defs": classes})).unwrap();
    assert!(accepts(
        &grammar,
        r#"{"field_3": "x", "kind": "class_1", "children": [{"kind": "class_11"}], "child": null}"#
    ));
}
