use std::time::Duration;

use qvl_checkpoint::{Config, Grid};

use crate::{DecodeStep, Encoding, EngineError, Features, Logits, Prefill, SequenceId};

/// Something that can run a package.
///
/// Sequences are independent of each other; any number may be open, and steps of several may be interleaved. A call
/// that fails leaves the sequence as it was.
pub trait Engine: Send {
    /// The model's dimensions.
    fn config(&self) -> &Config;

    /// Time spent so far on opening graphs, those that are opened late included.
    fn load_time(&self) -> Duration;

    /// Runs the vision tower over pictures and videos of any sizes.
    ///
    /// `pixel_values` holds the patches of all of them, one row of `channels · temporal patch · patch²` values each, in
    /// the order of `grids`. The features come in the same order.
    ///
    /// # Errors
    /// If the grids do not fit the pixel values or cannot be merged, or the graph fails.
    fn encode(&mut self, pixel_values: &[f32], grids: &[Grid]) -> Result<Features, EngineError> {
        let mut encoding = Encoding::new(grids);
        loop {
            if let Some(features) = self.encode_part(&mut encoding, pixel_values)? {
                return Ok(features);
            }
        }
    }

    /// Does the next part of what [`encode`](Self::encode) does, and gives the features with the last one.
    ///
    /// A whole tower takes seconds; what else is to be done need not wait for so long. Encodings may be interleaved with each
    /// other and with everything else. `pixel_values` are the same for all parts.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    fn encode_part(&mut self, encoding: &mut Encoding, pixel_values: &[f32]) -> Result<Option<Features>, EngineError>;

    /// Opens an empty sequence that is expected to hold `capacity` tokens. It grows when more come; what is expected
    /// saves the growing.
    ///
    /// # Errors
    /// If the capacity is beyond the model's context, or the memory for it is not there.
    fn open_sequence(&mut self, capacity: usize) -> Result<SequenceId, EngineError>;

    /// Appends a prompt, or a further part of one, to what the sequence holds.
    ///
    /// The last row of the result is for the next token; a package with logits for all positions gives a row for each
    /// token of the prompt.
    ///
    /// # Errors
    /// If the prompt is empty, does not fit the context, or is not [consistent](Prefill).
    fn prefill(&mut self, sequence: SequenceId, prompt: &Prefill<'_>) -> Result<Logits, EngineError>;

    /// As [`prefill`](Self::prefill), with a row of logits for each token of the prompt, whatever the package gives: what
    /// drafts are verified with. A row takes four bytes for each token of the vocabulary.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill); [`EngineError::OnlyLastRow`] where [`gives_all_rows`](Self::gives_all_rows) is false.
    fn prefill_all(&mut self, sequence: SequenceId, prompt: &Prefill<'_>) -> Result<Logits, EngineError>;

    /// Whether [`prefill_all`](Self::prefill_all) works on this package.
    fn gives_all_rows(&self) -> bool;

    /// Appends one token at `position`, on all three axes, and returns the logits of the next.
    ///
    /// # Errors
    /// If the context is full or the token is not of the vocabulary.
    fn decode(&mut self, sequence: SequenceId, token: u32, position: i64) -> Result<Logits, EngineError>;

    /// Appends one token to each of several sequences. Row i of the logits is for the token after that of step i.
    ///
    /// # Errors
    /// As [`decode`](Self::decode) for any of the steps, or if two of them are of one sequence. No sequence has changed then.
    fn decode_batch(&mut self, steps: &[DecodeStep]) -> Result<Logits, EngineError>;

    /// Opens a sequence that holds a copy of the first `len` tokens of another.
    ///
    /// # Errors
    /// If the other holds fewer, or the memory for the copy is not there.
    fn fork(&mut self, sequence: SequenceId, len: usize) -> Result<SequenceId, EngineError>;

    /// Forgets all but the first `len` tokens.
    ///
    /// # Errors
    /// If the sequence holds fewer.
    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), EngineError>;

    /// Number of tokens that a sequence holds; `None` if there is no such sequence.
    fn len(&self, sequence: SequenceId) -> Option<usize>;

    /// Bytes of memory that a sequence's keys and values take; `None` if there is no such sequence.
    fn sequence_bytes(&self, sequence: SequenceId) -> Option<usize>;

    /// Bytes of keys and values of a token, all layers together.
    fn bytes_per_token(&self) -> usize;

    /// Closes a sequence and frees its memory. Does nothing if there is no such sequence.
    fn close_sequence(&mut self, sequence: SequenceId);
}
