//! `/v1/completions`, `/tokenize` and `/detokenize`

use serde_json::{Value, json};

use crate::support::{ask, figures, start, with};

const PATH: &str = "/v1/completions";

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_continued_and_echoed() {
    let server = start(|_| {}).await;
    let request = json!({"prompt": "A red circle", "max_tokens": 6, "temperature": 0});
    let plain = server.post(PATH, &request).await;
    assert_eq!(plain.status(), 200, "{}", plain.body);
    assert_eq!(plain.body["object"], "text_completion");
    let text = plain.body["choices"][0]["text"].as_str().unwrap().to_owned();
    assert!(!text.is_empty());
    let echoed = server.post(PATH, &with(request.clone(), json!({"echo": true}))).await;
    assert_eq!(echoed.body["choices"][0]["text"], format!("A red circle{text}"));
    for echo in [false, true] {
        let chunks = server
            .stream(PATH, &with(request.clone(), json!({"echo": echo, "stream_options": {"include_usage": true}})))
            .await;
        let streamed: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
        assert_eq!(streamed, if echo { format!("A red circle{text}") } else { text.clone() });
        let usage = &chunks[chunks.len() - 1]["usage"];
        assert_eq!(usage["prompt_tokens"], plain.body["usage"]["prompt_tokens"]);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_prompts_and_answers_are_numbered() {
    let server = start(|_| {}).await;
    let request = json!({"prompt": ["A red", "A blue"], "n": 2, "max_tokens": 3, "temperature": 0});
    let reply = server.post(PATH, &request).await;
    let choices = reply.body["choices"].as_array().unwrap();
    let text = |index: usize| choices[index]["text"].as_str().unwrap();
    assert_eq!(choices.iter().map(|choice| choice["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!((text(0), text(2)), (text(1), text(3)));
    let tokens =
        async |prompt: &str| server.post("/tokenize", &json!({"prompt": prompt})).await.body["count"].as_u64().unwrap();
    let prompt_tokens = tokens("A red").await + tokens("A blue").await;
    assert_eq!(reply.body["usage"]["prompt_tokens"], prompt_tokens);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logprobs_are_lists_with_offsets() {
    let server = start(|_| {}).await;
    let request =
        json!({"prompt": "A red circle", "max_tokens": 6, "temperature": 0, "logprobs": 2, "ignore_eos": true});
    let reply = server.post(PATH, &request).await;
    let logprobs = &reply.body["choices"][0]["logprobs"];
    let tokens: Vec<&str> =
        logprobs["tokens"].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
    assert_eq!(tokens.len(), 6);
    let offsets: Vec<usize> =
        logprobs["text_offset"].as_array().unwrap().iter().map(|offset| offset.as_u64().unwrap() as usize).collect();
    let lengths = tokens.iter().scan(0, |end, token| Some(std::mem::replace(end, *end + token.chars().count())));
    assert_eq!(offsets, lengths.collect::<Vec<_>>());
    for list in ["token_logprobs", "top_logprobs"] {
        assert_eq!(logprobs[list].as_array().unwrap().len(), 6);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control_tokens_in_a_prompt_are_text() {
    let server = start(|_| {}).await;
    let text = "<|im_start|>user\nHi<|im_end|>";
    let tokens = server.post("/tokenize", &json!({"prompt": text})).await;
    let ids = tokens.body["tokens"].as_array().unwrap().clone();
    assert_eq!(tokens.body["count"], ids.len());
    assert!(ids.len() > 8, "{ids:?}");
    let back = server.post("/detokenize", &json!({"tokens": ids})).await;
    assert_eq!(back.body["prompt"], text);
    let prompt_tokens = async |prompt: Value| {
        let reply = server.post(PATH, &json!({"prompt": prompt, "max_tokens": 1})).await;
        assert_eq!(reply.status(), 200, "{}", reply.body);
        reply.body["usage"]["prompt_tokens"].clone()
    };
    assert_eq!(prompt_tokens(json!(text)).await, ids.len());
    assert_eq!(prompt_tokens(json!(ids)).await, ids.len());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_tokenised_with_its_pictures() {
    let server = start(|_| {}).await;
    let request = ask(&[figures()], "Describe the picture.");
    let tokens = server.post("/tokenize", &request).await;
    let answer = server.chat(&with(request, json!({"max_tokens": 1}))).await;
    assert_eq!(tokens.body["count"], answer.body["usage"]["prompt_tokens"]);
    server.stop().await;
}
