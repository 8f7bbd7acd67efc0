//! Token ids to input embeddings, with features in the placeholders' place (§5.1).

use qvl_checkpoint::Config;

use super::matrix::StoredTable;
use super::weights::Weights;
use crate::EngineError;
use crate::prefill::Chunk;

/// The token table.
pub(super) const TABLE: &str = "model.language_model.embed_tokens.weight";

/// The token table, and which tokens are placeholders.
#[derive(Debug)]
pub(super) struct Embedding {
    table: StoredTable,
    placeholders: [u32; 2],
    /// Values in a row of features.
    packed_width: usize,
}

/// Input embeddings of some tokens, and the DeepStack features that are added to them later.
#[derive(Debug)]
pub(super) struct Embeds<'a> {
    /// [tokens, hidden].
    pub(super) rows: Vec<f32>,
    /// Which of the rows have features.
    places: Vec<usize>,
    /// A row for each of those: the merged feature, which is in `rows` already, then the DeepStack features.
    features: &'a [f32],
    hidden: usize,
    /// Values in a row of features.
    packed_width: usize,
}

impl Embedding {
    /// Takes the table out of the embedding graph's weights.
    pub(super) fn open(mut weights: Weights, config: &Config) -> Result<Self, EngineError> {
        let table = weights.table(TABLE, config.text.vocab_size, config.text.hidden_size)?;
        weights.finish()?;
        let placeholders = [config.image_token_id, config.video_token_id];
        Ok(Self { table, placeholders, packed_width: config.packed_width() })
    }

    /// Embeddings of the tokens of `chunk`. Without features placeholders are plain tokens.
    pub(super) fn embed<'a>(&self, chunk: &Chunk<'a>) -> Embeds<'a> {
        let hidden = self.table.columns;
        let mut rows = vec![0.0; chunk.token_ids.len() * hidden];
        let mut features = chunk.features.chunks_exact(self.packed_width);
        let mut places = Vec::new();
        for (place, (&token, row)) in chunk.token_ids.iter().zip(rows.chunks_exact_mut(hidden)).enumerate() {
            let feature = if self.placeholders.contains(&token) { features.next() } else { None };
            match feature {
                Some(feature) => {
                    row.copy_from_slice(&feature[..hidden]);
                    places.push(place);
                }
                None => self.table.read_row(token as usize, row),
            }
        }
        Embeds { rows, places, features: chunk.features, hidden, packed_width: self.packed_width }
    }
}

impl Embeds<'_> {
    /// Adds DeepStack feature `index` to `x`, [tokens, hidden].
    pub(super) fn add_deepstack(&self, index: usize, x: &mut [f32]) {
        for (&place, features) in self.places.iter().zip(self.features.chunks_exact(self.packed_width)) {
            let feature = &features[(1 + index) * self.hidden..][..self.hidden];
            x[place * self.hidden..][..self.hidden].iter_mut().zip(feature).for_each(|(x, feature)| *x += feature);
        }
    }
}
