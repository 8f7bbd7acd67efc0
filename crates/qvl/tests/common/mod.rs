//! Packages of the tiny checkpoints, and the cases that `transformers` recorded for them.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use qvl::media::{read_frames, read_image};
use qvl::{
    Answer, CancelFlag, EngineOptions, GenerationConfig, Media, Message, Part, Pipeline, PromptOptions, Request, Role,
};
use qvl_export::{ExportOptions, NoProgress, Precision, export};
use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

/// A file of the reference.
pub fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference").join(path)
}

/// A tiny checkpoint, exported; it lives as long as the value.
pub struct TinyPackage(TempDir);

impl TinyPackage {
    /// In single precision.
    pub fn export(name: &str) -> Self {
        Self::export_as(name, Precision::Fp32)
    }

    pub fn export_as(name: &str, precision: Precision) -> Self {
        Self::export_from(&reference("tiny").join(name), precision)
    }

    /// Any checkpoint.
    pub fn export_from(checkpoint: &Path, precision: Precision) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = ExportOptions::new(directory.path().join("package"));
        options.precision = precision;
        export(checkpoint, &options, &NoProgress).unwrap();
        Self(directory)
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("package")
    }

    pub fn open(&self) -> Pipeline {
        qvl::runtime::locate_or_install().unwrap();
        Pipeline::open(&self.path(), &EngineOptions::default()).unwrap()
    }
}

/// The settings that the cases were recorded with: argmax, 32 tokens, EOS ignored.
pub fn greedy() -> GenerationConfig {
    GenerationConfig { max_new_tokens: 32, ignore_eos: true, ..GenerationConfig::default() }
}

/// A case of `golden/NAME/index.json`.
pub struct Case {
    pub name: String,
    pub messages: Vec<Message>,
    pub media: Vec<Media>,
    pub generated: Vec<u32>,
    pub generated_text: String,
    pub legacy_video_prompt: bool,
    directory: PathBuf,
}

/// All cases of a checkpoint but the batch, which is no conversation.
pub fn cases(checkpoint: &str) -> Vec<Case> {
    let directory = reference("golden").join(checkpoint);
    let index: Value = serde_json::from_str(&std::fs::read_to_string(directory.join("index.json")).unwrap()).unwrap();
    let cases = index["cases"].as_array().unwrap().iter();
    cases.filter(|case| case.get("messages").is_some()).map(|case| Case::read(case, &directory)).collect()
}

pub fn case(checkpoint: &str, name: &str) -> Case {
    cases(checkpoint).into_iter().find(|case| case.name == name).unwrap()
}

impl Case {
    fn read(case: &Value, directory: &Path) -> Self {
        let name = case["name"].as_str().unwrap().to_owned();
        let mut media = Vec::new();
        let mut videos = case["videos"].as_array().unwrap().iter();
        let mut messages = Vec::new();
        for message in case["messages"].as_array().unwrap() {
            let role = match message["role"].as_str().unwrap() {
                "system" => Role::System,
                "user" => Role::User,
                _ => Role::Assistant,
            };
            let parts = message["content"].as_array().unwrap().iter();
            let parts = parts.map(|part| read_part(part, &mut media, &mut videos)).collect();
            messages.push(Message::new(role, parts));
        }
        let ids = case["generated"].as_array().unwrap();
        Self {
            legacy_video_prompt: name == "video_legacy_prompt",
            name,
            messages,
            media,
            generated: ids.iter().map(|id| id.as_u64().unwrap() as u32).collect(),
            generated_text: case["generated_text"].as_str().unwrap().to_owned(),
            directory: directory.to_path_buf(),
        }
    }

    /// The recorded prompt.
    pub fn input_ids(&self) -> Vec<u32> {
        let bytes = std::fs::read(self.directory.join(format!("{}.safetensors", self.name))).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let data = tensors.tensor("input_ids").unwrap().data().to_vec();
        data.chunks_exact(4).map(|id| u32::from_le_bytes(id.try_into().unwrap())).collect()
    }

    pub fn ask(&self, pipeline: &mut Pipeline, generation: &GenerationConfig) -> (Answer, String) {
        let prompt = PromptOptions { legacy_video_prompt: self.legacy_video_prompt, ..PromptOptions::default() };
        let request = Request {
            messages: &self.messages,
            media: &self.media,
            prompt: &prompt,
            generation,
            cancel: &CancelFlag::default(),
        };
        stream(pipeline, &request)
    }
}

/// The answer, and its text as it was streamed.
pub fn stream(pipeline: &mut Pipeline, request: &Request<'_>) -> (Answer, String) {
    let mut streamed = String::new();
    let answer = pipeline.generate(request, &mut |text| {
        streamed.push_str(text);
        ControlFlow::Continue(())
    });
    (answer.unwrap(), streamed)
}

fn read_part<'v>(part: &Value, media: &mut Vec<Media>, videos: &mut impl Iterator<Item = &'v Value>) -> Part {
    match part["type"].as_str().unwrap() {
        "image" => {
            let name = part["image"].as_str().unwrap();
            media.push(read_image(&reference("images").join(name)).unwrap());
            Part::Image(media.len() - 1)
        }
        "video" => {
            let video = videos.next().unwrap();
            let frames = (0..video["frames"].as_u64().unwrap())
                .map(|frame| reference("images/video_frames").join(format!("{frame:03}.png")))
                .collect::<Vec<_>>();
            media.push(read_frames(&frames, video["fps"].as_f64()).unwrap());
            Part::Video(media.len() - 1)
        }
        _ => Part::Text(part["text"].as_str().unwrap().to_owned()),
    }
}
