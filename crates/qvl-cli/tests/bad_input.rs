//! What users give by mistake or malice: an error that says what is wrong and what helps, and code 1.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{checkpoint_copy, edit_json, failure, image, json, package, qvl};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::json;
use tempfile::TempDir;

fn export_error(checkpoint: &Path) -> String {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("p");
    let error = failure(qvl().arg("export").arg(checkpoint).arg("-o").arg(&target), 1);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "something was left behind");
    error
}

fn run_error(package: &Path, arguments: &[&str]) -> String {
    failure(qvl().arg("run").arg(package).args(["--prompt", "Hi", "--max-new-tokens", "2"]).args(arguments), 1)
}

fn assert_says(error: &str, parts: &[&str]) {
    assert!(error.starts_with("error: "), "{error}");
    for part in parts {
        assert!(error.contains(part), "`{part}` in: {error}");
    }
}

/// The tensors of `checkpoint` with names, shapes and bytes changed.
fn change_tensors(checkpoint: &Path, change: impl FnOnce(&mut BTreeMap<String, (Vec<usize>, Vec<u8>)>)) {
    let path = checkpoint.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let dtype = tensors.iter().next().unwrap().1.dtype();
    let mut stock: BTreeMap<_, _> =
        tensors.iter().map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), view.data().to_vec()))).collect();
    change(&mut stock);
    let views = stock.iter().map(|(name, (shape, data))| (name, TensorView::new(dtype, shape.clone(), data).unwrap()));
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn all_wrong_tensors_are_listed_at_once() {
    let checkpoint = checkpoint_copy("dense-tied");
    change_tensors(checkpoint.path(), |tensors| {
        tensors.remove("model.language_model.norm.weight").unwrap();
        let extra = tensors["model.language_model.layers.0.input_layernorm.weight"].clone();
        tensors.insert("model.language_model.layers.99.input_layernorm.weight".into(), extra);
        let (shape, _) = tensors.get_mut("model.language_model.layers.1.self_attn.q_proj.weight").unwrap();
        *shape = shape.iter().rev().copied().chain([1]).collect();
    });
    assert_says(
        &export_error(checkpoint.path()),
        &[
            "model.language_model.norm.weight",
            "missing",
            "model.language_model.layers.99.input_layernorm.weight",
            "model.language_model.layers.1.self_attn.q_proj.weight",
            "[128, 128]",
        ],
    );
}

#[test]
fn the_layout_of_transformers_js_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("js");
    let checkpoint = common::reference("tiny/dense-tied");
    qvl().arg("export").arg(checkpoint).arg("-o").arg(&folder).args(["--layout", "transformers.js"]).assert().success();
    let inspected = failure(qvl().arg("inspect").arg(&folder), 1);
    for error in [run_error(&folder, &[]), inspected] {
        assert_says(&error, &["has the layout of transformers.js", "export the checkpoint without --layout"]);
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    }
}

#[test]
fn damaged_weight_files_are_refused() {
    let truncated = checkpoint_copy("dense-tied");
    let weights = truncated.path().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 1000]).unwrap();
    assert_says(&export_error(truncated.path()), &["model.safetensors", "truncated"]);

    let mut lying = (1_u64 << 40).to_le_bytes().to_vec();
    lying.extend(&bytes[8..]);
    fs::write(&weights, lying).unwrap();
    assert_says(&export_error(truncated.path()), &["model.safetensors", "header"]);

    fs::write(&weights, b"").unwrap();
    assert_says(&export_error(truncated.path()), &["model.safetensors"]);
}

#[test]
fn an_index_that_points_outside_is_refused() {
    let checkpoint = checkpoint_copy("dense-tied");
    let weights = checkpoint.path().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    let names: serde_json::Map<_, _> = SafeTensors::deserialize(&bytes)
        .unwrap()
        .names()
        .into_iter()
        .map(|name| (name.to_owned(), json!("../model.safetensors")))
        .collect();
    fs::remove_file(weights).unwrap();
    let index = json!({"metadata": {}, "weight_map": names});
    fs::write(checkpoint.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    assert_says(&export_error(checkpoint.path()), &["../model.safetensors", "model.safetensors.index.json"]);
}

#[test]
fn other_models_are_refused() {
    let checkpoint = checkpoint_copy("dense-tied");
    let config = checkpoint.path().join("config.json");
    edit_json(&config, |config| config["model_type"] = json!("llava"));
    assert_says(&export_error(checkpoint.path()), &["llava", "qwen3_vl"]);
    edit_json(&config, |config| {
        config["model_type"] = json!("qwen3_vl");
        config["quantization_config"] = json!({"quant_method": "fp8"});
    });
    assert_says(&export_error(checkpoint.path()), &["fp8"]);
    fs::write(&config, "{").unwrap();
    assert_says(&export_error(checkpoint.path()), &["config.json"]);
    fs::remove_file(&config).unwrap();
    assert_says(&export_error(checkpoint.path()), &["config.json"]);
    assert_says(&export_error(Path::new("/nowhere")), &["/nowhere does not exist; give"]);
}

#[test]
fn a_target_that_is_there_is_not_lost() {
    let package = package("dense-tied");
    let target = package.path().join("p");
    let export = || {
        let mut command = qvl();
        command.arg("export").arg(common::reference("tiny/dense-tied")).arg("-o");
        command
    };
    let before = fs::metadata(target.join("package.json")).unwrap().modified().unwrap();
    assert_says(&failure(export().arg(&target), 1), &["already holds a package; give --force"]);
    assert_eq!(fs::metadata(target.join("package.json")).unwrap().modified().unwrap(), before);
    export().arg(&target).arg("--force").assert().success();

    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("thesis.txt"), "years of work").unwrap();
    assert_says(
        &failure(export().arg(other.path()).arg("--force"), 1),
        &["is not a qvl package", "nothing was changed"],
    );
    assert!(other.path().join("thesis.txt").is_file());
}

/// A picture file of the given bytes.
fn picture(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

fn solid_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_luma8(width, height).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A PNG whose header claims 50,000 x 50,000 pixels.
fn bomb() -> Vec<u8> {
    let mut bytes = solid_png(1, 1);
    let side = 50_000_u32.to_be_bytes();
    bytes[16..24].copy_from_slice(&[side, side].concat());
    let checksum = crc32(&bytes[12..29]).to_be_bytes();
    bytes[29..33].copy_from_slice(&checksum);
    bytes
}

/// The checksum of PNG chunks, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[test]
fn files_that_are_no_usable_picture() {
    let package = package("dense-tied");
    let package = package.path().join("p");
    let whole = fs::read(image("noise_224x224.png")).unwrap();
    for (name, bytes, parts) in [
        ("notes.txt", b"not a picture at all".to_vec(), &["not a picture: the data begins like none of JPEG, PNG"][..]),
        ("empty.png", Vec::new(), &["the picture is empty (0 bytes)"]),
        ("long.png", solid_png(1, 100_000), &["1x100000", "more than 200 times the other"]),
        ("thin.png", solid_png(201, 1), &["201x1", "more than 200 times the other"]),
        ("bomb.png", bomb(), &["50000x50000", "the limit is"]),
        ("half.png", whole[..whole.len() / 2].to_vec(), &["the PNG picture is damaged"]),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), &["SVG", "convert it to PNG"]),
    ] {
        let (_directory, path) = picture(name, &bytes);
        let error = run_error(&package, &["--image", path.to_str().unwrap()]);
        assert_says(&error, parts);
    }
    let error = run_error(&package, &["--image", "/nowhere.png"]);
    assert_says(&error, &["/nowhere.png: No such file"]);
    let error = run_error(&package, &["--video", image("noise_224x224.png").to_str().unwrap()]);
    assert_says(&error, &["noise_224x224.png", "single picture"]);
}

#[test]
fn the_smallest_picture_is_one() {
    let package = package("dense-tied");
    let mut command = qvl();
    command.arg("run").arg(package.path().join("p")).args(["--prompt", "Hi", "--max-new-tokens", "2"]);
    let answer = json(command.arg("--image").arg(image("one_1x1.png")));
    assert_eq!(answer["images"][0]["grid_thw"], json!([1, 16, 16]));
}

#[test]
fn videos_that_cannot_be() {
    let package = package("dense-tied");
    let package = package.path().join("p");
    let frame = |name: &str| common::reference("images/video_frames").join(name).to_str().unwrap().to_owned();
    let (a, b) = (frame("000.png"), frame("001.png"));
    for fps in ["0", "NaN", "-1", "inf"] {
        let error = run_error(&package, &["--frames", &a, &b, &format!("--fps={fps}")]);
        assert_says(&error, &["frames per second must be a finite number above 0"]);
    }
    let other = image("noise_224x224.png");
    let error = run_error(&package, &["--frames", &a, other.to_str().unwrap()]);
    assert_says(&error, &["frame 1 is 224x224, but the first frame is 96x64"]);
}

#[test]
fn a_prompt_longer_than_the_context() {
    let checkpoint = checkpoint_copy("dense-tied");
    edit_json(&checkpoint.path().join("config.json"), |config| {
        config["text_config"]["max_position_embeddings"] = json!(64);
    });
    let error = run_error(checkpoint.path(), &["--image", image("gradient_400x300.png").to_str().unwrap()]);
    let error = &error[error.find("error: ").unwrap()..];
    assert_says(error, &["the prompt has 123 tokens, but the model's context holds 64; shorten it"]);

    // What fits is answered up to the context's end.
    let mut command = qvl();
    command.arg("run").arg(checkpoint.path()).args(["--prompt", "Hi", "--ignore-eos"]);
    let answer = json(&mut command);
    let total =
        answer["usage"]["prompt_tokens"].as_u64().unwrap() + answer["usage"]["completion_tokens"].as_u64().unwrap();
    assert_eq!((total, &answer["finish_reason"]), (64, &json!("length")));
}

#[test]
fn a_package_that_is_not_whole() {
    for (file, spoil, part) in [
        ("text.onnx.data", None, "text.onnx.data is missing"),
        ("vision.onnx", None, "vision.onnx is missing"),
        ("tokenizer.json", None, "tokenizer.json is missing"),
        ("embedding.onnx.data", Some(1000), "embedding.onnx.data has 1000 bytes instead of"),
        ("package.json", Some(40), "package.json"),
    ] {
        let package = package("dense-tied");
        let path = package.path().join("p").join(file);
        match spoil {
            None => fs::remove_file(&path).unwrap(),
            Some(length) => fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap(),
        }
        assert_says(&run_error(&package.path().join("p"), &[]), &[part, "export"]);
    }
    let package = package("dense-tied");
    fs::remove_file(package.path().join("p/package.json")).unwrap();
    fs::remove_file(package.path().join("p/config.json")).unwrap();
    assert_says(&run_error(&package.path().join("p"), &[]), &["is neither a package", "nor a checkpoint"]);
    assert_says(&run_error(Path::new("/nowhere"), &[]), &["/nowhere does not exist; give"]);
}

#[test]
fn settings_out_of_range() {
    let package = package("dense-tied");
    let package = package.path().join("p");
    for (arguments, part) in [
        (["--top-p", "1.5"], "top_p is 1.5; it must be above 0 and at most 1"),
        (["--temperature", "NaN"], "temperature is NaN; it must be a number from 0 to 100"),
        (["--repetition-penalty", "0"], "repetition_penalty is 0; it must be above 0"),
        (["--stop", ""], "a stop text is empty"),
    ] {
        assert_says(&run_error(&package, &arguments), &[part]);
    }
    let error = run_error(&package, &["--image", image("noise_224x224.png").to_str().unwrap(), "--max-pixels", "0"]);
    assert_says(&error, &["pixel budget"]);
}
