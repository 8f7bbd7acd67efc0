//! Checkpoints and conversations that cannot be used, and what the user is told.
#![allow(clippy::unwrap_used, reason = "a missing reference is a failure")]

mod support;

use qvl_processor::{Media, Message, Part, Processor, PromptOptions, Rgb8, Role, VideoMeta};
use serde_json::{Value, json};
use std::path::Path;
use support::reference;

/// A copy of a tiny checkpoint, without its weights.
fn checkpoint() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.json",
        "preprocessor_config.json",
        "video_preprocessor_config.json",
    ] {
        std::fs::copy(reference("tiny/dense-tied").join(name), directory.path().join(name)).unwrap();
    }
    directory
}

fn edit(directory: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let path = directory.join(name);
    let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
}

fn with_template(source: &str) -> (tempfile::TempDir, Processor) {
    let directory = checkpoint();
    std::fs::write(directory.path().join("chat_template.jinja"), source).unwrap();
    let processor = Processor::open(directory.path()).unwrap();
    (directory, processor)
}

fn open_error(directory: &Path) -> String {
    let error = Processor::open(directory).unwrap_err().to_string();
    error.replace(&format!("{}/", directory.display()), "").replace(&directory.display().to_string(), "DIR")
}

fn prepare_error(processor: &Processor, messages: &[Message], media: &[Media]) -> String {
    processor.prepare(messages, media, &PromptOptions::default()).unwrap_err().to_string()
}

fn render_error(source: &str) -> String {
    let (_directory, processor) = with_template(source);
    prepare_error(&processor, &[Message::text(Role::User, "x")], &[])
}

fn picture() -> Media {
    Media::Image(Rgb8::new(64, 64, vec![9; 64 * 64 * 3]).unwrap())
}

#[test]
fn a_template_that_never_ends_is_stopped() {
    let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{% set c = a * b %}{% endfor %}{% endfor %}";
    assert_eq!(
        render_error(loops),
        "the chat template ran for over 502000 instructions and was stopped; it probably never ends"
    );
    let recursion = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
    assert!(render_error(recursion).starts_with("the chat template failed: "));
}

#[test]
fn a_template_that_prints_too_much_is_stopped() {
    let source = format!("{{% for a in range(9999) %}}{}{{% endfor %}}", "x".repeat(10_000));
    let error = render_error(&source);
    assert!(error.starts_with("the chat template printed over 4194"), "{error}");
    let repeated = render_error("{{ 'x' * 1000000000 }}");
    assert!(repeated.contains("repeated string is too large"), "{repeated}");
}

#[test]
fn a_template_may_refuse() {
    assert_eq!(
        render_error("{{ raise_exception('no ' + messages[0].role) }}"),
        "the chat template failed: invalid operation: no user (in default:1)"
    );
}

#[test]
fn a_template_sees_its_variables() {
    let source = "{{ enable_thinking }} {{ x | tojson }} {{ eos_token }} {{ none_such is defined }} {{ strftime_now('%Y') | length }} {{ messages | length }}";
    let (_directory, processor) = with_template(source);
    let mut options = PromptOptions { enable_thinking: Some(false), ..PromptOptions::default() };
    options.template_variables.insert("messages".into(), json!([]));
    options.template_variables.insert("x".into(), json!({"b": 1.0, "a": "<|im_end|>"}));
    let prompt = processor.prepare(&[Message::text(Role::User, "x")], &[], &options).unwrap();
    assert_eq!(prompt.text, "False {\"b\": 1.0, \"a\": \"<|im_end|>\"} <|im_end|> False 4 1");
    let end = processor.tokenizer().token_id("<|im_end|>").unwrap();
    assert_eq!(prompt.token_ids.iter().filter(|&&id| id == end).count(), 1);
}

#[test]
fn a_template_is_found_wherever_it_is_kept() {
    let named = json!([{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]);
    for (file, template, expected) in [
        ("tokenizer_config.json", json!("C"), ["C", "C"]),
        ("tokenizer_config.json", named.clone(), ["D", "T"]),
        ("chat_template.json", named, ["D", "T"]),
        ("chat_template.json", json!({"default": "M"}), ["M", "M"]),
    ] {
        let directory = checkpoint();
        if file == "tokenizer_config.json" {
            std::fs::remove_file(directory.path().join("chat_template.json")).unwrap();
        }
        edit(directory.path(), file, |json| json["chat_template"] = template);
        let processor = Processor::open(directory.path()).unwrap();
        let rendered = [vec![], vec![json!({"name": "f"})]].map(|tools| {
            let options = PromptOptions { tools, ..PromptOptions::default() };
            processor.prepare(&[Message::text(Role::User, "x")], &[], &options).unwrap().text
        });
        assert_eq!(rendered, expected);
    }
}

#[test]
fn a_template_that_is_missing_or_broken_is_named() {
    let directory = checkpoint();
    std::fs::remove_file(directory.path().join("chat_template.json")).unwrap();
    edit(directory.path(), "tokenizer_config.json", |json| json["chat_template"] = Value::Null);
    assert_eq!(
        open_error(directory.path()),
        "DIR has no chat template; it needs chat_template.jinja, chat_template.json, or `chat_template` in tokenizer_config.json"
    );
    edit(directory.path(), "tokenizer_config.json", |json| json["chat_template"] = json!(7));
    assert_eq!(
        open_error(directory.path()),
        "tokenizer_config.json: `chat_template` is neither a text nor a list of named texts"
    );
    std::fs::write(directory.path().join("chat_template.jinja"), "{% if %}").unwrap();
    assert!(open_error(directory.path()).starts_with("the chat template is not valid: syntax error"));
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let directory = checkpoint();
    edit(directory.path(), "config.json", |json| json["image_token_id"] = json!(7));
    assert_eq!(
        open_error(directory.path()),
        "config.json says image_token_id 7, but for <|image_pad|> the tokenizer says 1212; \
         take tokenizer.json and config.json from one checkpoint"
    );
    let directory = checkpoint();
    edit(directory.path(), "tokenizer.json", |json| json["added_tokens"][25]["id"] = json!(1280));
    assert_eq!(
        open_error(directory.path()),
        "the tokenizer has ids up to 1280, but the model's vocabulary has 1280 rows; \
         take tokenizer.json and config.json from one checkpoint"
    );
    for (change, message) in [
        (json!({"added_tokens": [{"id": u32::MAX, "content": "x"}]}), "the token id 4294967295 is not supported"),
        (json!({"added_tokens": [{"id": 1, "content": "x", "lstrip": true}]}), "the added token \"x\" with strip"),
        (json!({"decoder": {"type": "WordPiece"}}), "a decoder other than ByteLevel is not supported"),
        (json!({"pre_tokenizer": {"type": "Whitespace"}}), "a pre-tokenizer other than Split(regex, Isolated)"),
        (json!({"model": {"type": "WordLevel", "vocab": {}}}), "not a byte-level BPE tokenizer"),
        (
            json!({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}),
            "a vocabulary without the byte 0x00 is not supported",
        ),
        (json!({"model": 3}), "not a byte-level BPE tokenizer"),
    ] {
        let directory = checkpoint();
        edit(directory.path(), "tokenizer.json", |json| {
            for (key, value) in change.as_object().unwrap() {
                json[key] = value.clone();
            }
        });
        let error = open_error(directory.path());
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn media_and_messages_must_agree() {
    let processor = Processor::open(&reference("tiny/dense-tied")).unwrap();
    let say = |messages: &[Message], media: &[Media]| prepare_error(&processor, messages, media);
    let user = |part: Part| [Message::new(Role::User, vec![part])];
    assert_eq!(say(&[], &[]), "the conversation has no messages; give at least one");
    assert_eq!(say(&user(Part::Image(1)), &[picture()]), "message 0 refers to picture 1, but there are 1 media");
    assert_eq!(say(&user(Part::Video(0)), &[picture()]), "message 0 refers to video 0, but that is a picture");
    assert_eq!(
        say(&user(Part::Image(0)), &[picture(), picture()]),
        "picture 1 of the media list is in no message; refer to it in one, or leave it away"
    );
    let long = Media::Image(Rgb8::new(1, 1000, vec![0; 3000]).unwrap());
    assert!(say(&user(Part::Image(0)), &[long]).starts_with("picture 0 of the media list: "));
    let video = Media::Video { frames: Vec::new(), meta: VideoMeta::new(2.0, 0), sampled: false };
    assert!(say(&user(Part::Video(0)), &[video]).starts_with("video 0 of the media list: "));
}

#[test]
fn a_template_that_doubles_or_joins_placeholders_is_an_error() {
    let (_directory, processor) = with_template("<|image_pad|> <|image_pad|>");
    let message = [Message::new(Role::User, vec![Part::Image(0)])];
    assert_eq!(
        prepare_error(&processor, &message, &[picture()]),
        "message 0 (user) has pictures or videos that this model's chat template does not show; \
         put them into a user message"
    );
    let (_directory, processor) = with_template("<|image_pad|><|image_pad|>");
    let twice = [Message::new(Role::User, vec![Part::Image(0), Part::Image(0)])];
    assert!(prepare_error(&processor, &twice, &[picture()]).contains("every frame needs its own run"));
}
