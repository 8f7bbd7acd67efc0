//! Schemas that are refused, and that nothing panics or hangs.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Constraint, GrammarError, MODEL, ROWS, accepts, schema};

#[test]
fn schemas_that_are_none_are_refused() {
    for (bad, word) in [
        (json!(3), "not a JSON object"),
        (json!({"type": "strin"}), "strin"),
        (json!({"type": 5}), "type must be"),
        (json!({"properties": []}), "properties must be"),
        (json!({"enum": "a"}), "enum must be"),
        (json!({"$ref": "#/$defs/a"}), "nothing at \"#/$defs/a\""),
        (json!({"$ref": "http://localhost/schema"}), "nothing at"),
        (json!({"type": "object", "properties": {"a": false}, "required": ["a"]}), "nsatisfiable"),
        (json!({"type": "string", "pattern": "("}), "unclosed group"),
        (json!({"type": "string", "pattern": "(?=a)b"}), "look-around"),
        (json!({"type": "string", "minLength": 5, "maxLength": 4}), "minLength"),
        (json!({"const": 1, "type": "number", "minimum": "é".repeat(200)}), ""),
    ] {
        let error = schema(bad.clone()).unwrap_err();
        let expected = matches!(error, GrammarError::Schema { .. } | GrammarError::Internal { .. });
        assert!(expected && error.to_string().contains(word), "{bad}: {error}");
    }
}

#[test]
fn options_inside_a_schema_are_ours_alone() {
    let sneaky = json!({"enum": ["a"], "x-guidance": {"whitespace_pattern": "x*", "no_such_option": 1}});
    assert!(accepts(&schema(sneaky).unwrap(), "\"a\""));
}

#[test]
fn schemas_without_measure_meet_a_limit() {
    let many = |count: usize, make: &dyn Fn(usize) -> Value| (0..count).map(make).collect::<Vec<_>>();
    let nested = (0..60).fold(json!({}), |inner, _| json!({"items": inner}));
    let deep = (0..120).fold(json!({}), |inner, _| json!({"items": inner}));
    let laughs: serde_json::Map<String, Value> = (0..40)
        .map(|index| {
            let next = json!({"$ref": format!("#/$defs/d{}", (index + 1).min(39))});
            (format!("d{index}"), json!({"properties": {"x": next, "y": next}}))
        })
        .collect();
    let chain: serde_json::Map<String, Value> = (0..3000)
        .map(|index| (format!("d{index}"), json!({"items": {"$ref": format!("#/$defs/d{}", (index + 1) % 3000)}})))
        .collect();
    let pairs = |name: &str| json!({"anyOf": many(300, &|index| json!({"required": [format!("{name}{index}")]}))});
    for (bad, what) in [
        (deep, "levels"),
        (json!({"enum": many(50_000, &Value::from)}), "values"),
        (json!({"const": "x".repeat(300_000)}), "bytes"),
        (json!({"pattern": "x".repeat(3_000)}), "a pattern"),
        (json!({"patternProperties": {"x".repeat(3_000): {}}}), "a pattern"),
        (json!({"anyOf": many(100, &|index| json!({"pattern": index.to_string()}))}), "patterns"),
        (json!({"required": many(1_001, &|index| index.to_string().into())}), "properties"),
        (json!({"type": "number", "multipleOf": 0.99991}), "multipleOf"),
        (json!({"allOf": [{"multipleOf": 9973}, {"multipleOf": 99.67}]}), "multipleOf"),
        (json!({"type": "array", "minItems": 2_000_000_000_u64}), "a count"),
        (json!({"$ref": "#/$defs/d0", "$defs": chain}), "refers to"),
        (json!({"allOf": [{"$ref": "#/$defs/d0"}, {"$ref": "#/$defs/d1"}], "$defs": laughs}), "alternatives"),
        (json!({"allOf": [pairs("a"), pairs("b"), {"properties": {"x": nested}}]}), "alternatives"),
    ] {
        let error = schema(bad).map(|_| what).unwrap_err();
        assert!(matches!(error, GrammarError::TooLarge { .. }) && error.to_string().contains(what), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Anything at all is a grammar or an error, and an answer under it goes on or is an error.
    #[test]
    fn no_schema_panics(schema in any_schema(), seed: u64) {
        if let Ok(grammar) = MODEL.compiler.json_schema(&schema, false) {
            let mut constraint = Constraint::new(&grammar, &[]);
            let mut logits: Vec<f32> = (0..ROWS).map(|id| (id as u64 ^ seed) as f32).collect();
            if constraint.mask(&mut logits).is_ok() {
                prop_assert!(crate::sampler::argmax(&logits).is_ok());
            }
        }
    }
}

/// Schemas with keywords in every place, right and wrong.
fn any_schema() -> impl Strategy<Value = Value> {
    let keyword = prop::sample::select(vec![
        "type",
        "properties",
        "items",
        "anyOf",
        "allOf",
        "oneOf",
        "enum",
        "const",
        "$ref",
        "required",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "multipleOf",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "additionalProperties",
        "prefixItems",
        "patternProperties",
        "$defs",
        "not",
        "maxProperties",
    ]);
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "object",
            "array",
            "string",
            "integer",
            "number",
            "null",
            "#",
            "#/$defs/a",
            "[a-z]*",
            "é("
        ])
        .prop_map(Value::from),
        (-3_i64..40).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let keys = prop_oneof![4 => keyword.clone().prop_map(str::to_owned), 1 => "[ab]"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..5).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}
