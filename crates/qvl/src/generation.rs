//! How an answer is generated: the settings of `generation_config.json` and what a caller changes in them.

use std::path::Path;

use qvl_checkpoint::{ReadError, read_text_limited};
use serde::Deserialize;

use crate::beams::BeamSearch;
use crate::sampler::Sampling;

/// The file in a checkpoint or a package that holds the model's own defaults.
pub const GENERATION_CONFIG: &str = "generation_config.json";

/// Answers end here unless the caller or `generation_config.json` says otherwise.
pub const DEFAULT_MAX_NEW_TOKENS: usize = 1024;

/// A generation config is a page of JSON; anything larger is not one.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Everything that decides how an answer is generated and where it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationConfig {
    /// How each token is chosen.
    pub sampling: Sampling,
    /// The answer ends after this many tokens, if nothing else ended it.
    pub max_new_tokens: usize,
    /// Token ids that end the answer.
    pub eos_token_ids: Vec<u32>,
    /// Generate on past the tokens that end an answer, up to `max_new_tokens`.
    pub ignore_eos: bool,
    /// Texts that end the answer; the text is cut before the first of them.
    pub stop: Vec<String>,
    /// Guess tokens that followed the same ones before and verify several at once: a greedy answer comes sooner where it
    /// quotes the prompt or repeats itself, and is the same. Only where the engine gives logits for all rows; with ONNX
    /// Runtime, whose last bits depend on the number of rows, two tokens that are equally likely may change places.
    pub prompt_lookup: bool,
    /// Search the most likely answer instead of taking token after token; excludes sampling. The text comes at once, when the
    /// search is over. Not read from `generation_config.json`, and not for [`Service`](crate::service::Service).
    pub beams: Option<BeamSearch>,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            max_new_tokens: DEFAULT_MAX_NEW_TOKENS,
            eos_token_ids: Vec::new(),
            ignore_eos: false,
            stop: Vec::new(),
            prompt_lookup: true,
            beams: None,
        }
    }
}

/// A generation setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GenerationConfigError {
    /// The file cannot be read, or is far larger than such a file ever is.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The text is not a generation config.
    #[error("not a generation config: {0}")]
    Json(#[from] serde_json::Error),
    /// A number is outside its range.
    #[error("{name} is {value}; it must be {range}")]
    OutOfRange {
        /// The setting, named as in `generation_config.json`.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
    /// A stop text of no characters would end every answer at once.
    #[error("a stop text is empty; leave it out, or give the characters to stop at")]
    EmptyStop,
    /// Beams and a draw exclude each other.
    #[error("beam search does not sample; turn do_sample off, or leave the beams out")]
    SampledBeams,
    /// A service gives answers token by token.
    #[error("a service does not search with beams; leave them out")]
    BeamsOfService,
}

impl GenerationConfig {
    /// Reads `generation_config.json` in `directory`; a directory without one gets the defaults.
    ///
    /// # Errors
    /// If the file is there but cannot be read, is not JSON of the right form, or holds a value out of range.
    pub fn read(directory: &Path) -> Result<Self, GenerationConfigError> {
        let path = directory.join(GENERATION_CONFIG);
        match read_text_limited(&path, MAX_FILE_BYTES) {
            Err(error) if error.is_not_found() => Ok(Self::default()),
            text => Self::from_json(&text?),
        }
    }

    /// Reads the text of a `generation_config.json`.
    ///
    /// # Errors
    /// If the text is not JSON of the right form or holds a value out of range.
    pub fn from_json(text: &str) -> Result<Self, GenerationConfigError> {
        let file: File = serde_json::from_str(text)?;
        let defaults = Sampling::default();
        let config = Self {
            sampling: Sampling {
                do_sample: file.do_sample.unwrap_or(defaults.do_sample),
                temperature: file.temperature.unwrap_or(defaults.temperature),
                top_k: file.top_k.unwrap_or(defaults.top_k),
                top_p: file.top_p.unwrap_or(defaults.top_p),
                min_p: file.min_p.unwrap_or(defaults.min_p),
                repetition_penalty: file.repetition_penalty.unwrap_or(defaults.repetition_penalty),
                presence_penalty: file.presence_penalty.unwrap_or(defaults.presence_penalty),
                ..defaults
            },
            max_new_tokens: file.max_new_tokens.unwrap_or(DEFAULT_MAX_NEW_TOKENS),
            eos_token_ids: file.eos_token_id.map(EosIds::into_list).unwrap_or_default(),
            ..Self::default()
        };
        config.validate()?;
        Ok(config)
    }

    /// Checks every number against its range.
    ///
    /// # Errors
    /// Names the first setting that is out of its range, and the range.
    pub fn validate(&self) -> Result<(), GenerationConfigError> {
        self.sampling.validate()?;
        check("max_new_tokens", self.max_new_tokens, "at least 1", self.max_new_tokens > 0)?;
        if self.stop.iter().any(String::is_empty) {
            return Err(GenerationConfigError::EmptyStop);
        }
        let Some(beams) = &self.beams else { return Ok(()) };
        if !self.sampling.is_greedy() {
            return Err(GenerationConfigError::SampledBeams);
        }
        beams.validate()
    }
}

/// An error that names the setting, its value and its range, unless it `holds`.
pub(crate) fn check(
    name: &'static str,
    value: impl ToString,
    range: &'static str,
    holds: bool,
) -> Result<(), GenerationConfigError> {
    if holds {
        return Ok(());
    }
    Err(GenerationConfigError::OutOfRange { name, value: value.to_string(), range })
}

/// The fields of `generation_config.json` that are used; a `null` counts as absent.
#[derive(Deserialize)]
struct File {
    do_sample: Option<bool>,
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    max_new_tokens: Option<usize>,
    eos_token_id: Option<EosIds>,
}

/// `eos_token_id` is a number in some files and a list in others.
#[derive(Deserialize)]
#[serde(untagged)]
enum EosIds {
    One(u32),
    Many(Vec<u32>),
}

impl EosIds {
    fn into_list(self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![id],
            Self::Many(ids) => ids,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_file_is_read() {
        let config = GenerationConfig::from_json(
            r#"{"bos_token_id": 151643, "pad_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643],
                "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.0, "temperature": 0.7, "transformers_version": "4.56.0"}"#,
        )
        .unwrap();
        assert_eq!(config.eos_token_ids, [151_645, 151_643]);
        assert_eq!(
            config.sampling,
            Sampling { do_sample: true, temperature: 0.7, top_k: 20, top_p: 0.8, ..Sampling::default() }
        );
        assert_eq!(config.max_new_tokens, DEFAULT_MAX_NEW_TOKENS);
    }

    #[test]
    fn a_single_eos_and_nulls_are_read() {
        let config = GenerationConfig::from_json(r#"{"eos_token_id": 7, "top_p": null}"#).unwrap();
        assert_eq!(config.eos_token_ids, [7]);
        assert_eq!(config.sampling, Sampling::default());
    }

    #[test]
    fn a_directory_without_the_file_gets_the_defaults() {
        let config = GenerationConfig::read(Path::new("/nonexistent-directory")).unwrap();
        assert_eq!(config, GenerationConfig::default());
        assert!(config.sampling.is_greedy());
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (json, message) in [
            (r#"{"temperature": -0.5}"#, "temperature is -0.5; it must be a number from 0 to 100"),
            (r#"{"top_p": 0.0}"#, "top_p is 0; it must be above 0 and at most 1"),
            (r#"{"min_p": 1.5}"#, "min_p is 1.5; it must be from 0 to 1"),
            (r#"{"repetition_penalty": 0.0}"#, "repetition_penalty is 0; it must be above 0 and at most 100"),
            (r#"{"max_new_tokens": 0}"#, "max_new_tokens is 0; it must be at least 1"),
        ] {
            assert_eq!(GenerationConfig::from_json(json).unwrap_err().to_string(), message);
        }
        assert!(GenerationConfig::from_json(r#"{"top_k": -1}"#).is_err());
        let sampled = |sampling| GenerationConfig { sampling, ..GenerationConfig::default() };
        for (sampling, name) in [
            (Sampling { temperature: f32::NAN, ..Sampling::default() }, "temperature"),
            (Sampling { presence_penalty: f32::NAN, ..Sampling::default() }, "presence_penalty"),
            (Sampling { frequency_penalty: 100.5, ..Sampling::default() }, "frequency_penalty"),
            (Sampling { logit_bias: vec![(0, 100.0), (1, -100.5)], ..Sampling::default() }, "logit_bias"),
            (Sampling { logit_bias: vec![(0, f32::NAN)], ..Sampling::default() }, "logit_bias"),
        ] {
            let message = sampled(sampling).validate().unwrap_err().to_string();
            assert!(message.starts_with(&format!("{name} is ")), "{message}");
        }
        let stop = GenerationConfig { stop: vec![String::new()], ..GenerationConfig::default() };
        assert!(matches!(stop.validate(), Err(GenerationConfigError::EmptyStop)));
    }
}
