//! `/v1/responses`

use serde_json::{Value, json};

use crate::support::{ask, figures, start, with};

const PATH: &str = "/v1/responses";

fn describe() -> Value {
    json!({"input": [{"role": "user", "content": [
        {"type": "input_image", "image_url": figures()}, {"type": "input_text", "text": "Describe the picture."}]}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_that_of_chat() {
    let server = start(|_| {}).await;
    let chat = server.chat(&ask(&[figures()], "Describe the picture.")).await;
    let reply =
        server.post(PATH, &with(describe(), json!({"model": "demo", "store": true, "metadata": {"a": "b"}}))).await;
    assert_eq!(reply.status(), 200, "{}", reply.body);
    let body = &reply.body;
    assert_eq!((&body["object"], &body["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(body["output"][0]["type"], "message");
    assert_eq!(body["output"][0]["content"][0]["type"], "output_text");
    assert_eq!(body["output"][0]["content"][0]["text"], chat.text());
    assert_eq!(body["usage"]["input_tokens"], chat.body["usage"]["prompt_tokens"]);
    assert_eq!(body["usage"]["output_tokens"], chat.body["usage"]["completion_tokens"]);
    assert_eq!(body["usage"]["qvl"]["images"], chat.body["usage"]["qvl"]["images"]);
    assert_eq!((&body["store"], &body["metadata"]), (&json!(false), &json!({"a": "b"})));
    let short = server.post(PATH, &with(describe(), json!({"max_output_tokens": 2}))).await;
    assert_eq!(short.body["status"], "incomplete");
    assert_eq!(short.body["incomplete_details"]["reason"], "max_output_tokens");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_build_the_answer_up() {
    let server = start(|_| {}).await;
    let whole = server.post(PATH, &describe()).await;
    let events = server.stream(PATH, &describe()).await;
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(0..events.len() as u64));
    let names: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let is_delta = |name: &&&str| **name == "response.output_text.delta";
    let others: Vec<&str> = names.iter().filter(|name| !is_delta(name)).copied().collect();
    assert_eq!(
        others,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    assert!(names.iter().filter(is_delta).count() > 3);
    let text: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(whole.body["output"][0]["content"][0]["text"], text);
    let last = &events[events.len() - 1]["response"];
    assert_eq!(last["output"][0]["content"][0]["text"], text);
    assert_eq!(last["usage"]["output_tokens"], whole.body["usage"]["output_tokens"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_and_schemas_work_here_too() {
    let server = start(|_| {}).await;
    let parameters = json!({"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}},
        "required": ["colour"], "additionalProperties": false});
    let request = json!({"input": "Paint it.", "max_output_tokens": 400, "tool_choice": {"type": "function", "name": "paint"},
        "tools": [{"type": "function", "name": "paint", "parameters": parameters, "strict": true}]});
    let reply = server.post(PATH, &request).await;
    assert_eq!(reply.status(), 200, "{}", reply.body);
    let call = reply.body["output"][0].clone();
    assert_eq!((&call["type"], &call["name"]), (&json!("function_call"), &json!("paint")));
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert!(["red", "blue"].contains(&arguments["colour"].as_str().unwrap()));
    let events = server.stream(PATH, &request).await;
    let done = events.iter().find(|event| event["type"] == "response.function_call_arguments.done").unwrap();
    assert_eq!(done["arguments"], call["arguments"]);
    let follow_up = json!({"input": [{"role": "user", "content": "Paint it."}, call,
        {"type": "function_call_output", "call_id": call["call_id"], "output": "done"}], "max_output_tokens": 4});
    assert_eq!(server.post(PATH, &follow_up).await.status(), 200);
    let format = json!({"text": {"format": {"type": "json_schema", "name": "c", "schema": parameters, "strict": true}},
        "input": "Which?", "instructions": "Answer in JSON.", "max_output_tokens": 400});
    let reply = server.post(PATH, &format).await;
    let text = reply.body["output"][0]["content"][0]["text"].as_str().unwrap();
    let found: Value = serde_json::from_str(text).unwrap();
    assert!(["red", "blue"].contains(&found["colour"].as_str().unwrap()));
    server.stop().await;
}
