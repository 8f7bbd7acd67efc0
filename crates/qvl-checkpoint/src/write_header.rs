//! The header of a safetensors file, as it is written.

use serde_json::{Map, Value, json};

use crate::dtype::Dtype;
use crate::layout::TensorSpec;

/// Length and text of the header of a safetensors file in which these tensors follow each other without gaps, padded
/// with spaces so that the data is aligned to eight bytes.
pub fn safetensors_header<'a>(tensors: impl IntoIterator<Item = (&'a TensorSpec, Dtype)>) -> Vec<u8> {
    let mut listing = Map::new();
    listing.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut start = 0;
    for (tensor, dtype) in tensors {
        let end = start + tensor.elements() * dtype.size() as u64;
        let info = json!({ "dtype": dtype.as_str(), "shape": tensor.shape, "data_offsets": [start, end] });
        listing.insert(tensor.name.clone(), info);
        start = end;
    }
    let mut text = Value::Object(listing).to_string();
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header;

    #[test]
    fn what_is_written_is_read() {
        let spec = |name: &str, shape: &[usize]| TensorSpec { name: name.to_owned(), shape: shape.to_vec() };
        let tensors = [(spec("a", &[3]), Dtype::F16), (spec("b", &[2, 5]), Dtype::F32), (spec("c", &[1]), Dtype::BF16)];
        let mut file = safetensors_header(tensors.iter().map(|(spec, dtype)| (spec, *dtype)));
        let start = file.len();
        assert!(start.is_multiple_of(8));
        file.resize(start + 6 + 40 + 2, 0);
        let places = [start, start + 6, start + 46];
        for ((found, (spec, dtype)), place) in header::parse(&file).unwrap().iter().zip(&tensors).zip(places) {
            assert_eq!((&found.name, &found.shape, found.start), (&spec.name, &spec.shape, place));
            assert_eq!(found.dtype, dtype.as_str());
        }
    }
}
