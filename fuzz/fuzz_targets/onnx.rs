//! Any bytes as an ONNX file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qvl_onnx::check_places_of_tensors;
use qvl_onnx::proto::ModelProto;

fuzz_target!(|bytes: &[u8]| {
    let _ = check_places_of_tensors(bytes).map_err(|error| error.to_string());
    if let Ok(model) = ModelProto::read(bytes) {
        for tensor in model.external_tensors() {
            let _ = tensor.map_err(|error| error.to_string());
        }
    }
});
