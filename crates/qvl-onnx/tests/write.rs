//! Files as they are written, and what a reader accepts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use proptest::prelude::*;
use qvl_onnx::proto::ModelProto;
use qvl_onnx::{ALIGNMENT, DataType, GraphBuilder, OnnxError, WeightSource, shape};

/// Each element is its own index.
struct Counting<'a> {
    finished: &'a AtomicUsize,
}

impl WeightSource for Counting<'_> {
    fn fill(&self, first: usize, out: &mut [u8]) -> Result<(), String> {
        for (i, out) in out.chunks_exact_mut(4).enumerate() {
            out.copy_from_slice(&((first + i) as f32).to_le_bytes());
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
    // The second tensor is larger than one buffer, with rows that do not divide a buffer.
    let dims: [&[usize]; 3] = [&[3], &[3001, 2003], &[2, 5, 7]];
    let mut g = GraphBuilder::new();
    for (i, dims) in dims.iter().enumerate() {
        g.weight(&format!("w{i}"), DataType::Float32, dims, Counting { finished: &finished }).unwrap();
    }
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
    assert_eq!(finished.into_inner(), dims.len());

    let model = ModelProto::read(&std::fs::read(&onnx).unwrap()).unwrap();
    let bytes = std::fs::read(&data).unwrap();
    let tensors: Vec<_> = model.external_tensors().map(Result::unwrap).collect();
    assert_eq!(tensors.len(), dims.len());
    for (tensor, dims) in tensors.iter().zip(dims) {
        assert_eq!(tensor.location, "g.onnx.data");
        assert_eq!(tensor.offset % ALIGNMENT, 0);
        let stored = &bytes[tensor.offset as usize..][..tensor.length as usize];
        assert_eq!(stored.len(), 4 * dims.iter().product::<usize>());
        for (i, value) in stored.chunks_exact(4).enumerate() {
            assert_eq!(value, (i as f32).to_le_bytes(), "{} at {i}", tensor.name);
        }
    }
}

#[test]
fn a_writer_stops_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let finished = AtomicUsize::new(0);
    let mut g = GraphBuilder::new();
    g.weight("w", DataType::Float32, &[8], Counting { finished: &finished }).unwrap();
    let result = g.finish("test").write(&directory.path().join("g"), &directory.path().join("d"), &|_| false);
    assert!(matches!(result, Err(OnnxError::Stopped)), "{result:?}");
}

#[test]
fn lengths_that_contradict_the_shape_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let onnx = directory.path().join("g.onnx");
    let finished = AtomicUsize::new(0);
    let mut g = GraphBuilder::new();
    g.weight("w", DataType::Float32, &[8], Counting { finished: &finished }).unwrap();
    g.finish("test").write(&onnx, &directory.path().join("d"), &|_| true).unwrap();
    let mut model = ModelProto::read(&std::fs::read(&onnx).unwrap()).unwrap();
    model.graph.as_mut().unwrap().initializer[0].dims[0] = i64::MAX;
    let error = model.external_tensors().next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "external tensor `w` has an impossible shape or type");
    model.graph.as_mut().unwrap().initializer[0].dims[0] = 9;
    let error = model.external_tensors().next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "external tensor `w` has a length that does not agree with its shape");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(model) = ModelProto::read(&bytes) {
            for tensor in model.external_tensors() {
                let _ = tensor.map_err(|e| e.to_string());
            }
        }
    }
}
