//! The tokenizer and the chat templates against what `transformers` makes of the same texts.
#![allow(clippy::unwrap_used, reason = "a missing golden is a failure")]

mod support;

use qvl_processor::{
    Media, MediaKind, Message, Part, Processor, PromptOptions, Rgb8, Role, TokenType, Tokenizer, VideoMeta,
};
use serde_json::Value;
use support::{golden, real_checkpoint, reference};

fn real_tokenizer() -> Tokenizer {
    Tokenizer::open(&reference("real/hub/tokenizer.json")).unwrap()
}

#[test]
fn texts_have_the_ids_of_transformers() {
    let tokenizer = real_tokenizer();
    let golden = golden("tokenizer_real.json");
    for case in golden["encode"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        let ids = tokenizer.encode_with_special(text).unwrap();
        assert_eq!(ids, expected, "{text:?}");
        assert_eq!(tokenizer.decode(&ids, false), case["decoded"].as_str().unwrap(), "{text:?}");
        assert_eq!(tokenizer.decode(&ids, true), case["decoded_skip"].as_str().unwrap(), "{text:?}");
    }
    for case in golden["decode"].as_array().unwrap() {
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        assert_eq!(tokenizer.decode(&ids, false), case["decoded"].as_str().unwrap(), "{ids:?}");
    }
}

#[test]
fn random_texts_have_the_ids_of_transformers() {
    let tokenizer = real_tokenizer();
    let texts: Vec<(String, Vec<u32>)> = serde_json::from_value(golden("prompts_more.json")["texts"].take()).unwrap();
    assert_eq!(texts.len(), 2000);
    for (text, expected) in texts {
        assert_eq!(tokenizer.encode_with_special(&text).unwrap(), expected, "{text:?}");
    }
}

#[test]
fn a_long_run_of_one_character_is_encoded() {
    let tokenizer = real_tokenizer();
    for text in [" ", "a", "\n", "!", "世", "<|im_end|>"] {
        let text = text.repeat(300_000);
        let ids = tokenizer.encode_plain(&text).unwrap();
        assert_eq!(tokenizer.decode(&ids, false), text);
    }
}

#[test]
fn ids_have_bytes() {
    let tokenizer = real_tokenizer();
    assert_eq!(tokenizer.id_count(), 151_669);
    assert_eq!(tokenizer.token_id("<|im_end|>"), Some(151_645));
    assert!(tokenizer.is_special(151_645) && !tokenizer.is_special(151_667));
    assert_eq!(tokenizer.token_bytes(151_667), Some(&b"<think>"[..]));
    assert_eq!(tokenizer.token_bytes(198), Some(&b"\n"[..]));
    assert_eq!(tokenizer.token_bytes(151_669), None);
    assert_eq!(tokenizer.token_bytes(u32::MAX), None);
    let single: Vec<u8> =
        (0..256).map(|id| tokenizer.token_bytes(id).unwrap()).filter(|b| b.len() == 1).flatten().copied().collect();
    assert_eq!(single.len(), 256);
}

/// Messages in the form of `transformers`, with media numbered in order of appearance.
fn messages(conversation: &Value) -> (Vec<Message>, Vec<MediaKind>) {
    let mut kinds = Vec::new();
    let mut messages = conversation.clone();
    let parts = messages.as_array_mut().unwrap().iter_mut();
    for part in parts.filter_map(|message| message["content"].as_array_mut()).flatten() {
        let kind = match part["type"].as_str().unwrap() {
            "image" => MediaKind::Image,
            "video" => MediaKind::Video,
            _ => continue,
        };
        let name = part["type"].as_str().unwrap().to_owned();
        part[name] = kinds.len().into();
        kinds.push(kind);
    }
    (serde_json::from_value(messages).unwrap(), kinds)
}

fn medium(kind: MediaKind) -> Media {
    let picture = Rgb8::new(32, 32, vec![7; 32 * 32 * 3]).unwrap();
    match kind {
        MediaKind::Image => Media::Image(picture),
        MediaKind::Video => Media::Video { frames: vec![picture; 2], meta: VideoMeta::new(2.0, 2), sampled: true },
    }
}

/// Ids with every run of picture placeholders as one, as the tokenizer alone gives them.
fn unexpanded(ids: &[u32], types: &[TokenType]) -> Vec<u32> {
    let kept = ids
        .iter()
        .enumerate()
        .filter(|(i, _)| *i == 0 || types[*i] != TokenType::Image || types[i - 1] != TokenType::Image);
    kept.map(|(_, id)| *id).collect()
}

/// Renders the cases of a golden file; returns how many were compared.
fn compare(golden: &Value, cases: &str) -> usize {
    let mut compared = 0;
    for template in ["Instruct", "Thinking"] {
        let directory = real_checkpoint(template);
        let processor = Processor::open(directory.path()).unwrap();
        let of_template = golden[cases].as_array().unwrap().iter().filter(|case| case["template"] == template);
        for case in of_template {
            let (messages, kinds) = messages(&golden["conversations"][case["conversation"].as_str().unwrap()]);
            let media: Vec<Media> = kinds.iter().copied().map(medium).collect();
            let mut options = PromptOptions {
                add_generation_prompt: case["add_generation_prompt"] == true,
                add_vision_id: case["add_vision_id"] == true,
                ..PromptOptions::default()
            };
            if case["tools"] == true {
                options.tools = golden["tools"].as_array().unwrap().clone();
            }
            let prompt = processor.prepare(&messages, &media, &options).unwrap();
            assert_eq!(prompt.text, case["rendered"].as_str().unwrap(), "{template} {}", case["conversation"]);
            if let (Some(ids), false) =
                (case.get("ids").filter(|ids| ids.is_array()), kinds.contains(&MediaKind::Video))
            {
                let ids: Vec<u32> = serde_json::from_value(ids.clone()).unwrap();
                assert_eq!(
                    unexpanded(&prompt.token_ids, &prompt.token_types),
                    ids,
                    "{template} {}",
                    case["conversation"]
                );
            }
            compared += 1;
        }
    }
    compared
}

#[test]
fn templates_render_as_in_transformers() {
    assert_eq!(compare(&golden("tokenizer_real.json"), "chat"), 88);
}

#[test]
fn more_conversations_render_as_in_transformers() {
    let golden = golden("prompts_more.json");
    let compared = compare(&golden, "cases");
    assert_eq!(compared, golden["cases"].as_array().unwrap().len());
    assert!(compared > 200, "{compared}");
}

#[test]
fn a_picture_the_template_drops_is_an_error() {
    let directory = real_checkpoint("Instruct");
    let processor = Processor::open(directory.path()).unwrap();
    let messages = [
        Message::new(Role::User, vec![Part::Image(0), Part::Text("Q".into())]),
        Message::new(Role::Assistant, vec![Part::Image(1), Part::Text("A".into())]),
        Message::text(Role::User, "R"),
    ];
    let media = [medium(MediaKind::Image), medium(MediaKind::Image)];
    let error = processor.prepare(&messages, &media, &PromptOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "message 1 (assistant) has pictures or videos that this model's chat template does not show; \
         put them into a user message"
    );
}
