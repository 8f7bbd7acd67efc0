use proptest::prelude::*;

use super::*;

/// Whether the text is one whole object.
fn is_object(text: &str) -> bool {
    let mut scanner = JsonScanner::new();
    text.bytes().all(|byte| scanner.push(byte).is_ok()) && scanner.state == State::End
}

#[test]
fn marks_say_where_values_lie() {
    let mut scanner = JsonScanner::new();
    let marks: Vec<Mark> =
        r#"{"a": [1, "}"]}"#.bytes().map(|byte| scanner.push(byte).unwrap()).filter(|mark| *mark != Mark::Inside).collect();
    assert_eq!(
        marks,
        [
            Mark::ValueStart(0),
            Mark::KeyStart(1),
            Mark::KeyEnd(1),
            Mark::ValueStart(1),
            Mark::ValueStart(2),
            Mark::ValueStart(2),
            Mark::ValueEnd(2),
            Mark::ValueEnd(1),
            Mark::ValueEnd(0),
        ]
    );
}

#[test]
fn the_rules_of_json_hold() {
    for good in [r#"{}"#, " {\"a\":-0.5e+10}\n", r#"{"\u00e9\n":[[],{},null,true,false,0]}"#, "{\"é\":\"好\u{7f}\"}"]
    {
        assert!(is_object(good), "{good}");
    }
    for bad in [
        "[]",
        "1",
        "{",
        "{}}",
        "{]",
        "[}",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":-}"#,
        r#"{"a":1e}"#,
        r#"{"a":+1}"#,
        r#"{"a":nul}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12g4"}"#,
        "{\"a\":\"\n\"}",
        r#"{'a':1}"#,
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{1:2}"#,
        "{}{}",
    ] {
        assert!(!is_object(bad), "{bad}");
    }
}

#[test]
fn depth_has_a_limit() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(is_object(&nested(MAX_DEPTH - 1)));
    assert!(!is_object(&nested(MAX_DEPTH)));
}

proptest! {
    #[test]
    fn it_agrees_with_serde_json(text in r#"\{("a"|"|\\|\\u00e9|:|,|\[|\]|\{|\}|0|1|-|\.|e|E|\+|true|null| |é){0,10}\}"#) {
        let expected = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
        // Numbers beyond the doubles' range are JSON, though serde_json refuses them.
        prop_assume!(!expected.as_ref().is_err_and(|error| error.to_string().contains("out of range")));
        prop_assert_eq!(is_object(&text), expected.is_ok(), "{}", text);
    }

    #[test]
    fn what_serde_json_writes_is_read(value in json()) {
        let text = serde_json::json!({ "value": value }).to_string();
        prop_assert!(is_object(&text), "{}", text);
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}
