//! Calls of functions.

use serde_json::{Value, json};

use super::{MODEL, Tool, ToolChoice, accepts, message, random_text};

fn tools() -> Vec<Tool> {
    let city = json!({"type": "object", "required": ["city"], "additionalProperties": false,
        "properties": {"city": {"$ref": "#/$defs/city"}}, "$defs": {"city": {"enum": ["Rome", "Oslo"]}}});
    let tool = |name: &str, parameters| Tool { name: name.to_owned(), parameters, strict: true };
    vec![tool("get_weather", Some(city)), tool("stop", None)]
}

fn call(name: &str, arguments: &str) -> String {
    format!("<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {arguments}}}\n</tool_call>")
}

#[test]
fn calls_have_the_form_of_the_template() {
    let weather = call("get_weather", r#"{"city": "Rome"}"#);
    let stop = call("stop", r#"{"any": 1}"#);
    let both = format!("{weather}\n{stop}");
    let compile = |choice, parallel| MODEL.compiler.tool_calls(&tools(), &choice, parallel).unwrap();

    let auto = compile(ToolChoice::Auto, true);
    for good in ["", "Only text.", &weather, &both, &format!("Let me see.\n{weather}")] {
        assert!(accepts(&auto, good), "{good}");
    }
    for bad in [
        &format!("{weather} and text"),
        &call("get_weather", r#"{"city": "Paris"}"#),
        &call("get_weather", "{}"),
        &call("other", "{}"),
        &weather[..weather.len() - 12],
    ] {
        assert!(!accepts(&auto, bad), "{bad}");
    }
    let required = compile(ToolChoice::Required, false);
    assert!(accepts(&required, &weather) && accepts(&required, &stop));
    assert!(!accepts(&required, &both) && !accepts(&required, "") && !accepts(&required, "Only text."));
    let named = compile(ToolChoice::Named("stop".to_owned()), true);
    assert!(accepts(&named, &stop) && !accepts(&named, &weather) && !accepts(&named, &format!("{stop}\n{stop}")));
}

#[test]
fn random_calls_are_found_by_the_parser() {
    let validator = jsonschema::validator_for(tools()[0].parameters.as_ref().unwrap()).unwrap();
    let grammar = MODEL.compiler.tool_calls(&tools()[..1], &ToolChoice::Required, true).unwrap();
    for seed in 0..24 {
        let (text, whole) = random_text(&grammar, seed);
        let (outside, calls) = crate::tool_calls::parse_tool_calls(&text);
        assert!(whole && outside.is_empty() && !calls.is_empty(), "{text}");
        for call in calls {
            let arguments: Value = serde_json::from_str(call.arguments.as_str().unwrap()).unwrap();
            assert!(call.name == "get_weather" && validator.is_valid(&arguments), "{text}");
        }
    }
}

#[test]
fn tools_that_cannot_be_called_are_named() {
    let named = |name: &str| vec![Tool { name: name.to_owned(), parameters: None, strict: false }];
    let compile = |tools: &[Tool], choice| message(MODEL.compiler.tool_calls(tools, &choice, true));
    for bad in ["", "a b", "a\"b", "é", &"x".repeat(65)] {
        assert!(compile(&named(bad), ToolChoice::Auto).starts_with("the function name "), "{bad}");
    }
    assert!(compile(&[tools(), tools()].concat(), ToolChoice::Auto).contains("two functions named \"get_weather\""));
    assert!(compile(&tools(), ToolChoice::Named("go".to_owned())).contains("with the name \"go\""));
    assert!(compile(&[], ToolChoice::Required).starts_with("there is no function to call"));
    let many: Vec<Tool> = (0..600).flat_map(|index| named(&format!("f{index}"))).collect();
    assert_eq!(
        compile(&many, ToolChoice::Auto),
        "the list of tools has 600 tools; at most 512 are allowed: make it smaller"
    );
}
