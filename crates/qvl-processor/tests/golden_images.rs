//! Every picture of the reference, from its bytes to its pixel values, bit for bit.

#![allow(clippy::unwrap_used, reason = "helpers may panic in a test, too")]

mod support;

use qvl_processor::{
    ImageLimits, ImageProcessor, Patches, PixelBudget, PreprocessorConfig, Rgb8, decode_image, resize,
};
use serde_json::Value;
use support::{golden, numbers, picture_bytes, reference, sha256, sha256_f32};

/// The reference drops the alpha of files; we lay it on white, as the reference does for pictures in memory.
const WITH_ALPHA: [&str; 2] = ["palette_trns_128x96.png", "rgba_160x120.png"];

fn processor() -> ImageProcessor {
    let config = PreprocessorConfig::read_image(&reference("real/hub")).unwrap();
    ImageProcessor::from_config(&config)
}

fn decode(name: &str) -> Rgb8 {
    let bytes = picture_bytes(name);
    decode_image(&bytes, &ImageLimits::default()).unwrap()
}

fn grid_of(patches: &Patches) -> Vec<usize> {
    vec![patches.grid.t, patches.grid.h, patches.grid.w]
}

#[test]
fn pictures_equal_the_reference() {
    let processor = processor();
    let mut seen = 0;
    for record in golden("images.json").as_array().unwrap() {
        let Some(name) = record["file"].as_str() else {
            continue;
        };
        seen += 1;
        assert_eq!(sha256(&picture_bytes(name)), record["sha256"], "{name}");
        let picture = decode(name);
        if record.get("error").is_some() {
            let error = processor.process(&picture, None).unwrap_err().to_string();
            assert!(error.contains("more than 200 times"), "{name}: {error}");
        } else if WITH_ALPHA.contains(&name) {
            let patches = processor.process(&picture, None).unwrap();
            check_patches(name, &patches, &record["pil_object"]);
        } else {
            check_picture(name, &picture, record, &processor);
        }
    }
    assert_eq!(seen, 19);
}

fn check_picture(name: &str, picture: &Rgb8, record: &Value, processor: &ImageProcessor) {
    let decoded_hw = numbers(&record["decoded_hw"]);
    assert_eq!(vec![picture.height, picture.width], decoded_hw, "{name}");
    assert_eq!(sha256(&picture.data), record["decoded_sha256"], "{name} decoded");
    let [height, width] = numbers(&record["resized_hw"])[..] else {
        panic!("{name}: resized_hw");
    };
    let target = processor.target_size(picture.height, picture.width, None);
    assert_eq!(target.unwrap(), (height, width), "{name}");
    let resized = resize(picture, height, width).unwrap();
    assert_eq!(sha256(&resized.data), record["resized_sha256"], "{name} resized");
    let patches = processor.process(picture, None).unwrap();
    assert_eq!((patches.height, patches.width), (height, width), "{name}");
    assert_eq!(patches.grid.merged(2) as u64, record["n_image_tokens"], "{name}");
    check_patches(name, &patches, record);
}

fn check_patches(name: &str, patches: &Patches, record: &Value) {
    assert_eq!(grid_of(patches), numbers(&record["grid_thw"]), "{name}");
    let hash = sha256_f32(&patches.pixel_values);
    assert_eq!(hash, record["pixel_values_sha256"], "{name} pixel values");
}

#[test]
fn two_pictures_with_a_small_budget() {
    let records = golden("images.json");
    let record = records.as_array().unwrap().iter().find(|record| record.get("case").is_some()).unwrap();
    let budget = PixelBudget { min_pixels: 16_384, max_pixels: 131_072 };
    let (mut values, mut grids) = (Vec::new(), Vec::new());
    for name in record["files"].as_array().unwrap() {
        let picture = decode(name.as_str().unwrap());
        let patches = processor().process(&picture, Some(&budget)).unwrap();
        grids.push(grid_of(&patches));
        values.extend(patches.pixel_values);
    }
    let expected: Vec<_> = record["grid_thw"].as_array().unwrap().iter().map(numbers).collect();
    assert_eq!(grids, expected);
    assert_eq!(sha256_f32(&values), record["pixel_values_sha256"]);
}
