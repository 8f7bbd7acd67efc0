//! Prompts against the goldens of `transformers`: ids, positions, pixel values.
#![allow(clippy::unwrap_used, reason = "a missing golden is a failure")]

mod support;

use qvl_processor::{
    ImageLimits, Media, Message, Part, Processor, Prompt, PromptOptions, Role, TokenType, VideoMeta, decode_image,
};
use safetensors::SafeTensors;
use serde_json::Value;
use support::{npy_frames, picture_bytes, reference, sha256_f32};

const CHECKPOINTS: [&str; 3] = ["dense-tied", "dense-untied", "moe"];

fn index(checkpoint: &str) -> Vec<Value> {
    let path = reference("golden").join(checkpoint).join("index.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    json["cases"].as_array().unwrap().clone()
}

fn case<'c>(cases: &'c [Value], name: &str) -> &'c Value {
    cases.iter().find(|case| case["name"] == name).unwrap()
}

/// A tensor of 32-bit integers.
fn integers(checkpoint: &str, case: &str, name: &str) -> Vec<i64> {
    let path = reference("golden").join(checkpoint).join(format!("{case}.safetensors"));
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let data = tensors.tensor(name).unwrap().data().to_vec();
    data.chunks_exact(4).map(|b| i64::from(i32::from_le_bytes(b.try_into().unwrap()))).collect()
}

fn picture(name: &str) -> Media {
    Media::Image(decode_image(&picture_bytes(name), &ImageLimits::default()).unwrap())
}

fn video(frames: usize, fps: f64) -> Media {
    let all = npy_frames(&reference("images/video_37x64x96.npy"));
    Media::Video { frames: all[..frames].to_vec(), meta: VideoMeta::new(fps, frames), sampled: false }
}

/// The conversation of a case, its media in order of appearance.
fn conversation(case: &Value) -> (Vec<Message>, Vec<Media>) {
    let mut media = Vec::new();
    let mut videos = case["videos"].as_array().unwrap().iter();
    let mut part = |part: &Value| match part["type"].as_str().unwrap() {
        "text" => Part::Text(part["text"].as_str().unwrap().to_owned()),
        "image" => {
            media.push(picture(part["image"].as_str().unwrap()));
            Part::Image(media.len() - 1)
        }
        _ => {
            let meta = videos.next().unwrap();
            let frames = usize::try_from(meta["frames"].as_u64().unwrap()).unwrap();
            media.push(video(frames, meta["fps"].as_f64().unwrap()));
            Part::Video(media.len() - 1)
        }
    };
    let messages = case["messages"].as_array().unwrap().iter();
    let messages = messages.map(|message| {
        let role: Role = serde_json::from_value(message["role"].clone()).unwrap();
        Message::new(role, message["content"].as_array().unwrap().iter().map(&mut part).collect())
    });
    (messages.collect(), media)
}

fn prepare(processor: &Processor, case: &Value) -> Prompt {
    let (messages, media) = conversation(case);
    let options =
        PromptOptions { legacy_video_prompt: case["name"] == "video_legacy_prompt", ..PromptOptions::default() };
    processor.prepare(&messages, &media, &options).unwrap()
}

fn ids(prompt: &Prompt) -> Vec<i64> {
    prompt.token_ids.iter().map(|&id| i64::from(id)).collect()
}

/// Positions as the goldens have them, axis by axis.
fn by_axis(prompt: &Prompt) -> Vec<i64> {
    (0..3).flat_map(|axis| prompt.positions.iter().map(move |position| position[axis])).collect()
}

fn grids(prompt: &Prompt) -> Vec<Vec<i64>> {
    prompt.grids.iter().map(|g| [g.t, g.h, g.w].map(|n| i64::try_from(n).unwrap()).to_vec()).collect()
}

/// The patches of the media of one type, as the goldens hash them.
fn pixel_hash(prompt: &Prompt, kind: TokenType) -> String {
    let row = 1536;
    let mut values = Vec::new();
    let mut start = 0;
    for media in &prompt.media {
        let end = start + media.grid.patches() * row;
        if (media.kind == qvl_processor::MediaKind::Image) == (kind == TokenType::Image) {
            values.extend_from_slice(&prompt.pixel_values[start..end]);
        }
        start = end;
    }
    assert_eq!(start, prompt.pixel_values.len());
    sha256_f32(&values)
}

#[test]
fn every_case_equals_transformers() {
    for checkpoint in CHECKPOINTS {
        let processor = Processor::open(&reference("tiny").join(checkpoint)).unwrap();
        let cases = index(checkpoint);
        let single: Vec<&Value> = cases.iter().filter(|case| case["messages"].is_array()).collect();
        assert_eq!(single.len(), 7);
        for case in single {
            let name = case["name"].as_str().unwrap();
            let what = format!("{checkpoint} {name}");
            let prompt = prepare(&processor, case);
            assert_eq!(prompt.text, case["prompt"].as_str().unwrap(), "{what}");
            assert_eq!(ids(&prompt), integers(checkpoint, name, "input_ids"), "{what}");
            let types: Vec<i64> = prompt.token_types.iter().map(|&t| t as i64).collect();
            assert_eq!(types, integers(checkpoint, name, "mm_token_type_ids"), "{what}");
            assert_eq!(by_axis(&prompt), integers(checkpoint, name, "position_ids"), "{what}");
            assert_eq!(prompt.rope_delta, case["rope_delta"].as_i64().unwrap(), "{what}");
            let mut expected_grids = Vec::new();
            for (kind, grid, hash) in [
                (TokenType::Image, "image_grid_thw", "pixel_values_sha256"),
                (TokenType::Video, "video_grid_thw", "pixel_values_videos_sha256"),
            ] {
                if let Some(hash) = case[hash].as_str() {
                    assert_eq!(pixel_hash(&prompt, kind), hash, "{what}");
                    expected_grids.extend(serde_json::from_value::<Vec<Vec<i64>>>(case[grid].clone()).unwrap());
                }
            }
            // In every golden with both, the pictures come first.
            assert_eq!(grids(&prompt), expected_grids, "{what}");
            let placeholders = prompt.token_types.iter().filter(|&&t| t != TokenType::Text).count();
            assert_eq!(prompt.media.iter().map(|media| media.tokens).sum::<usize>(), placeholders, "{what}");
        }
    }
}

#[test]
fn rows_of_a_padded_batch_equal_the_prompts_alone() {
    for checkpoint in CHECKPOINTS {
        let processor = Processor::open(&reference("tiny").join(checkpoint)).unwrap();
        let cases = index(checkpoint);
        let batch = case(&cases, "batch_left_padded");
        let name = "batch_left_padded";
        let (all_ids, mask) = (integers(checkpoint, name, "input_ids"), integers(checkpoint, name, "attention_mask"));
        let positions = integers(checkpoint, name, "position_ids");
        let deltas = integers(checkpoint, name, "rope_deltas");
        let members = batch["members"].as_array().unwrap();
        let length = mask.len() / members.len();
        for (row, member) in members.iter().enumerate() {
            let prompt = prepare(&processor, case(&cases, member.as_str().unwrap()));
            let kept: Vec<usize> = (0..length).filter(|i| mask[row * length + i] == 1).collect();
            let kept_ids: Vec<i64> = kept.iter().map(|i| all_ids[row * length + i]).collect();
            assert_eq!(ids(&prompt), kept_ids, "{checkpoint} {member}");
            let kept_positions: Vec<i64> = (0..3)
                .flat_map(|axis| kept.iter().map(move |i| (axis * members.len() + row) * length + i))
                .map(|i| positions[i])
                .collect();
            assert_eq!(by_axis(&prompt), kept_positions, "{checkpoint} {member}");
            assert_eq!(prompt.rope_delta, deltas[row], "{checkpoint} {member}");
        }
    }
}

#[test]
fn pictures_after_videos_stay_in_order_of_appearance() {
    let processor = Processor::open(&reference("tiny/dense-tied")).unwrap();
    let media = [picture("photo_100x100.png"), video(20, 10.0)];
    let content = vec![Part::Video(1), Part::Text("and".into()), Part::Image(0), Part::Video(1)];
    let prompt = processor.prepare(&[Message::new(Role::User, content)], &media, &PromptOptions::default()).unwrap();
    let sizes: Vec<(usize, usize)> = prompt.grids.iter().map(|g| (g.t, g.patches())).collect();
    assert_eq!(sizes[0], sizes[2]);
    assert!(sizes[0].0 > 1 && sizes[1].0 == 1);
    let first = sizes[0].1 * 1536;
    assert_eq!(prompt.pixel_values[..first], prompt.pixel_values[prompt.pixel_values.len() - first..]);
    assert_eq!(prompt.media[0].content_hash, prompt.media[2].content_hash);
    assert_ne!(prompt.media[0].content_hash, prompt.media[1].content_hash);
}

#[test]
fn real_vocabulary_prompts_equal_transformers() {
    let directory = support::real_checkpoint("Instruct");
    let processor = Processor::open(directory.path()).unwrap();
    for case in support::golden("prompts_real.json").as_array().unwrap() {
        let (media, part) = match case["name"].as_str().unwrap() {
            "image" => (picture("gradient_400x300.png"), Part::Image(0)),
            _ => (video(37, 12.5), Part::Video(0)),
        };
        let question = if part == Part::Image(0) { "Describe this image." } else { "What happens?" };
        let message = Message::new(Role::User, vec![part, Part::Text(question.into())]);
        let prompt = processor.prepare(&[message], &[media], &PromptOptions::default()).unwrap();
        let expected: Vec<u32> = serde_json::from_value(case["input_ids"].clone()).unwrap();
        assert_eq!(prompt.text, case["prompt"].as_str().unwrap());
        assert_eq!(prompt.token_ids, expected, "{}", case["name"]);
    }
}

#[test]
fn a_prompt_of_hundreds_of_thousands_of_tokens_is_made() {
    let processor = Processor::open(&reference("tiny/dense-tied")).unwrap();
    let message = Message::text(Role::User, "word 1 ".repeat(60_000));
    let prompt = processor.prepare(&[message], &[], &PromptOptions::default()).unwrap();
    assert!(prompt.token_ids.len() > 100_000);
    assert_eq!(prompt.rope_delta, 0);
    let last = i64::try_from(prompt.positions.len() - 1).unwrap();
    assert_eq!(prompt.positions.last(), Some(&[last; 3]));
}
