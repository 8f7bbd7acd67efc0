//! How much memory one decoded token has to read.

use std::fs;

use qvl_checkpoint::TextConfig;
use qvl_onnx::proto::ModelProto;
use qvl_package::{Graph, PackageDir};
use serde::Serialize;

use crate::error::Error;

/// Bytes of one element of keys and values: float16, the smallest that an engine keeps by default, so that the limit
/// is the same for all.
const CACHE_ELEMENT_BYTES: u64 = 2;

/// What a token reads, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DecodeBytes {
    /// The weights of the text graph as the package stores them, the head's included; of experts the chosen ones.
    pub weights: u64,
    /// Keys and values of one token of the context, in float16.
    pub per_context_token: u64,
}

impl DecodeBytes {
    /// Of a package.
    ///
    /// # Errors
    /// If its text graph cannot be read.
    pub fn read(package: &PackageDir) -> Result<Self, Error> {
        let path = package.graph(Graph::Text);
        // The package was found whole, so the file has the size of a graph.
        let model = ModelProto::read(&fs::read(&path).map_err(|e| Error::io(&path, e))?)?;
        let tensors = model.external_tensors().map(|tensor| tensor.map(|tensor| (tensor.name, tensor.length)));
        Ok(Self::of_tensors(&package.config().text, tensors.collect::<Result<Vec<_>, _>>()?))
    }

    /// Of a text graph that stores `tensors`, each a name and a number of bytes.
    fn of_tensors(config: &TextConfig, tensors: Vec<(String, u64)>) -> Self {
        let (experts, others): (Vec<_>, Vec<_>) =
            tensors.into_iter().partition(|(name, _)| name.contains(".mlp.experts."));
        let sum =
            |tensors: Vec<(String, u64)>| tensors.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes));
        let chosen = config.moe.as_ref().map_or(1.0, |moe| moe.num_experts_per_tok as f64 / moe.num_experts as f64);
        Self {
            weights: sum(others).saturating_add((sum(experts) as f64 * chosen) as u64),
            per_context_token: 2 * (config.num_hidden_layers * config.kv_width()) as u64 * CACHE_ELEMENT_BYTES,
        }
    }

    /// Bytes that a token reads after `context` others.
    pub fn at(&self, context: usize) -> u64 {
        self.weights.saturating_add(self.per_context_token.saturating_mul(context as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::inputs::tests::config;

    fn tensors(sizes: &[(&str, u64)]) -> Vec<(String, u64)> {
        sizes.iter().map(|&(name, bytes)| (name.to_owned(), bytes)).collect()
    }

    #[test]
    fn a_dense_token_by_hand() {
        let stored =
            tensors(&[("lm_head.weight.codes", 1000), ("lm_head.weight.scales", 40), ("model.norm.weight", 8)]);
        let bytes = DecodeBytes::of_tensors(&config("dense-tied").text, stored);
        // Keys and values of 4 layers, 2 heads of 32, 2 bytes each.
        assert_eq!(bytes, DecodeBytes { weights: 1048, per_context_token: 1024 });
        assert_eq!((bytes.at(0), bytes.at(3)), (1048, 1048 + 3 * 1024));
    }

    #[test]
    fn of_experts_the_chosen_ones_are_read() {
        let text = config("moe").text;
        let moe = text.moe.clone().unwrap();
        let experts = 100 * moe.num_experts as u64;
        let name = "model.language_model.layers.0.mlp.experts.down_proj.codes";
        let stored = tensors(&[("model.language_model.layers.0.mlp.gate.weight", 7), (name, experts)]);
        let bytes = DecodeBytes::of_tensors(&text, stored);
        assert_eq!(bytes.weights, 7 + 100 * moe.num_experts_per_tok as u64);
    }
}
