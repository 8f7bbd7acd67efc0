//! Which matrices have another precision than the rest, and what the manifest says of each.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use qvl_checkpoint::Checkpoint;
use qvl_export::{ExportOptions, NoProgress, Precision, export};
use qvl_onnx::DataType;
use qvl_onnx::proto::ModelProto;
use qvl_package::{Graph, PackageDir, QuantizationInfo};

const LAYERS: &str = "model.language_model.layers.";

fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference/tiny").join(name)
}

/// The element types of a text graph's stored tensors, and what the manifest says of its quantisation.
fn exported(checkpoint: &str, precision: Precision, mix: &str) -> (BTreeMap<String, DataType>, QuantizationInfo) {
    let directory = tempfile::tempdir().unwrap();
    let options =
        ExportOptions { precision, mix: mix.parse().unwrap(), ..ExportOptions::new(directory.path().join("package")) };
    export(&tiny(checkpoint), &options, &NoProgress).unwrap();
    let package = PackageDir::open(&options.output).unwrap();
    let model = ModelProto::read(&fs::read(package.graph(Graph::Text)).unwrap()).unwrap();
    let stored = model.graph.unwrap().initializer.into_iter().filter(|tensor| tensor.data_location == Some(1));
    let stored = stored.map(|tensor| (tensor.name, DataType::from_code(tensor.data_type.unwrap()).unwrap()));
    (stored.collect(), package.manifest().graphs["text"].quantization.clone().unwrap())
}

fn error(checkpoint: &str, precision: Precision, mix: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let options =
        ExportOptions { precision, mix: mix.parse().unwrap(), ..ExportOptions::new(directory.path().join("package")) };
    let error = export(&tiny(checkpoint), &options, &NoProgress).unwrap_err().to_string();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "a refused export leaves nothing");
    error
}

/// Number of elements of a tensor of a tiny checkpoint.
fn len(checkpoint: &Checkpoint, name: &str) -> usize {
    checkpoint.tensor(name).unwrap().len()
}

#[test]
fn every_quantised_tensor_has_its_error() {
    for name in ["dense-tied", "dense-untied", "moe", "moe-resaved5x"] {
        let (stored, quantization) = exported(name, Precision::Int4, "none");
        let quantized: Vec<&str> = stored.keys().filter_map(|name| name.strip_suffix(".codes")).collect();
        assert_eq!(quantization.relative_error.keys().collect::<Vec<_>>(), quantized);
        assert!(quantization.relative_error.values().all(|error| (1e-4..0.02).contains(error)), "{quantization:?}");
        assert!(quantization.mix.is_empty());
        // No matrix is left out: every pattern can name all that are stored in blocks.
        let (_, all) = exported(name, Precision::Int4, "*=int8");
        assert_eq!(all.mix.keys().collect::<Vec<_>>(), quantized);
        let is_smaller = |(name, error): (&String, &f64)| *error < quantization.relative_error[name] / 50.0;
        assert!(all.relative_error.iter().all(is_smaller), "8 bits lose far less: {all:?}");
    }
}

#[test]
fn auto_keeps_the_head_and_the_worst_of_the_first_and_last_layer() {
    for (name, head) in [("dense-tied", "model.language_model.embed_tokens.weight"), ("moe", "lm_head.weight")] {
        let checkpoint = Checkpoint::open(&tiny(name)).unwrap();
        let (_, quantization) = exported(name, Precision::Int4, "auto");
        let mut chosen = quantization.mix;
        assert_eq!(chosen.remove(head), Some(Precision::Int8));
        assert!(!chosen.is_empty() && chosen.values().all(|precision| *precision == Precision::Int8), "{chosen:?}");

        let errors = exported(name, Precision::Int4, "none").1.relative_error;
        let in_layers = || errors.iter().filter(|(name, _)| name.starts_with(LAYERS));
        let ends = [0, 3].map(|layer| format!("{LAYERS}{layer}."));
        let at_an_end = |name: &str| ends.iter().any(|end| name.starts_with(end)) && !name.contains("experts");
        let mut left = in_layers().map(|(name, _)| len(&checkpoint, name)).sum::<usize>() / 40;
        let mut worst: Vec<_> = in_layers().filter(|(name, _)| at_an_end(name)).collect();
        worst.sort_by(|a, b| b.1.total_cmp(a.1));
        for (tensor, _) in worst {
            let fits = len(&checkpoint, tensor) <= left;
            assert_eq!(chosen.contains_key(tensor), fits, "{tensor}: {chosen:?}");
            left -= if fits { len(&checkpoint, tensor) } else { 0 };
        }
    }
}

#[test]
fn auto_has_nothing_to_add_to_8_bits() {
    assert!(exported("dense-tied", Precision::Int8, "auto").1.mix.is_empty());
}

#[test]
fn rules_choose_tensors_and_the_last_one_counts() {
    let mix = "auto,*.layers.0.*=fp16,*.down_proj=int8,*.layers.1.mlp.down_proj.weight=int4,lm_head=fp32";
    let (stored, quantization) = exported("dense-untied", Precision::Int4, mix);
    let of = |part: &str| quantization.mix.get(&format!("{LAYERS}{part}.weight")).copied();
    assert_eq!(of("0.self_attn.o_proj"), Some(Precision::Fp16));
    assert_eq!(of("0.mlp.down_proj"), Some(Precision::Int8));
    assert_eq!(of("1.mlp.down_proj"), None);
    assert_eq!(of("2.mlp.down_proj"), Some(Precision::Int8));
    assert_eq!(of("2.mlp.up_proj"), None);
    assert_eq!(quantization.mix["lm_head.weight"], Precision::Fp32);
    assert_eq!(stored[&format!("{LAYERS}0.self_attn.o_proj.weight")], DataType::Float16);
    assert_eq!(stored[&format!("{LAYERS}0.mlp.down_proj.weight.codes")], DataType::UInt8);
    assert_eq!(stored["lm_head.weight"], DataType::Float32);
    assert!(!quantization.relative_error.contains_key("lm_head.weight"), "it lost nothing");
}

#[test]
fn a_tied_head_goes_by_its_own_name_too() {
    for rule in ["lm_head=int8", "*.embed_tokens=int8"] {
        let (_, quantization) = exported("dense-tied", Precision::Int4, rule);
        let mix: Vec<_> = quantization.mix.into_iter().collect();
        assert_eq!(mix, [("model.language_model.embed_tokens.weight".to_owned(), Precision::Int8)]);
    }
}

#[test]
fn experts_of_a_layer_go_together() {
    let (stored, quantization) = exported("moe", Precision::Int4, "*.layers.1.mlp.experts.*=fp16");
    assert_eq!(quantization.mix.len(), 2);
    assert_eq!(stored[&format!("{LAYERS}1.mlp.experts.down_proj")], DataType::Float16);
    assert_eq!(
        error("moe", Precision::Int4, "*.layers.1.mlp.experts.down_proj=int8"),
        format!(
            "the experts' matrices of a layer have as many bits each; give the mix one rule for both: {LAYERS}1.mlp.experts.*"
        )
    );
}

#[test]
fn what_cannot_be_mixed_is_explained() {
    assert_eq!(
        error("dense-untied", Precision::Int4, "*.layer.0.*=int8"),
        format!(
            "no matrix of the text decoder is called `*.layer.0.*`; names are such as {LAYERS}0.mlp.down_proj.weight or \
             lm_head.weight"
        )
    );
    assert_eq!(
        error("dense-tied", Precision::Fp16, "lm_head=int8"),
        "a mix of precisions needs a quantised text decoder, not fp16; export with --precision int8 or int4"
    );
}
