//! Files as they are written, and what a reader accepts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use proptest::prelude::*;
use qvl_onnx::proto::{ModelProto, StringStringEntryProto};
use qvl_onnx::{
    ALIGNMENT, DataType, GraphBuilder, OnnxError, PackedFile, StoredTensor, WeightSource, check_places_of_tensors,
    shape,
};

/// Tensors of float32 whose elements are their own index, or twice that, or three times that …
struct Counting<'a> {
    row: &'a [usize],
    finished: &'a AtomicUsize,
}

impl WeightSource for Counting<'_> {
    fn fill(&self, rows: Range<usize>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
        for ((factor, output), row) in (1..).zip(outputs).zip(self.row) {
            for (i, out) in output.chunks_exact_mut(4).enumerate() {
                out.copy_from_slice(&((factor * (rows.start * row + i)) as f32).to_le_bytes());
            }
        }
        Ok(())
    }

    fn finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn tensors_are_aligned_whole_and_in_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let (onnx, data) = (directory.path().join("g.onnx"), directory.path().join("g.onnx.data"));
    let finished = AtomicUsize::new(0);
    let mut g = GraphBuilder::new();
    let source = |row| Counting { row, finished: &finished };
    g.weight("small", DataType::Float32, &[3], source(&[3])).unwrap();
    // Larger than one buffer, with rows that do not divide a buffer.
    g.weight("large", DataType::Float32, &[3001, 2003], source(&[2003])).unwrap();
    g.weight("deep", DataType::Float32, &[2, 5, 7], source(&[7])).unwrap();
    let tensor = |name: &str, dims: &[usize]| StoredTensor {
        name: name.into(),
        data_type: DataType::Float32,
        dims: dims.into(),
    };
    g.weights(vec![tensor("values", &[3000, 4, 500]), tensor("scales", &[3000, 4])], 3000, source(&[2000, 4])).unwrap();
    let x = g.input("x", DataType::Float32, shape!["rows"]).unwrap();
    g.output("y", &x).unwrap();
    let model = g.finish("test");
    let (expected, written) = (model.weight_bytes(), AtomicU64::new(0));
    let advance = |bytes| {
        written.fetch_add(bytes, Ordering::Relaxed);
        true
    };
    model.write(&onnx, &data, &advance).unwrap();
    assert_eq!(written.into_inner(), expected);
    assert_eq!(finished.into_inner(), 4);

    let model = ModelProto::read(&std::fs::read(&onnx).unwrap()).unwrap();
    let bytes = std::fs::read(&data).unwrap();
    let tensors: Vec<_> = model.external_tensors().map(Result::unwrap).collect();
    let expected =
        [("small", 3, 1), ("large", 3001 * 2003, 1), ("deep", 70, 1), ("values", 6_000_000, 1), ("scales", 12000, 2)];
    assert_eq!(tensors.len(), expected.len());
    for (tensor, (name, len, factor)) in tensors.iter().zip(expected) {
        assert_eq!((tensor.name.as_str(), tensor.location.as_str()), (name, "g.onnx.data"));
        assert_eq!(tensor.offset % ALIGNMENT, 0);
        let stored = &bytes[tensor.offset as usize..][..tensor.length as usize];
        assert_eq!(stored.len(), 4 * len);
        for (i, value) in stored.chunks_exact(4).enumerate() {
            assert_eq!(value, ((factor * i) as f32).to_le_bytes(), "{name} at {i}");
        }
    }
}

#[test]
fn a_packed_file_is_its_header_and_its_tensors_without_gaps() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("packed");
    let finished = AtomicUsize::new(0);
    let mut file = PackedFile::new();
    let dims: [&[usize]; 3] = [&[3], &[1501, 2003], &[2, 5, 7]];
    for dims in dims {
        let tensor = StoredTensor { name: "w".into(), data_type: DataType::Float32, dims: dims.to_vec() };
        let (columns, rows) = dims.split_last().unwrap();
        file.push(tensor, rows.iter().product(), Counting { row: std::slice::from_ref(columns), finished: &finished })
            .unwrap();
    }
    let counts = dims.map(|dims| dims.iter().product::<usize>());
    assert_eq!(file.bytes(), 4 * counts.iter().sum::<usize>() as u64);
    file.write(&path, b"header", &|_| true).unwrap();
    let values = counts.iter().flat_map(|&count| (0..count).flat_map(|i| (i as f32).to_le_bytes()));
    let expected: Vec<u8> = b"header".iter().copied().chain(values).collect();
    assert!(std::fs::read(&path).unwrap() == expected);
    assert_eq!(finished.load(Ordering::Relaxed), 3);
}

#[test]
fn tensors_of_one_source_have_the_same_rows() {
    let finished = AtomicUsize::new(0);
    let tensor = StoredTensor { name: "w".into(), data_type: DataType::Float32, dims: vec![7] };
    let error = GraphBuilder::new().weights(vec![tensor], 3, Counting { row: &[1], finished: &finished }).unwrap_err();
    assert_eq!(error.to_string(), "w: [7] does not divide into 3 rows");
}

#[test]
fn a_writer_stops_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let finished = AtomicUsize::new(0);
    let mut g = GraphBuilder::new();
    g.weight("w", DataType::Float32, &[8], Counting { row: &[8], finished: &finished }).unwrap();
    let result = g.finish("test").write(&directory.path().join("g"), &directory.path().join("d"), &|_| false);
    assert!(matches!(result, Err(OnnxError::Stopped)), "{result:?}");
}

/// A written graph with one external tensor, `w`.
fn with_one_weight() -> ModelProto {
    let directory = tempfile::tempdir().unwrap();
    let onnx = directory.path().join("g.onnx");
    let finished = AtomicUsize::new(0);
    let mut g = GraphBuilder::new();
    g.weight("w", DataType::Float32, &[8], Counting { row: &[8], finished: &finished }).unwrap();
    g.finish("test").write(&onnx, &directory.path().join("d"), &|_| true).unwrap();
    ModelProto::read(&std::fs::read(&onnx).unwrap()).unwrap()
}

#[test]
fn lengths_that_contradict_the_shape_are_found() {
    let mut model = with_one_weight();
    model.graph.as_mut().unwrap().initializer[0].dims[0] = i64::MAX;
    let error = model.external_tensors().next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "external tensor `w` has an impossible shape or type");
    model.graph.as_mut().unwrap().initializer[0].dims[0] = 9;
    let error = model.external_tensors().next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "external tensor `w` has a length that does not agree with its shape");
}

#[test]
fn an_entry_that_is_there_twice_is_found() {
    let mut model = with_one_weight();
    let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
    let location = StringStringEntryProto { key: "location".into(), value: "../../etc/passwd".into() };
    tensor.external_data.push(location);
    let error = tensor.external().unwrap_err();
    assert_eq!(error.to_string(), "external tensor `w` says something twice");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = check_places_of_tensors(&bytes).map_err(|e| e.to_string());
        if let Ok(model) = ModelProto::read(&bytes) {
            for tensor in model.external_tensors() {
                let _ = tensor.map_err(|e| e.to_string());
            }
        }
    }
}
