//! The table: requests that nobody sends by mistake, each with its status and a phrase of what is said.

use std::fs;
use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};

use crate::support::{ask, figures, with, workspace};

/// Where most of them go.
pub const CHAT: &str = "/v1/chat/completions";

/// A request, and what is said about it.
pub struct Case {
    pub path: &'static str,
    pub body: String,
    pub status: u16,
    pub said: &'static str,
}

fn case(path: &'static str, body: impl ToString, status: u16, said: &'static str) -> Case {
    Case { path, body: body.to_string(), status, said }
}

/// A chat request with more fields.
fn chat(fields: Value, said: &'static str) -> Case {
    case(CHAT, with(ask(&[], "Hi"), fields), 400, said)
}

/// A chat request with raw JSON for a field, which `serde_json` would not write.
fn raw(field: &str, said: &'static str) -> Case {
    case(CHAT, format!(r#"{{"messages": [{{"role": "user", "content": "Hi"}}], {field}}}"#), 400, said)
}

fn messages(messages: Value, said: &'static str) -> Case {
    case(CHAT, json!({"messages": messages}), 400, said)
}

pub fn picture(url: &str, said: &'static str) -> Case {
    case(CHAT, ask(&[url.to_owned()], "Hi"), 400, said)
}

pub fn png(bytes: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(bytes))
}

pub fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(width, height, Rgb([200, 30, 30])).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A PNG whose head says that it is huge.
fn bomb() -> Vec<u8> {
    let mut bytes = encoded(8, 8, ImageFormat::Png);
    bytes[16..24].copy_from_slice(&[0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff]);
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The checksum of PNG, bit by bit (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

fn bodies() -> Vec<Case> {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    vec![
        case(CHAT, "", 400, "not JSON"),
        case(CHAT, "null", 400, "must be a JSON object"),
        case(CHAT, "[]", 400, "must be a JSON object"),
        case(CHAT, "{", 400, "not JSON"),
        case(CHAT, "{\"a\":\u{0}}", 400, "not JSON"),
        case(CHAT, deep("[", "]"), 400, "recursion limit"),
        case(CHAT, deep("{\"a\":", "}"), 400, "not JSON"),
        case(CHAT, format!("[{}0]", "0,".repeat(2_000_000)), 400, "more than 1048576 values"),
        raw("\"temperature\": NaN", "not JSON"),
        raw("\"temperature\": Infinity", "not JSON"),
        raw("\"temperature\": 1e999", "not JSON"),
        raw("\"seed\": 99999999999999999999999", "seed: must be an integer"),
        case(CHAT, "{}", 400, "messages: is missing"),
        case("/v1/completions", "{}", 400, "prompt: is missing"),
        case("/v1/responses", "{}", 400, "input: is missing"),
        case("/tokenize", "{}", 400, "give prompt"),
        case("/detokenize", "{}", 400, "tokens: is missing"),
        case("/detokenize", json!({"tokens": [4_294_967_296_u64]}), 400, "tokens[0]: must be the id"),
        case("/detokenize", json!({"tokens": [-1]}), 400, "tokens[0]: must be the id"),
        case("/v1/nothing", "{}", 404, "nothing at this path"),
        case("/v1/models", "{}", 405, "does not take this method"),
    ]
}

fn numbers() -> Vec<Case> {
    vec![
        chat(json!({"n": 0}), "n: must be an integer from 1 to 16"),
        chat(json!({"n": 1_000_000_000}), "n: must be an integer from 1 to 16"),
        chat(json!({"n": -1}), "n: must be an integer"),
        chat(json!({"n": 1.5}), "n: must be an integer"),
        chat(json!({"max_tokens": 0}), "max_tokens: must be an integer from 1"),
        chat(json!({"max_tokens": 9_223_372_036_854_775_807_i64}), "max_tokens: must be an integer"),
        chat(json!({"max_tokens": -5}), "max_tokens: must be an integer"),
        chat(json!({"max_tokens": "many"}), "max_tokens: must be an integer"),
        chat(json!({"max_tokens": 5, "max_completion_tokens": 6}), "differs from"),
        chat(json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs: must be an integer from 0 to 20"),
        chat(json!({"top_logprobs": 5}), "wants logprobs: true"),
        chat(json!({"temperature": -0.1}), "temperature: must be a number from 0"),
        chat(json!({"temperature": 1e30}), "temperature: must be a number"),
        chat(json!({"temperature": "hot"}), "temperature: must be a number"),
        chat(json!({"top_p": 0}), "top_p: must be above 0"),
        chat(json!({"top_p": 1.1}), "top_p: must be a number from 0 to 1"),
        chat(json!({"top_k": -2}), "top_k: must be an integer"),
        chat(json!({"min_p": 2}), "min_p: must be a number"),
        chat(json!({"repetition_penalty": 0}), "repetition_penalty: must be a number"),
        chat(json!({"frequency_penalty": 1e9}), "frequency_penalty: must be a number"),
        chat(json!({"seed": 0.5}), "seed: must be an integer"),
        chat(json!({"logit_bias": {"99999999": 1}}), "logit_bias: must map token ids"),
        chat(json!({"logit_bias": {"5": 1000}}), "logit_bias: must map token ids"),
        chat(json!({"logit_bias": {"<|im_end|>": 1}}), "logit_bias: must map token ids"),
        chat(json!({"stop": vec!["a"; 17]}), "stop: over 16 texts"),
        chat(json!({"stop": ""}), "stop: a stop text is empty"),
        chat(json!({"stop": "x".repeat(2000)}), "stop: a stop text has over"),
        chat(json!({"mm_processor_kwargs": {"max_pixels": 0}}), "max_pixels: must be an integer"),
        chat(json!({"mm_processor_kwargs": {"max_pixels": 1_u64 << 40}}), "max_pixels: must be an integer"),
        chat(json!({"mm_processor_kwargs": {"min_pixels": 9, "max_pixels": 8}}), "min_pixels: is 9, above max_pixels"),
        chat(json!({"mm_processor_kwargs": {"fps": 0}}), "fps: must be a number"),
        chat(json!({"mm_processor_kwargs": {"fps": 2, "num_frames": 4}}), "excludes num_frames"),
    ]
}

fn unknown() -> Vec<Case> {
    vec![
        chat(json!({"temprature": 1}), "temprature: is not a field"),
        chat(json!({"<|im_end|>": 1}), "is not a field"),
        chat(json!({"guided_grammar": "root ::= x"}), "guided_grammar: is not a field"),
        chat(json!({"functions": [{"name": "f"}]}), "functions: is not supported; use tools"),
        chat(json!({"modalities": ["text", "audio"]}), "modalities: can only be"),
        chat(json!({"reasoning_effort": "high"}), "reasoning_effort: can only be none"),
        chat(json!({"mm_processor_kwargs": {"do_resize": false}}), "mm_processor_kwargs.do_resize: is not a field"),
        chat(json!({"chat_template_kwargs": {"messages": []}}), "messages: is not for requests to set"),
        chat(json!({"chat_template_kwargs": {"enable_thinking": "no"}}), "must be true or false"),
        chat(json!({"stream_options": {"include_usage": true}}), "wants stream: true"),
        chat(json!({"model": 5}), "model: must be a string"),
        case(CHAT, with(ask(&[], "Hi"), json!({"model": "<|im_start|>system"})), 404, "is not here"),
        chat(json!({"tool_choice": "required"}), "there are no tools"),
        chat(
            json!({"tools": [{"type": "function", "function": {"name": "<tool_call>"}}]}),
            "tools[0].function.name: must be",
        ),
        chat(json!({"tools": [{"type": "code_interpreter"}]}), "tools[0].type: must be function"),
        chat(
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": 5, "strict": true}}}),
            "schema",
        ),
        chat(
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": {"pattern": "x".repeat(200_000)}}}}),
            "the limit is",
        ),
        chat(
            json!({"response_format": {"type": "json_schema", "json_schema": {"strict": true,
                "schema": {"type": "string", "pattern": "^(((((a{1,200}){1,200}){1,200}){1,200}){1,200})$"}}}}),
            "the schema is too complex",
        ),
        case(
            "/v1/completions",
            json!({"prompt": "a", "echo": true, "logprobs": 1}),
            400,
            "cannot be had for the prompt",
        ),
        case("/v1/completions", json!({"prompt": "a", "best_of": 5}), 400, "best_of: can only be as n"),
        case("/v1/completions", json!({"prompt": "a", "suffix": "b"}), 400, "suffix: is not supported"),
        case("/v1/completions", json!({"prompt": vec!["a"; 50]}), 400, "times the number of prompts"),
        case("/v1/completions", json!({"prompt": [99_999_999]}), 400, "no token of text"),
        case("/v1/completions", json!({"prompt": ""}), 400, "the prompt is empty"),
        case("/v1/responses", json!({"input": "a", "previous_response_id": "resp_1"}), 400, "keeps no answers"),
        case("/v1/responses", json!({"input": "a", "background": true}), 400, "background: is not supported"),
        case("/v1/responses", json!({"input": "a", "tools": [{"type": "web_search"}]}), 400, "must be function"),
    ]
}

fn conversations() -> Vec<Case> {
    vec![
        messages(json!([]), "messages: is empty"),
        messages(json!("Hi"), "messages: must be a list"),
        messages(json!([{"role": "<|im_end|>", "content": "x"}]), "messages[0].role: must be"),
        messages(
            json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]),
            "type: must be text",
        ),
        messages(json!([{"role": "user", "content": {}}]), "content: must be a string or a list"),
        messages(json!([{"role": "user", "content": "x".repeat(9 << 20)}]), "bytes of text, the limit is"),
        messages(json!([{"role": "user", "content": "word ".repeat(40_000)}]), "tokens, the limit is"),
        messages(Value::Array(vec![json!({"role": "user", "content": "x"}); 3000]), "over 2048 messages"),
        messages(
            json!([{"role": "user", "content": "x"}, {"role": "system", "content": "y"}]),
            "stand before all others",
        ),
        messages(
            json!([{"role": "system", "content": [{"type": "image_url", "image_url": "data:,"}]}]),
            "belong into messages",
        ),
    ]
}

fn pictures() -> Vec<Case> {
    let real = fs::read(workspace("examples/pictures/figures.png")).unwrap();
    let svg = STANDARD.encode("<svg xmlns='http://www.w3.org/2000/svg'/>");
    let many = vec![png(&encoded(1, 1, ImageFormat::Png)); 33];
    vec![
        picture("", "is no URL that pictures are taken from"),
        picture("file:///etc/passwd", "is no URL that pictures are taken from"),
        picture("/etc/passwd", "is no URL that pictures are taken from"),
        picture("ftp://example.org/a.png", "is no URL that pictures are taken from"),
        picture("data:image/png;base64", "comma"),
        picture("data:image/png;base64,####", "is not base64"),
        picture("data:image/png,raw", "must be base64"),
        picture("data:text/html;base64,PGI+", "media type"),
        picture(&format!("data:image/svg+xml;base64,{svg}"), "media type"),
        picture(&format!("data:image/png;base64,{svg}"), "SVG pictures are not read"),
        picture(&png(b""), "the picture is empty"),
        picture(&png(b"not a picture"), "not a picture"),
        picture(&png(&real[..real.len() / 2]), "damaged, truncated"),
        picture(&png(&bomb()), "may have 128000000 pixels together"),
        picture(&png(&encoded(2000, 1, ImageFormat::Png)), "more than 200 times the other"),
        case(CHAT, ask(&many, "Hi"), 400, "over 32 pictures and videos"),
        picture("http://127.0.0.1/a.png", "fetches no pictures from the network"),
        messages(
            json!([{"role": "user", "content": [{"type": "video_url", "video_url": {"url": figures()}}]}]),
            "single picture",
        ),
        messages(json!([{"role": "user", "content": [{"type": "video", "video": [figures()]}]}]), "at least 2 frames"),
        messages(
            json!([{"role": "user", "content": [{"type": "video", "video": vec![""; 2000]}]}]),
            "over 1024 frames",
        ),
    ]
}

/// Spellings of addresses that are not the internet.
pub const PRIVATE: [&str; 12] = [
    "http://127.0.0.1/a.png",
    "http://localhost:8000/a.png",
    "http://2130706433/a.png",
    "http://0x7f.1/a.png",
    "http://0177.0.0.1/a.png",
    "http://[::1]/a.png",
    "http://[::ffff:10.0.0.1]/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.1.2.3/a.png",
    "http://user@192.168.0.1/a.png",
    "http://0.0.0.0/a.png",
    "https://[fe80::1]/a.png",
];

/// All of them.
pub fn all() -> Vec<Case> {
    [bodies(), numbers(), unknown(), conversations(), pictures()].into_iter().flatten().collect()
}
