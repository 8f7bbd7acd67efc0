//! A reference and a candidate, and one question put to both.

use qvl_engine::EngineOptions;
use qvl_package::PackageDir;
use qvl_processor::{ProcessorError, Prompt, PromptOptions};

use super::error::CompareError;
use super::features::PictureComparison;
use super::packages::check_packages;
use super::repetition::ends_in_circles;
use super::summary::PerModel;
use super::walk::{Ending, TokenMeasure, Walk};
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::eval::{Question, read_media};
use crate::pipeline::{Pipeline, answer_limit};
use crate::vision_cache::VisionKey;

/// Greedy answers end here unless something else is asked for.
pub const DEFAULT_MAX_NEW_TOKENS: usize = 64;

/// How questions are put to both models.
#[derive(Debug, Clone)]
pub struct CompareOptions {
    /// How prompts are made.
    pub prompt: PromptOptions,
    /// Most tokens of a greedy answer.
    pub max_new_tokens: usize,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { prompt: PromptOptions::default(), max_new_tokens: DEFAULT_MAX_NEW_TOKENS }
    }
}

/// One question, answered by both models.
#[derive(Debug, Clone)]
pub struct QuestionComparison {
    /// The question's task.
    pub task: String,
    /// Whether its prompt has a picture or video.
    pub is_visual: bool,
    /// One for each token of the reference's greedy answer, its end token included.
    pub reference_answer: Vec<TokenMeasure>,
    /// One for each token of the answer that the question file gives, with the end token after it.
    pub given_answer: Vec<TokenMeasure>,
    /// How many tokens the candidate's greedy answer begins with that the reference's begins with too.
    pub agreed_tokens: usize,
    /// Whether the greedy answers end at the token limit, in an endless repetition.
    pub endless: PerModel<bool>,
    pub(super) pictures: Vec<PictureComparison>,
}

/// Two packages of one model, both loaded.
pub struct Models {
    reference: Pipeline,
    candidate: Pipeline,
}

impl Models {
    /// Loads both packages.
    ///
    /// # Errors
    /// If they are [not of one model](check_packages), or one cannot be loaded.
    pub fn load(reference: &PackageDir, candidate: &PackageDir, options: &EngineOptions) -> Result<Self, CompareError> {
        check_packages(reference, candidate)?;
        Ok(Self {
            reference: Pipeline::load(reference, options).map_err(CompareError::Reference)?,
            candidate: Pipeline::load(candidate, options).map_err(CompareError::Candidate)?,
        })
    }

    /// The reference, whose processor makes the prompts for both, and whose end tokens end the answers of both.
    pub fn reference(&self) -> &Pipeline {
        &self.reference
    }

    /// Puts a question to both; none if `cancel` stopped it.
    ///
    /// # Errors
    /// If a picture or video is not usable, the prompt fills the context, an engine fails, or logits are not finite.
    pub fn compare(
        &mut self,
        question: &Question,
        options: &CompareOptions,
        cancel: &CancelFlag,
    ) -> Result<Option<QuestionComparison>, CompareError> {
        let prompt = self.prompt(question, options)?;
        let given = self.given_answer(question, &prompt)?;
        let limit = answer_limit(self.reference.config(), &prompt, options.max_new_tokens)?;
        let end_tokens = self.reference.generation_config().eos_token_ids.clone();
        let ending = Ending { end_tokens: &end_tokens, limit };
        let Some(mut walk) = self.walk(&prompt, limit, cancel)? else { return Ok(None) };
        let Some(greedy) = walk.along_the_reference(ending)? else { return Ok(None) };
        let Some(own) = walk.candidate_answer(&greedy, ending)? else { return Ok(None) };
        let Some(given_answer) = walk.along(&given)? else { return Ok(None) };
        let is_endless = |answer: &[u32]| !ending.has_end_token(answer) && ends_in_circles(answer);
        Ok(Some(QuestionComparison {
            task: question.task.clone(),
            is_visual: !prompt.media.is_empty(),
            given_answer,
            agreed_tokens: greedy.parting.map_or(greedy.answer.len(), |(agreed, _)| agreed),
            endless: PerModel { reference: is_endless(&greedy.answer), candidate: is_endless(&own) },
            pictures: pictures(&prompt, &walk),
            reference_answer: greedy.measures,
        }))
    }

    fn prompt(&self, question: &Question, options: &CompareOptions) -> Result<Prompt, CompareError> {
        let media = read_media(question)?;
        let prompt = self.reference.processor().prepare(&question.messages, &media, &options.prompt);
        Ok(prompt.map_err(Error::from)?)
    }

    /// The tokens of the given answer and the end token, as far as the context has room.
    fn given_answer(&self, question: &Question, prompt: &Prompt) -> Result<Vec<u32>, CompareError> {
        let tokens = self.reference.processor().tokenizer().encode_plain(&question.answer);
        let mut tokens = tokens.map_err(|error| Error::from(ProcessorError::from(error)))?;
        tokens.extend(self.reference.generation_config().eos_token_ids.first());
        tokens.truncate(answer_limit(self.reference.config(), prompt, usize::MAX)?);
        Ok(tokens)
    }

    /// Prefills the prompt in both.
    fn walk<'a>(
        &'a mut self,
        prompt: &Prompt,
        tokens: usize,
        cancel: &'a CancelFlag,
    ) -> Result<Option<Walk<'a>>, CompareError> {
        let reference = self.reference.force(prompt, tokens, cancel).map_err(CompareError::Reference)?;
        let Some(reference) = reference else { return Ok(None) };
        let candidate = self.candidate.force(prompt, tokens, cancel).map_err(CompareError::Candidate)?;
        Ok(candidate.map(|candidate| Walk { reference, candidate, cancel }))
    }
}

/// The features of the prompt's pictures and videos by both.
fn pictures(prompt: &Prompt, walk: &Walk<'_>) -> Vec<PictureComparison> {
    let blocks = walk.reference.feature_blocks();
    let features = walk.reference.features().iter().zip(walk.candidate.features());
    let pairs = prompt.media.iter().zip(features).map(|(media, (reference, candidate))| {
        let key = VisionKey { content: media.content_hash, grid: media.grid };
        PictureComparison::new(key, reference, candidate, blocks)
    });
    pairs.collect()
}
