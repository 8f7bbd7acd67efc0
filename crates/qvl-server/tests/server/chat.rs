//! `/v1/chat/completions`

use qvl::FinishReason;
use serde_json::{Value, json};

use crate::client::Reply;
use crate::support::{alone, ask, data_url, figures, pipeline, start, with, workspace};

const PICTURE: &str = "examples/pictures/figures.png";
const DESCRIBE: &str = "Describe the picture.";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_a_picture_is_that_of_the_model_alone() {
    let server = start(|_| {}).await;
    let direct = alone(&mut pipeline(), Some(PICTURE), DESCRIBE, |_| {});
    let reply = server.chat(&with(ask(&[figures()], DESCRIBE), json!({"model": "demo"}))).await;
    assert_eq!(reply.text(), direct.text);
    let body = &reply.body;
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("demo")));
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let usage = &body["usage"];
    assert_eq!(usage["prompt_tokens"], direct.usage.prompt_tokens);
    assert_eq!(usage["completion_tokens"], direct.usage.completion_tokens);
    assert_eq!(usage["total_tokens"], direct.usage.prompt_tokens + direct.usage.completion_tokens);
    assert_eq!(usage["qvl"]["images"], serde_json::to_value(&direct.images).unwrap());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_comes_again_is_shown_at_the_size_that_this_request_wants() {
    let server = start(|_| {}).await;
    let request = ask(&[figures()], DESCRIBE);
    let small = with(request.clone(), json!({"mm_processor_kwargs": {"max_pixels": 16384, "min_pixels": 1024}}));
    let (first, other) = (server.chat(&request).await, server.chat(&small).await);
    let (again, other_again) = (server.chat(&request).await, server.chat(&small).await);
    let images = |reply: &Reply| reply.body["usage"]["qvl"]["images"].clone();
    assert_eq!((images(&first), images(&other)), (images(&again), images(&other_again)));
    assert_ne!(images(&first), images(&other));
    assert_eq!((first.text(), other.text()), (again.text(), other_again.text()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_for_pictures_that_came_before() {
    let picture = image::open(workspace(PICTURE)).unwrap();
    let pixels = u64::from(picture.width() * picture.height());
    let server = start(|options| options.limits.picture_pixels = 2 * pixels - 1).await;
    assert_eq!(server.chat(&ask(&[figures()], DESCRIBE)).await.status(), 200);
    let reply = server.chat(&ask(&[figures(), figures()], DESCRIBE)).await;
    assert_eq!(reply.status(), 400);
    assert!(reply.body["error"]["message"].as_str().unwrap().contains("pixels together"), "{}", reply.body);
    assert_eq!(server.chat(&ask(&[figures()], DESCRIBE)).await.status(), 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_gives_the_same_text_and_ends_with_the_usage() {
    let server = start(|_| {}).await;
    let request = ask(&[figures()], DESCRIBE);
    let whole = server.chat(&request).await;
    let asked = with(request.clone(), json!({"stream_options": {"include_usage": true}}));
    let mut chunks = server.stream("/v1/chat/completions", &asked).await;
    let last = chunks.pop().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], whole.body["usage"]["completion_tokens"]);
    assert!(last["usage"]["qvl"]["images"][0]["tokens"].as_u64().unwrap() > 0);
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!(chunks[chunks.len() - 1]["choices"][0]["finish_reason"], "stop");
    assert!(chunks.iter().all(|chunk| chunk["usage"].is_null() && chunk["id"] == last["id"]));
    assert_eq!(contents(&chunks), whole.text());
    let without = server.stream("/v1/chat/completions", &request).await;
    assert!(without.iter().all(|chunk| chunk.get("usage").is_none() && chunk["choices"] != json!([])));
    server.stop().await;
}

fn contents(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_answers_have_consecutive_seeds() {
    let server = start(|_| {}).await;
    let request = with(ask(&[figures()], DESCRIBE), json!({"temperature": 2.5, "max_tokens": 12}));
    let together = server.chat(&with(request.clone(), json!({"n": 3, "seed": 40}))).await;
    assert_eq!(together.status(), 200, "{}", together.body);
    let mut texts = Vec::new();
    for (index, seed) in (40..43).enumerate() {
        let choice = &together.body["choices"][index];
        assert_eq!(choice["index"], index);
        let single = server.chat(&with(request.clone(), json!({"seed": seed}))).await;
        assert_eq!(choice["message"]["content"], single.text());
        texts.push(single.text().to_owned());
    }
    assert!(texts[0] != texts[1] || texts[1] != texts[2], "hot draws are all {:?}", texts[0]);
    let chunks = server.stream("/v1/chat/completions", &with(request, json!({"n": 3, "seed": 40}))).await;
    for (index, text) in texts.iter().enumerate() {
        let of_choice = |chunk: &&Value| chunk["choices"][0]["index"] == index;
        let own: Vec<Value> = chunks.iter().filter(of_choice).cloned().collect();
        assert_eq!(contents(&own), *text);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logprobs_belong_to_the_text() {
    let server = start(|_| {}).await;
    let request = with(ask(&[figures()], DESCRIBE), json!({"logprobs": true, "top_logprobs": 4}));
    let reply = server.chat(&request).await;
    let text = reply.text().to_owned();
    let entries = reply.body["choices"][0]["logprobs"]["content"].as_array().unwrap().clone();
    let tokens: String = entries.iter().map(|entry| entry["token"].as_str().unwrap()).collect();
    assert_eq!(tokens, text);
    for entry in &entries {
        let top = entry["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 4);
        // The answer is greedy: what was chosen is the most likely.
        assert_eq!((&top[0]["token"], &top[0]["logprob"]), (&entry["token"], &entry["logprob"]));
        let logprobs: Vec<f64> = top.iter().map(|top| top["logprob"].as_f64().unwrap()).collect();
        assert!(logprobs.is_sorted_by(|a, b| a >= b) && logprobs[0] <= 0.0);
    }
    let chunks = server.stream("/v1/chat/completions", &request).await;
    let streamed = chunks.iter().filter_map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array());
    assert_eq!(streamed.flatten().cloned().collect::<Vec<_>>(), entries);
    let bare = server.chat(&ask(&[figures()], DESCRIBE)).await;
    assert!(bare.body["choices"][0]["logprobs"].is_null());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn length_stop_texts_and_bias_do_what_they_say() {
    let server = start(|_| {}).await;
    let request = ask(&[figures()], DESCRIBE);
    let whole = server.chat(&request).await.text().to_owned();
    let short = server.chat(&with(request.clone(), json!({"max_completion_tokens": 2, "max_tokens": 2}))).await;
    assert_eq!(short.body["choices"][0]["finish_reason"], "length");
    assert_eq!(short.body["usage"]["completion_tokens"], 2);
    assert!(whole.starts_with(short.text()));
    let stopped = server.chat(&with(request.clone(), json!({"stop": ["blue", "zebra"]}))).await;
    assert_eq!(stopped.text(), &whole[..whole.find("blue").unwrap()]);
    assert_eq!(stopped.body["choices"][0]["finish_reason"], "stop");
    let stopped = server.stream("/v1/chat/completions", &with(request.clone(), json!({"stop": "blue"}))).await;
    assert_eq!(contents(&stopped), &whole[..whole.find("blue").unwrap()]);
    let first = alone(&mut pipeline(), Some(PICTURE), DESCRIBE, |_| {}).token_ids[0].to_string();
    let biased = server.chat(&with(request, json!({"logit_bias": {first: -100}, "max_tokens": 8}))).await;
    assert!(!biased.text().starts_with(whole.split(' ').next().unwrap()), "{}", biased.text());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_budget_is_the_requests() {
    let server = start(|_| {}).await;
    let tokens = async |fields: Value| {
        let reply = server.chat(&with(with(ask(&[figures()], DESCRIBE), json!({"max_tokens": 1})), fields)).await;
        assert_eq!(reply.status(), 200, "{}", reply.body);
        let picture = reply.body["usage"]["qvl"]["images"][0].clone();
        (picture["tokens"].as_u64().unwrap(), picture["width"].as_u64().unwrap() * picture["height"].as_u64().unwrap())
    };
    let (own, _) = tokens(json!({})).await;
    let (few, pixels) = tokens(json!({"mm_processor_kwargs": {"max_pixels": 16384}})).await;
    assert!(few < own && pixels <= 16384, "{few} of {own} tokens, {pixels} pixels");
    let (many, pixels) = tokens(json!({"mm_processor_kwargs": {"min_pixels": 400_000}})).await;
    assert!(many > own && pixels >= 400_000, "{many} of {own} tokens, {pixels} pixels");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_is_seen_as_animation_and_as_frames() {
    let server = start(|_| {}).await;
    let clip = data_url("demo/heldout/clips/clip-0001.gif", "image/gif");
    let question = json!({"type": "text", "text": "What happens in the clip?"});
    let animation = json!({"messages": [{"role": "user",
        "content": [{"type": "video_url", "video_url": {"url": clip}}, question]}]});
    let reply = server.chat(&animation).await;
    assert!(!reply.text().is_empty());
    assert!(reply.body["usage"]["qvl"]["images"][0]["grid_thw"][0].as_u64().unwrap() > 1);
    let frames: Vec<String> =
        (0..4).map(|index| data_url(&format!("reference/images/video_frames/{index:03}.png"), "image/png")).collect();
    let list = json!({"messages": [{"role": "user", "content": [{"type": "video", "video": frames}, question]}]});
    let reply = server.chat(&with(list, json!({"max_tokens": 4}))).await;
    assert_eq!(reply.status(), 200, "{}", reply.body);
    assert_eq!(reply.body["usage"]["qvl"]["images"][0]["grid_thw"][0], 2);
    let sampled = with(animation, json!({"max_tokens": 4, "mm_processor_kwargs": {"num_frames": 4}}));
    let reply = server.chat(&sampled).await;
    assert_eq!(reply.body["usage"]["qvl"]["images"][0]["grid_thw"][0], 2, "{}", reply.body);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_turn_finds_the_first_in_the_cache() {
    let server = start(|_| {}).await;
    let mut request = ask(&[figures()], DESCRIBE);
    let first = server.chat(&request).await;
    assert_eq!(first.body["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": first.text()}));
    messages.push(json!({"role": "user", "content": "What colour is the star?"}));
    let second = server.chat(&request).await;
    let usage = &second.body["usage"];
    let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
    assert!(cached >= first.body["usage"]["prompt_tokens"].as_u64().unwrap(), "{usage}");
    assert_eq!(usage["qvl"]["cached_tokens"], cached);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn harmless_fields_change_nothing() {
    let server = start(|_| {}).await;
    let direct = alone(&mut pipeline(), None, "What is a circle?", |config| config.max_new_tokens = 8);
    let request = with(
        ask(&[], "What is a circle?"),
        json!({"max_tokens": 8, "user": "me", "metadata": {"a": 1}, "store": false, "service_tier": "auto",
            "stop": null, "seed": null, "tools": null, "n": 1, "modalities": ["text"], "temperature": 0, "stream": false,
            "response_format": {"type": "text"}, "chat_template_kwargs": {"enable_thinking": false},
            "parallel_tool_calls": true, "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}}),
    );
    let reply = server.chat(&request).await;
    assert_eq!(reply.text(), direct.text);
    let reason = if direct.finish_reason == FinishReason::Length { "length" } else { "stop" };
    assert_eq!(reply.body["choices"][0]["finish_reason"], reason);
    server.stop().await;
}
