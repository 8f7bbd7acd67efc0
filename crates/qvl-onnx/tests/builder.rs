//! What the graph builder refuses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::ops::Range;

use qvl_onnx::proto::ExternalTensor;
use qvl_onnx::{DataType, GraphBuilder, MatMulNBits, OnnxError, QuantizedTable, StoredTensor, WeightSource, shape};

struct Zeros;

impl WeightSource for Zeros {
    fn fill(&self, _rows: Range<usize>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
        outputs[0].fill(0);
        Ok(())
    }
}

#[test]
fn sizes_that_do_not_fit_are_named() {
    let mut g = GraphBuilder::new();
    let x = g.input("x", DataType::Float32, shape!["rows", 3]).unwrap();
    let w = g.weight("w", DataType::Float32, &[4, 2], Zeros).unwrap();
    let error = g.within("layer", |g| g.matmul("product", &x, &w)).unwrap_err();
    assert_eq!(error.to_string(), "node `layer.product` (MatMul): `x` float32[rows, 3] times `w` float32[4, 2]");
}

#[test]
fn types_that_do_not_fit_are_named() {
    let mut g = GraphBuilder::new();
    let x = g.input("x", DataType::Float32, shape!["rows", 3]).unwrap();
    let n = g.input("n", DataType::Int64, shape![3]).unwrap();
    let error = g.add("sum", &x, &n).unwrap_err();
    assert_eq!(error.to_string(), "node `sum` (Add): `x` float32[rows, 3] does not fit `n` int64[3]");
}

#[test]
fn names_are_given_once() {
    let mut g = GraphBuilder::new();
    g.input("x", DataType::Float32, shape![1]).unwrap();
    let error = g.input("x", DataType::Float32, shape![1]).unwrap_err();
    assert_eq!(error.to_string(), "the name `x` is given twice");
}

#[test]
fn values_of_a_loop_end_with_it() {
    let mut g = GraphBuilder::new();
    let count = g.scalar_i64(2).unwrap();
    let mut inner = None;
    let joined = g.concat_loop("joined", &count, "rows", DataType::Int64, |g, step| {
        let row = g.reshape("row", step, &[1], shape![1])?;
        inner = Some(row.clone());
        Ok::<_, OnnxError>(row)
    });
    let joined = joined.unwrap();
    assert_eq!(joined.shape, shape!["rows"]);
    let error = g.add("sum", &joined, &inner.unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "`row` is not known where it is used");
}

#[test]
fn a_constant_is_stored_once() {
    let mut g = GraphBuilder::new();
    let (first, second) = (g.ints(&[1, 2]).unwrap(), g.ints(&[1, 2]).unwrap());
    assert_eq!(first.name, second.name);
    assert_ne!(first.name, g.ints(&[2, 1]).unwrap().name);
}

#[test]
fn quantised_matrices_that_do_not_fit_are_named() {
    let mut g = GraphBuilder::new();
    let x = g.input("x", DataType::Float32, shape!["rows", 40]).unwrap();
    let codes = g.weight("codes", DataType::UInt8, &[3, 2, 16], Zeros).unwrap();
    let scales = g.weight("scales", DataType::Float32, &[3, 2], Zeros).unwrap();
    let node = |bits, block_size| MatMulNBits {
        x: &x,
        codes: &codes,
        scales: &scales,
        zero_points: None,
        bits,
        block_size,
        accuracy_level: 0,
    };
    assert_eq!(g.matmul_n_bits("y", &node(4, 32)).unwrap().shape, shape!["rows", 3]);
    let error = g.matmul_n_bits("z", &node(8, 32)).unwrap_err();
    assert_eq!(error.to_string(), "node `z` (MatMulNBits): `x` float32[rows, 40] times `codes` uint8[3, 2, 16]");
}

#[test]
fn quantised_tables_that_do_not_fit_are_named() {
    let mut g = GraphBuilder::new();
    let ids = g.input("ids", DataType::Int64, shape!["tokens"]).unwrap();
    let codes = g.weight("codes", DataType::UInt8, &[7, 32], Zeros).unwrap();
    let scales = g.weight("scales", DataType::Float32, &[7, 2], Zeros).unwrap();
    let table =
        |bits, block_size| QuantizedTable { codes: &codes, scales: &scales, zero_points: None, bits, block_size };
    assert_eq!(g.gather_quantized("rows", &table(4, 32), &ids).unwrap().shape, shape!["tokens", 64]);
    assert_eq!(g.gather_quantized("bytes", &table(8, 16), &ids).unwrap().shape, shape!["tokens", 32]);
    let error = g.gather_quantized("z", &table(8, 32), &ids).unwrap_err();
    assert_eq!(error.to_string(), "node `z` (GatherBlockQuantized): `ids` int64[tokens] of `codes` uint8[7, 32]");
}

#[test]
fn a_tensor_in_another_file_has_that_places_length() {
    let mut g = GraphBuilder::new();
    let place = |length| ExternalTensor { name: "w".into(), location: "other.data".into(), offset: 4096, length };
    let tensor = |dims: &[usize]| StoredTensor { name: "w".into(), data_type: DataType::Float32, dims: dims.into() };
    let error = g.stored_at(&tensor(&[3, 5]), &place(64)).unwrap_err();
    assert_eq!(error.to_string(), "w: [3, 5] is not stored in the 64 bytes of w");
    assert_eq!(g.stored_at(&tensor(&[3, 5]), &place(60)).unwrap().shape, shape![3, 5]);
    let model = g.finish("test");
    assert_eq!(model.weight_bytes(), 0, "another model writes it");
    let found: Vec<_> = model.proto().external_tensors().map(Result::unwrap).collect();
    assert_eq!(found, [place(60)]);
}
