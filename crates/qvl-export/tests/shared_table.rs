//! The token table in blocks, which is the head too where it is tied, and is then stored once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::fs;
use std::path::Path;

use qvl_export::{ExportOptions, NoProgress, Precision, export};
use qvl_onnx::proto::{ExternalTensor, ModelProto};
use qvl_package::{Graph, PackageDir};

const TABLE: &str = "model.language_model.embed_tokens.weight";

struct Exported {
    package: PackageDir,
    bytes: u64,
    _directory: tempfile::TempDir,
}

fn exported(checkpoint: &str, change: impl FnOnce(&mut ExportOptions)) -> Exported {
    let directory = tempfile::tempdir().unwrap();
    let mut options =
        ExportOptions { precision: Precision::Int4, ..ExportOptions::new(directory.path().join("package")) };
    change(&mut options);
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference/tiny").join(checkpoint);
    let report = export(&checkpoint, &options, &NoProgress).unwrap();
    Exported { package: PackageDir::open(&report.path).unwrap(), bytes: report.bytes, _directory: directory }
}

impl Exported {
    /// The external tensors of a graph that are parts of `tensor`, each with its shape.
    fn parts(&self, graph: Graph, tensor: &str) -> Vec<(ExternalTensor, Vec<i64>)> {
        let model = ModelProto::read(&fs::read(self.package.graph(graph)).unwrap()).unwrap();
        let places = model.external_tensors().map(Result::unwrap).filter(|part| part.name.starts_with(tensor));
        let shape = |name: &str| {
            let graph = model.graph.as_ref().unwrap();
            graph.initializer.iter().find(|tensor| tensor.name == name).unwrap().dims.clone()
        };
        places.map(|place| (place.clone(), shape(&place.name))).collect()
    }

    fn precision(&self, graph: Graph) -> Precision {
        self.package.manifest().graphs[graph.name()].precision
    }

    fn is_shared(&self) -> bool {
        let shared = &self.package.manifest().graphs["text"].shared;
        shared.get(TABLE).is_some_and(|owner| owner == "embedding")
    }
}

#[test]
fn both_graphs_refer_to_the_same_bytes() {
    for (precision, mix, symmetric) in [
        (Precision::Int8, "auto", true),
        (Precision::Int4, "auto", true),
        (Precision::Int4, "auto", false),
        (Precision::Int4, "none", true),
    ] {
        let exported = exported("dense-tied", |options| {
            options.precision = precision;
            options.mix = mix.parse().unwrap();
            options.symmetric = symmetric;
            options.embedding_precision = (mix == "none").then_some(Precision::Int4);
        });
        assert!(exported.is_shared());
        let table = exported.parts(Graph::Embedding, TABLE);
        let head = exported.parts(Graph::Text, TABLE);
        assert_eq!(table.len(), if symmetric { 2 } else { 3 });
        assert_eq!(head.len(), table.len());
        for ((part, shape), (same, head_shape)) in table.iter().zip(&head) {
            assert_eq!(part, same);
            assert_eq!(part.location, "embedding.onnx.data");
            if part.name.ends_with(".codes") {
                // GatherBlockQuantized takes rows, MatMulNBits takes rows of blocks.
                assert_eq!(shape[..], [head_shape[0], head_shape[1] * head_shape[2]]);
            } else {
                assert_eq!(shape, head_shape);
            }
        }
        let errors = |graph: Graph| {
            let info = &exported.package.manifest().graphs[graph.name()];
            info.quantization.as_ref().unwrap().relative_error[TABLE]
        };
        assert_eq!(errors(Graph::Embedding), errors(Graph::Text));
    }
}

#[test]
fn a_shared_table_costs_its_bytes_once() {
    let once = exported("dense-tied", |_| {});
    let apart = exported("dense-tied", |options| options.embedding_precision = Some(Precision::Fp16));
    assert_eq!(once.precision(Graph::Embedding), Precision::Int8);
    assert!(!apart.is_shared());
    // 1280 tokens, 128 wide, in two bytes each; files grow by whole pages, and the graphs differ a little.
    let saved = apart.bytes - once.bytes;
    assert!(saved.abs_diff(1280 * 128 * 2) < 4 * 4096, "{saved}");
}

#[test]
fn a_table_of_its_own_has_its_own_precision() {
    let untied = exported("dense-untied", |_| {});
    assert_eq!((untied.precision(Graph::Embedding), untied.is_shared()), (Precision::Fp16, false));
    // A head of 4 bits would make a table that loses much.
    let small_head = exported("dense-tied", |options| options.mix = "none".parse().unwrap());
    assert_eq!((small_head.precision(Graph::Embedding), small_head.is_shared()), (Precision::Fp16, false));
    let half = exported("dense-tied", |options| options.precision = Precision::Fp16);
    assert_eq!((half.precision(Graph::Embedding), half.is_shared()), (Precision::Fp16, false));
    let apart = exported("dense-tied", |options| options.embedding_precision = Some(Precision::Int4));
    assert_eq!((apart.precision(Graph::Embedding), apart.is_shared()), (Precision::Int4, false));
    for precision in [Precision::Int8, Precision::Int4] {
        let mut bytes = Vec::new();
        for (checkpoint, graphs) in [("dense-untied", Precision::Fp32), ("dense-tied", Precision::Fp16)] {
            let table = exported(checkpoint, |options| {
                options.precision = graphs;
                options.block_size = 32;
                options.embedding_precision = Some(precision);
            });
            assert_eq!((table.precision(Graph::Embedding), table.is_shared()), (precision, false));
            bytes.push(table.package.manifest().files["embedding.onnx.data"].bytes);
        }
        // Codes, and a scale for each of the four blocks of a row.
        let codes = 1280 * 128 * precision.bits().unwrap() as u64 / 8;
        assert_eq!(bytes, [codes + 1280 * 4 * 4; 2]);
    }
}
