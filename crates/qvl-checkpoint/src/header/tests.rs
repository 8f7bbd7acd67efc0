//! Headers that are right, that lie, and that are noise.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A file with the given header text and number of data bytes.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn error(header: &str, data: usize) -> String {
    parse(&file(header, data)).unwrap_err().to_string()
}

#[test]
fn reads_tensors_in_the_order_of_the_data() {
    let header = r#"{"b":{"dtype":"F32","shape":[],"data_offsets":[4,8]},"__metadata__":{"format":"pt"},
        "a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},"e":{"dtype":"F16","shape":[0],"data_offsets":[8,8]}}   "#;
    let entries = parse(&file(header, 8)).unwrap();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "e"]);
    assert_eq!(entries[0].shape, [2, 1]);
    assert_eq!((entries[1].start, entries[1].len), (8 + header.len() + 4, 4));
}

#[test]
fn lengths_that_lie_are_refused() {
    let text = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
    assert_eq!(text(b""), "the file has 0 bytes, too few for a safetensors file; download it again");
    assert_eq!(
        text(b"\x10\0\0\0\0\0\0\0{}"),
        "the header claims 16 bytes, but only 2 follow; the file is damaged or truncated"
    );
    assert_eq!(
        text(b"\xff\xff\xff\xff\xff\xff\xff\xff{}"),
        "the header claims 18446744073709551615 bytes, more than the limit of 100000000"
    );
}

#[test]
fn each_contradiction_is_named() {
    let one = |tensor: serde_json::Value, data| error(&json!({ "a": tensor }).to_string(), data);
    let tensor = |dtype: &str, shape: serde_json::Value, offsets: [u64; 2]| json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
    let two = |first: [u64; 2], second: [u64; 2], data| {
        let side = |[start, end]: [u64; 2]| json!([(end - start) / 2]);
        let header = json!({"a": tensor("BF16", side(first), first), "b": tensor("BF16", side(second), second)});
        error(&header.to_string(), data)
    };
    for (text, expected) in [
        (
            one(tensor("BF16", json!([4]), [0, 8]), 6),
            "the header describes 8 bytes of data, the file has 6; it is truncated, download it again",
        ),
        (
            one(tensor("BF16", json!([4]), [0, 8]), 10),
            "the header describes 8 bytes of data, the file has 10; there is data that no tensor owns",
        ),
        (
            one(tensor("BF16", json!([3]), [0, 8]), 8),
            "tensor \"a\": BF16 of shape [3] takes 6 bytes, but data_offsets is [0, 8]",
        ),
        (one(tensor("BF16", json!([4]), [16, 8]), 8), "tensor \"a\": its data begins at 16, leaving a gap after 0"),
        (
            one(tensor("F32", json!([1_u64 << 40, 1_u64 << 40]), [0, 8]), 8),
            "tensor \"a\": F32 of shape [1099511627776, 1099511627776] has an impossible size",
        ),
        (one(tensor("F4", json!([1]), [0, 1]), 1), "tensor \"a\": F4 of shape [1] has an impossible size"),
        (two([0, 8], [4, 12], 12), "tensor \"b\": its data begins at 4, inside another tensor that ends at 8"),
        (two([0, 4], [8, 12], 12), "tensor \"b\": its data begins at 8, leaving a gap after 4"),
        (two([4, 8], [8, 12], 12), "tensor \"a\": its data begins at 4, leaving a gap after 0"),
    ] {
        assert_eq!(text, expected);
    }
}

#[test]
fn bad_text_is_refused() {
    let info = r#"{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}"#;
    for (header, expected) in [
        (format!(r#"{{"a":{info},"a":{info}}}"#), "\"a\" is there twice"),
        (r#"{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,2]}}"#.to_owned(), "unknown dtype \"Q4\""),
        (r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,2]}}"#.to_owned(), "invalid value"),
        (
            r#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,2]}}"#.to_owned(),
            "a shape of at most 8",
        ),
        (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#.to_owned(), "invalid length"),
        (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551616]}}"#.to_owned(), "invalid type"),
        (format!(r#"{{"{}":{info}}}"#, "n".repeat(600)), "is longer than 512 bytes"),
        ("[]".to_owned(), "expected an object of tensors"),
        ("{".to_owned(), "EOF while parsing"),
        (format!("{{\"__metadata__\":{}", "[".repeat(100_000)), "EOF while parsing a list"),
        (String::new(), "EOF while parsing"),
        ("{} x".to_owned(), "trailing characters"),
    ] {
        let text = error(&header, 2);
        assert!(text.starts_with("the header is not valid: ") && text.contains(expected), "{text}");
    }
}

#[test]
fn too_many_tensors_are_refused() {
    let tensors: Vec<String> =
        (0..100_000).map(|i| format!(r#""{i}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{}]}}"#, i + 1)).collect();
    let text = error(&format!("{{{}}}", tensors.join(",")), 100_000);
    assert!(text.contains("more than 65536 tensors"), "{text}");
}

proptest! {
    #[test]
    fn any_bytes_give_a_result(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_description_gives_tensors_within_the_file(
        tensors in prop::collection::vec(
            (prop::sample::select(vec!["F32", "BF16", "U8", "F4"]), prop::collection::vec(0_u64..5, 0..3), 0_u64..40, 0_u64..40),
            0..4,
        ),
        data in 0_usize..60,
    ) {
        let header: serde_json::Map<String, serde_json::Value> = tensors
            .into_iter()
            .enumerate()
            .map(|(i, (dtype, shape, start, end))| {
                (i.to_string(), json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]}))
            })
            .collect();
        let bytes = file(&serde_json::Value::Object(header).to_string(), data);
        for entry in parse(&bytes).unwrap_or_default() {
            prop_assert!(entry.start + entry.len <= bytes.len());
        }
    }

    /// What the reference implementation writes is read, and as it reads it.
    #[test]
    fn agrees_with_the_reference_implementation(
        shapes in prop::collection::btree_map("[a-z.]{1,8}", prop::collection::vec(0_usize..5, 0..4), 0..6),
    ) {
        let zeros = [0; 4 * 4 * 4 * 2];
        let views: Vec<_> = shapes
            .iter()
            .map(|(name, shape)| {
                let bytes = 2 * shape.iter().product::<usize>();
                let dtype = safetensors::Dtype::BF16;
                (name, safetensors::tensor::TensorView::new(dtype, shape.clone(), &zeros[..bytes]).unwrap())
            })
            .collect();
        let bytes = safetensors::serialize(views, None).unwrap();
        let entries = parse(&bytes).unwrap();
        prop_assert_eq!(entries.len(), shapes.len());
        for entry in entries {
            prop_assert_eq!(&entry.shape, &shapes[&entry.name]);
        }
    }
}
