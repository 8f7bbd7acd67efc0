//! What quantisation lost in the weights, by matrix and layer, as the package says it.

use std::collections::BTreeMap;

use qvl_package::{Graph, PackageDir};

/// One kind of matrix, which each layer has one of.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixErrors {
    /// The graph that the matrix is in.
    pub graph: Graph,
    /// Its name within a layer, such as `mlp.down_proj`.
    pub matrix: String,
    /// Layer and `Σ (w − ŵ)² / Σ w²` over its weights w and their stored values ŵ, in the order of the layers.
    pub layers: Vec<(usize, f64)>,
}

/// The errors that `package` records for its quantised matrices, but for those that belong to no layer. Empty if nothing
/// is quantised, or an older program wrote the package.
pub fn weight_errors(package: &PackageDir) -> Vec<MatrixErrors> {
    let mut all = Vec::new();
    for graph in Graph::ALL {
        let quantization = package.manifest().graphs.get(graph.name()).and_then(|info| info.quantization.as_ref());
        let Some(quantization) = quantization else { continue };
        let matrices = by_matrix(&quantization.relative_error);
        all.extend(matrices.into_iter().map(|(matrix, layers)| MatrixErrors {
            graph,
            matrix: matrix.to_owned(),
            layers: layers.into_iter().collect(),
        }));
    }
    all
}

fn by_matrix(errors: &BTreeMap<String, f64>) -> BTreeMap<&str, BTreeMap<usize, f64>> {
    let mut matrices: BTreeMap<&str, BTreeMap<usize, f64>> = BTreeMap::new();
    for (name, &error) in errors {
        if let Some((layer, matrix)) = layer_of(name) {
            matrices.entry(matrix).or_default().insert(layer, error);
        }
    }
    matrices
}

/// The layer and the rest of a checkpoint's tensor name: `…layers.3.mlp.down_proj.weight`, `…blocks.3.attn.qkv.weight`.
fn layer_of(name: &str) -> Option<(usize, &str)> {
    let (_, rest) = name.split_once("layers.").or_else(|| name.split_once("blocks."))?;
    let (layer, matrix) = rest.split_once('.')?;
    Some((layer.parse().ok()?, matrix.strip_suffix(".weight").unwrap_or(matrix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_in_order_and_what_is_in_none_is_left_out() {
        let names = [
            "model.language_model.layers.10.mlp.down_proj.weight",
            "model.language_model.layers.2.mlp.down_proj.weight",
            "model.language_model.layers.2.mlp.experts.down_proj",
            "model.visual.blocks.0.attn.qkv.weight",
            "model.visual.deepstack_merger_list.0.linear_fc1.weight",
            "lm_head.weight",
        ];
        let errors = names.iter().zip(1..).map(|(name, error)| ((*name).to_owned(), f64::from(error))).collect();
        let matrices = by_matrix(&errors);
        let layers = |matrix| matrices[matrix].iter().map(|(&layer, &error)| (layer, error)).collect::<Vec<_>>();
        assert_eq!(
            matrices.keys().copied().collect::<Vec<_>>(),
            ["attn.qkv", "mlp.down_proj", "mlp.experts.down_proj"]
        );
        assert_eq!(layers("mlp.down_proj"), [(2, 2.0), (10, 1.0)]);
        assert_eq!(layers("attn.qkv"), [(0, 4.0)]);
    }
}
