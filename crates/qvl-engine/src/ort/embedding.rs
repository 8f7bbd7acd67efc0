//! The embedding graph: token ids, and features to put in place, to input embeddings.

use std::path::Path;

use ort::session::Session;
use ort::value::{DynValue, TensorElementType};
use qvl_checkpoint::Config;
use qvl_package::names;

use super::opener::{Contract, Opener};
use super::tensor;
use crate::EngineError;

/// The embedding graph. It stays on the processor: its table is large, and a step reads one row of it.
#[derive(Debug)]
pub(super) struct Embedding {
    session: Session,
    /// Type of the features.
    float: TensorElementType,
    /// Values in a row of features, and in a row of the result.
    width: usize,
}

impl Embedding {
    pub(super) fn open(opener: &Opener, path: &Path, config: &Config) -> Result<Self, EngineError> {
        let session = opener.open_small(path)?;
        let inputs = Contract::inputs(path, &session);
        inputs.int64(names::INPUT_IDS)?;
        let float = inputs.float(names::IMAGE_FEATURES)?;
        inputs.count(2)?;
        Contract::outputs(path, &session).float(names::INPUTS_EMBEDS)?;
        Ok(Self { session, float, width: config.packed_width() })
    }

    /// Embeddings [1, tokens, width]. `features` are the rows of the placeholders among the tokens, in order; without
    /// any, placeholders are plain tokens.
    pub(super) fn embed(&mut self, token_ids: &[u32], features: &[f32]) -> Result<DynValue, EngineError> {
        let failed = |reason| EngineError::Run { graph: "embedding", reason };
        let ids = token_ids.iter().map(|&id| i64::from(id)).collect();
        let ids = tensor::from_i64([1, token_ids.len()], ids).map_err(failed)?;
        let rows = features.len() / self.width;
        let features = tensor::from_f32(self.float, [rows, self.width], features).map_err(failed)?;
        let mut outputs = self
            .session
            .run(ort::inputs![names::INPUT_IDS => ids, names::IMAGE_FEATURES => features])
            .map_err(failed)?;
        outputs.remove(names::INPUTS_EMBEDS).ok_or_else(|| failed(ort::Error::new("it gave no inputs_embeds")))
    }
}
