use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// The text outside calls, and name and arguments of each call.
type Parsed = (String, Vec<(String, String)>);

fn simple((text, calls): (String, Vec<ToolCall>)) -> Parsed {
    let arguments = |value: &Value| value.as_str().unwrap().to_owned();
    (text, calls.iter().map(|call| (call.name.clone(), arguments(&call.arguments))).collect())
}

fn whole(answer: &str) -> Parsed {
    simple(parse_tool_calls(answer))
}

fn parsed(text: &str, calls: &[(&str, &str)]) -> Parsed {
    (text.to_owned(), calls.iter().map(|(name, arguments)| (name.to_string(), arguments.to_string())).collect())
}

#[test]
fn calls_and_the_text_before_them_are_told_apart() {
    let answer = "Let me look.\n<tool_call>\n{\"name\": \"zoom\", \"arguments\": {\"box\": [1, 2]}}\n</tool_call>\n\
                  <tool_call>\n{\"name\": \"search\", \"arguments\": {}}\n</tool_call>";
    assert_eq!(whole(answer), parsed("Let me look.", &[("zoom", "{\"box\": [1, 2]}"), ("search", "{}")]));
    assert_eq!(whole("No call \n"), parsed("No call \n", &[]));
    assert_eq!(whole(""), parsed("", &[]));
}

#[test]
fn tags_and_braces_in_strings_are_part_of_them() {
    let call =
        r#"<tool_call>{"name":"write","arguments":{"a":"</tool_call>}{\" <tool_call>","b":{"c":{}}}}</tool_call>"#;
    let arguments = r#"{"a":"</tool_call>}{\" <tool_call>","b":{"c":{}}}"#;
    assert_eq!(whole(call), parsed("", &[("write", arguments)]));
}

#[test]
fn other_spellings_of_a_call_are_understood() {
    for (answer, arguments) in [
        (r#"<tool_call>{"arguments": {"a": 1}, "name": "f"}</tool_call>"#, r#"{"a": 1}"#),
        (r#"<tool_call>{"name": "f"}</tool_call>"#, "{}"),
        (r#"<tool_call>{"name": "f", "arguments": null}</tool_call>"#, "{}"),
        (r#"<tool_call>{"name": "f", "arguments": "{\"a\": \"\\u00e9\"}"}</tool_call>"#, r#"{"a": "\u00e9"}"#),
        (r#"<tool_call>{"id": 7, "n\u0061me": "f", "arguments": {}, "x": [1]}</tool_call>"#, "{}"),
        (r#"<tool_call>{"name": "f", "arguments": {}, "arguments": {"b": 2}, "name": "g"}</tool_call>"#, "{}"),
    ] {
        assert_eq!(whole(answer), parsed("", &[("f", arguments)]), "{answer}");
    }
}

#[test]
fn a_missing_or_late_closing_tag_does_no_harm() {
    let open = r#"<tool_call>{"name": "f", "arguments": {}}"#;
    assert_eq!(whole(open), parsed("", &[("f", "{}")]));
    assert_eq!(whole(&format!("{open}\n{open}</tool_call>")), parsed("", &[("f", "{}"), ("f", "{}")]));
    assert_eq!(whole(&format!("{open}}}\n</tool_call> done")), parsed(" done", &[("f", "{}")]));
    assert_eq!(whole(&format!("{open} and no tag")), parsed(" and no tag", &[("f", "{}")]));
}

#[test]
fn what_is_no_call_is_text_tags_and_all() {
    for answer in [
        "a\n<tool_call>\nnot JSON\n</tool_call>\n",
        "<tool_call>",
        "<tool_call>\n",
        "<tool_call>{}</tool_call>",
        r#"<tool_call>{"name": 3, "arguments": {}}</tool_call>"#,
        r#"<tool_call>{"name": "f", "arguments": [1]}</tool_call>"#,
        r#"<tool_call>{"arguments": {"a": 1}}</tool_call>"#,
        r#"<tool_call>["name", "f"]</tool_call>"#,
        r#"<tool_call>{"name": "f, "arguments": {}}</tool_call>"#,
        r#"<tool_call>{"name": "f", "argum"#,
        "</tool_call> <tool_cal",
    ] {
        assert_eq!(whole(answer), parsed(answer, &[]), "{answer}");
    }
}

#[test]
fn a_call_after_something_that_is_none_is_found() {
    let answer = "<tool_call>\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>";
    assert_eq!(whole(answer), parsed("<tool_call>\n", &[("f", "{}")]));
}

#[test]
fn arguments_that_break_off_are_handed_on() {
    assert_eq!(whole(r#"<tool_call>{"name": "f", "arguments": {"a": "b"#), parsed("", &[("f", r#"{"a": "b"#)]));
    let broken = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": }}\n</tool_call>after";
    assert_eq!(whole(broken), parsed("after", &[("f", "{\"a\": }}")]));
}

#[test]
fn events_come_as_soon_as_they_are_certain() {
    let mut parser = ToolCallParser::default();
    assert_eq!(parser.push("Yes. "), [ToolCallEvent::Text("Yes.".into())]);
    assert_eq!(parser.push("<tool_"), []);
    assert_eq!(parser.push("call>\n{\"name\": \"f\", "), []);
    assert!(!parser.found_calls());
    let begun = parser.push("\"arguments\": {\"a\"");
    let [ToolCallEvent::Start { index: 0, id, name }, arguments] = begun.as_slice() else { panic!("{begun:?}") };
    assert!(id.starts_with("call_") && id.len() == 29 && name == "f", "{id}");
    assert_eq!(arguments, &ToolCallEvent::Arguments { index: 0, text: "{\"a\"".into() });
    assert!(parser.found_calls());
    assert_eq!(parser.push(": 1"), [ToolCallEvent::Arguments { index: 0, text: ": 1".into() }]);
    assert_eq!(
        parser.push("}}\n"),
        [ToolCallEvent::Arguments { index: 0, text: "}".into() }, ToolCallEvent::End { index: 0 }]
    );
    assert_eq!(parser.push("</tool_call>"), []);
    assert_eq!(parser.finish(), []);
}

#[test]
fn identifiers_differ() {
    let call = r#"<tool_call>{"name": "f", "arguments": {}}</tool_call>"#;
    let calls = parse_tool_calls(&call.repeat(2)).1;
    assert_ne!(calls[0].id, calls[1].id);
}

/// Texts that come near to calls in many ways.
fn answers() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<tool_call>"),
        Just("</tool_call>"),
        Just("\n"),
        Just(" "),
        Just("好 "),
        Just("<tool"),
        Just("{\"name\": \"f\", \"arguments\": {\"a\": {}}}"),
        Just("{\"name\": \"f\", \"arguments\": "),
        Just("{\"arguments\": {\"a\": \"é\\\"\"}, \"name\": \"g\"}"),
        Just("{\"a\": \"</tool_call>\"}"),
        Just("}"),
        Just("\""),
        Just("null"),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn pieces_do_not_matter(answer in answers(), cuts in prop::collection::vec(0_usize..120, 0..12)) {
        let characters: Vec<char> = answer.chars().collect();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(characters.len())).collect();
        cuts.extend([0, characters.len()]);
        cuts.sort_unstable();
        let mut parser = ToolCallParser::default();
        let mut events = Vec::new();
        for pair in cuts.windows(2) {
            events.extend(parser.push(&characters[pair[0]..pair[1]].iter().collect::<String>()));
        }
        events.extend(parser.finish());
        let starts = events.iter().filter(|event| matches!(event, ToolCallEvent::Start { .. })).count();
        let ends = events.iter().filter(|event| matches!(event, ToolCallEvent::End { .. })).count();
        prop_assert_eq!(starts, ends);
        prop_assert_eq!(simple(collect(events)), whole(&answer));
    }

    #[test]
    fn what_the_template_writes_is_read(
        text in "[a-z好]{0,5}",
        calls in prop::collection::vec(("[a-z_]{1,8}", prop::collection::hash_map(".{0,6}", ".{0,12}", 0..4)), 0..3),
    ) {
        let mut answer = text.clone();
        let mut expected = Vec::new();
        for (name, arguments) in &calls {
            let arguments = serde_json::json!(arguments).to_string();
            if !answer.is_empty() {
                answer.push('\n');
            }
            answer += &format!("<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {arguments}}}\n</tool_call>");
            expected.push((name.clone(), arguments));
        }
        prop_assert_eq!(whole(&answer), (text, expected));
    }
}
