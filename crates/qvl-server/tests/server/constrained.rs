//! Answers that must have a form: JSON, schemas, calls of functions.

use serde_json::{Value, json};

use crate::support::{Running, ask, start, with};

fn paint() -> Value {
    json!({"type": "function", "function": {"name": "paint", "description": "Paints the picture.", "parameters": {
        "type": "object", "properties": {"colour": {"enum": ["red", "green", "blue"]}, "coats": {"enum": [1, 2]}},
        "required": ["colour", "coats"], "additionalProperties": false}}})
}

fn check_arguments(arguments: &str) {
    let arguments: Value = serde_json::from_str(arguments).unwrap();
    assert_eq!(arguments.as_object().unwrap().len(), 2);
    assert!(["red", "green", "blue"].contains(&arguments["colour"].as_str().unwrap()));
    assert!([1, 2].contains(&arguments["coats"].as_u64().unwrap()));
}

fn tool_request(fields: Value) -> Value {
    with(with(ask(&[], "Paint it."), json!({"tools": [paint()], "max_tokens": 400})), fields)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_required_comes_with_valid_arguments() {
    let server = start(|_| {}).await;
    let named = json!({"type": "function", "function": {"name": "paint"}});
    let required = json!({"tool_choice": "required", "parallel_tool_calls": false});
    for choice in [required, json!({"tool_choice": named})] {
        let reply = server.chat(&tool_request(choice)).await;
        assert_eq!(reply.status(), 200, "{}", reply.body);
        let choice = &reply.body["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert!(choice["message"]["content"].is_null());
        let calls = choice["message"]["tool_calls"].as_array().unwrap();
        assert_eq!(calls.len(), 1);
        assert!(calls[0]["id"].as_str().unwrap().starts_with("call_"));
        assert_eq!((&calls[0]["type"], &calls[0]["function"]["name"]), (&json!("function"), &json!("paint")));
        check_arguments(calls[0]["function"]["arguments"].as_str().unwrap());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_streamed_piece_by_piece() {
    let server = start(|_| {}).await;
    let request = tool_request(json!({"tool_choice": "required", "parallel_tool_calls": false}));
    let chunks = server.stream("/v1/chat/completions", &request).await;
    let calls: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0])
        .filter(|call| !call.is_null())
        .collect();
    assert_eq!(calls[0]["function"]["name"], "paint");
    assert!(calls[0]["id"].is_string() && calls.len() > 2);
    assert!(calls.iter().all(|call| call["index"] == 0));
    let arguments: String = calls.iter().map(|call| call["function"]["arguments"].as_str().unwrap()).collect();
    check_arguments(&arguments);
    assert_eq!(chunks[chunks.len() - 1]["choices"][0]["finish_reason"], "tool_calls");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_a_call_can_be_answered_about() {
    let server = start(|_| {}).await;
    let mut request = tool_request(json!({"tool_choice": "required", "parallel_tool_calls": false}));
    let first = server.chat(&request).await;
    let message = first.body["choices"][0]["message"].clone();
    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(message.clone());
    messages.push(json!({"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "done"}));
    let second = server.chat(&with(request, json!({"tool_choice": "none", "max_tokens": 8}))).await;
    assert!(second.body["choices"][0]["message"].get("tool_calls").is_none());
    assert!(!second.text().is_empty());
    server.stop().await;
}

async fn formatted(server: &Running, format: Value) -> Value {
    let request = with(ask(&[], "What colour is the circle?"), json!({"response_format": format, "max_tokens": 400}));
    let reply = server.chat(&request).await;
    let text = reply.text();
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_kept_to() {
    let server = start(|_| {}).await;
    let schema = json!({"type": "object", "properties": {
            "shape": {"enum": ["circle", "square"]}, "corners": {"type": "integer", "minimum": 0, "maximum": 9},
            "marks": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}},
        "required": ["shape", "corners", "marks"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "figure", "strict": true, "schema": schema}});
    let found = formatted(&server, format).await;
    assert!(["circle", "square"].contains(&found["shape"].as_str().unwrap()));
    assert!(found["corners"].as_u64().unwrap() <= 9);
    assert_eq!(found["marks"].as_array().unwrap().len(), 2);
    let closed = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "nothing", "schema": closed}});
    assert_eq!(formatted(&server, format).await, json!({}));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_object_begins_as_one() {
    let server = start(|_| {}).await;
    let request = json!({"response_format": {"type": "json_object"}, "max_tokens": 60});
    let reply = server.chat(&with(ask(&[], "What colour is the circle?"), request)).await;
    let text = reply.text();
    assert!(text.starts_with('{'), "{text}");
    if reply.body["choices"][0]["finish_reason"] == "stop" {
        assert!(serde_json::from_str::<Value>(text).unwrap().is_object());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_need_not_be_called_leaves_the_text_alone() {
    let server = start(|_| {}).await;
    let auto = server.chat(&tool_request(json!({"max_tokens": 12}))).await;
    assert_eq!(auto.status(), 200, "{}", auto.body);
    let message = &auto.body["choices"][0]["message"];
    assert!(message["content"].is_string() || message["tool_calls"].is_array());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_becomes_too_complex_on_the_way_is_an_error_of_the_client() {
    let server = start(|_| {}).await;
    // Which of the last hundred characters were early letters: so much has to be remembered of a random answer.
    let schema = json!({"type": "string", "pattern": "^.*[a-m].{100}$"});
    let sampling = json!({"temperature": 2, "top_k": 0, "top_p": 1, "seed": 1});
    let format = json!({"type": "json_schema", "json_schema": {"name": "text", "strict": true, "schema": schema}});
    let random = with(with(ask(&[], "Hi"), sampling), json!({"max_tokens": 1000, "response_format": format}));
    let said = |error: &Value| {
        assert_eq!((&error["type"], &error["param"]), (&json!("invalid_request_error"), &Value::Null), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("the answer could not be finished in its form: the schema is too complex: "));
        assert!(message.ends_with("use fewer alternatives, simpler patterns and smaller counts"), "{message}");
    };
    let whole = server.chat(&random).await;
    assert_eq!(whole.status(), 400, "{}", whole.body);
    said(&whole.body["error"]);
    let chunks = server.stream("/v1/chat/completions", &random).await;
    assert!(chunks.len() > 2, "it did not fail on the way");
    said(&chunks[chunks.len() - 1]["error"]);
    let format = json!({"format": {"type": "json_schema", "name": "text", "strict": true, "schema": schema}});
    let request = json!({"input": "Hi", "temperature": 2, "top_k": 0, "top_p": 1, "seed": 1, "text": format});
    let events = server.stream("/v1/responses", &request).await;
    let last = &events[events.len() - 1];
    assert_eq!(
        (&last["type"], &last["response"]["error"]["code"]),
        (&json!("response.failed"), &json!("invalid_prompt"))
    );
    server.stop().await;
}
