use std::time::Duration;

use serde::Serialize;

/// What a service does and has done since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Jobs that wait for a place now.
    pub waiting: usize,
    /// Jobs that have a place now.
    pub running: usize,
    /// Jobs with a whole answer.
    pub finished: u64,
    /// Jobs that were cancelled, before or after they had a place.
    pub cancelled: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Tokens of the prompts of all jobs that had a place.
    pub prompt_tokens: u64,
    /// Of these, tokens that needed no computation.
    pub cached_tokens: u64,
    /// Tokens of the answers.
    pub generated_tokens: u64,
    /// Pictures and videos that were encoded.
    pub pictures_encoded: u64,
    /// Pictures and videos whose features were still there.
    pub pictures_cached: u64,
    /// Time spent on encoding.
    pub vision: Duration,
    /// Time spent on prompts' tokens.
    pub prefill: Duration,
    /// Time spent on answers' tokens.
    pub decode: Duration,
    /// Decode steps, each for all answers that were being generated.
    pub decode_steps: u64,
    /// Answers in these steps, all together; divided by the steps it is the mean size of a batch.
    pub decode_rows: u64,
    /// Answers in the largest step.
    pub largest_batch: usize,
    /// Tokens that prompt lookup proposed.
    pub drafted_tokens: u64,
    /// Of these, tokens that the model chose.
    pub accepted_tokens: u64,
    /// Bytes of keys and values of running and of kept sequences now.
    pub cache_bytes: usize,
    /// Sequences of finished answers that are kept now.
    pub kept_sequences: usize,
}
