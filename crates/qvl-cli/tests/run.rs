//! `qvl run`: the answers of `transformers`, and how they are printed.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::fs;

use assert_cmd::Command;
use common::{GREEDY, golden, image, json, package, qvl, reference};
use serde_json::{Value, json};

fn frames() -> Vec<std::path::PathBuf> {
    (0..37).map(|frame| reference("images/video_frames").join(format!("{frame:03}.png"))).collect()
}

#[test]
fn the_greedy_tokens_are_those_of_transformers() {
    greedy_tokens(&|command| command.args(["--engine", "ort"]));
}

#[test]
fn the_engine_cpu_needs_no_library_for_them() {
    greedy_tokens(&|command| command.args(["--engine", "cpu", "--precise"]).env("ORT_DYLIB_PATH", "nowhere"));
}

/// Compares answers with the goldens, by the engine that `choose` adds to the arguments.
fn greedy_tokens(choose: &dyn Fn(&mut Command) -> &mut Command) {
    for checkpoint in ["dense-tied", "dense-untied", "moe"] {
        let package = package(checkpoint);
        let package = package.path().join("p");
        let run = |arguments: &[&str], name: &str| {
            let mut command = qvl();
            choose(command.arg("run").arg(&package).args(GREEDY).args(arguments));
            match name {
                "one_image" => command.arg("--image").arg(image("gradient_400x300.png")),
                "video" | "video_legacy_prompt" => command.args(["--fps", "12.5", "--frames"]).args(frames()),
                _ => &mut command,
            };
            let answer = json(&mut command);
            let case = golden(checkpoint, name);
            assert_eq!(answer["token_ids"], case["generated"], "{checkpoint} {name}");
            assert_eq!(answer["usage"]["prompt_tokens"], case["n_prompt"], "{checkpoint} {name}");
            answer
        };
        let system = ["--system", "You are a helpful assistant.", "--prompt", "How many objects are in the picture?"];
        run(&system, "text_only");
        let answer = run(&["--prompt", "Describe this image in detail."], "one_image");
        let expected = json!([{"grid_thw": [1, 18, 24], "width": 384, "height": 288, "tokens": 108}]);
        assert_eq!(answer["images"], expected);
        run(&["--prompt", "Tell me what happens."], "video");
        run(&["--prompt", "Tell me what happens.", "--legacy-video-prompt"], "video_legacy_prompt");
    }
}

/// The search without a token that ends answers, which the command line takes from the package.
#[test]
fn beams_find_the_answer_of_transformers_on_both_engines() {
    let package = package("dense-tied");
    let text = fs::read_to_string(reference("golden/dense-tied/beams.json")).unwrap();
    let records: Vec<Value> = serde_json::from_str(&text).unwrap();
    let record = records.iter().find(|record| record["case"] == "one_image" && record["num_beams"] == 2).unwrap();
    for engine in [&["--engine", "ort"][..], &["--engine", "cpu", "--precise"]] {
        let mut command = qvl();
        command.arg("run").arg(package.path().join("p")).args([
            "--prompt",
            "Describe this image in detail.",
            "--image",
        ]);
        command.arg(image("gradient_400x300.png")).args(["--num-beams", "2", "--max-new-tokens", "24", "--ignore-eos"]);
        assert_eq!(json(command.args(engine))["token_ids"], record["generated"]);
    }
}

#[test]
fn the_object_has_exactly_its_fields() {
    let package = package("dense-tied");
    let mut command = qvl();
    let answer = json(command.arg("run").arg(package.path().join("p")).args(["--prompt", "Hi"]).args(GREEDY));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let fields =
        ["text", "token_ids", "prompt_token_ids", "finish_reason", "images", "usage", "speculation", "timings_ms"];
    assert_eq!(keys(&answer), fields);
    assert_eq!(keys(&answer["usage"]), ["prompt_tokens", "completion_tokens"]);
    assert_eq!(keys(&answer["speculation"]), ["drafted", "accepted"]);
    assert_eq!(keys(&answer["timings_ms"]), ["load", "vision", "prefill", "decode"]);
    assert_eq!(answer["finish_reason"], "length");
    assert_eq!(answer["images"], json!([]));
    let count = |key: &str| answer[key].as_array().unwrap().len();
    assert_eq!(answer["usage"]["prompt_tokens"], count("prompt_token_ids"));
    assert_eq!(answer["usage"]["completion_tokens"], count("token_ids"));
    for part in ["load", "prefill", "decode"] {
        assert!(answer["timings_ms"][part].as_f64().unwrap() > 0.0, "{part}");
    }
}

#[test]
fn pictures_and_videos_stand_in_the_order_given() {
    let package = package("dense-tied");
    let grids = |arguments: &[&std::ffi::OsStr]| {
        let mut command = qvl();
        command.arg("run").arg(package.path().join("p")).args(["--prompt", "Compare.", "--max-new-tokens", "1"]);
        let answer = json(command.args(arguments));
        answer["images"].as_array().unwrap().iter().map(|image| image["grid_thw"].clone()).collect::<Vec<_>>()
    };
    let frames = frames();
    let (square_file, tall_file) = (image("noise_224x224.png"), image("tall_37x500.png"));
    let a = ["--image".as_ref(), square_file.as_os_str()];
    let b = ["--image".as_ref(), tall_file.as_os_str()];
    let two = ["--frames".as_ref(), frames[0].as_os_str(), frames[1].as_os_str()];
    let (square, tall, video) = (json!([1, 16, 16]), json!([1, 60, 6]), json!([1, 4, 6]));
    assert_eq!(grids(&[a, b].concat()), [square.clone(), tall.clone()]);
    assert_eq!(grids(&[&b[..], &two, &a].concat()), [tall, video, square]);
}

#[test]
fn the_text_is_streamed_and_equals_the_object_s() {
    let package = package("dense-tied");
    let run = || {
        let mut command = qvl();
        command.arg("run").arg(package.path().join("p")).args(["--prompt", "Hi"]).args(GREEDY);
        command
    };
    let text = json(&mut run())["text"].as_str().unwrap().to_owned();
    run().assert().success().stdout(format!("{text}\n")).stderr("");
}

#[test]
fn the_prompt_may_come_from_stdin() {
    let package = package("dense-tied");
    let run = |prompt: &str| {
        let mut command = qvl();
        command.arg("run").arg(package.path().join("p")).args(GREEDY).args(["--prompt", prompt]);
        command
    };
    let given = json(&mut run("Wie heißt das?\nGenau."));
    let piped = json(run("-").write_stdin("Wie heißt das?\nGenau.\r\n"));
    assert_eq!(given["prompt_token_ids"], piped["prompt_token_ids"]);
    let error = common::failure(run("-").write_stdin(&b"\xff\xfe"[..]), 1);
    assert!(error.starts_with("error: the prompt on stdin is not UTF-8"), "{error}");
}

#[test]
fn a_seed_repeats_a_sampled_answer() {
    let package = package("dense-tied");
    let run = |seed: &str| {
        let mut command = qvl();
        command.arg("run").arg(package.path().join("p")).args(["--prompt", "Hi", "--temperature", "2", "--top-p", "1"]);
        json(command.args(["--max-new-tokens", "20", "--ignore-eos", "--seed", seed]))["token_ids"].clone()
    };
    assert_eq!(run("7"), run("7"));
    assert_ne!(run("7"), run("8"));
}

#[test]
fn a_stop_text_ends_the_answer() {
    let package = package("dense-tied");
    let mut command = qvl();
    command.arg("run").arg(package.path().join("p")).args(GREEDY).args(["--system", "You are a helpful assistant."]);
    let answer = json(command.args(["--prompt", "How many objects are in the picture?", "--stop", "in fig"]));
    assert_eq!(answer["finish_reason"], "stop");
    let text = answer["text"].as_str().unwrap();
    assert!(text.ends_with("ma") && !text.contains("in fig"), "{text:?}");
}

#[test]
fn pixels_are_bounded_as_asked() {
    let package = package("dense-tied");
    let grid = |bounds: &[&str]| {
        let mut command = qvl();
        command.arg("run").arg(package.path().join("p")).args(["--prompt", "Hi", "--max-new-tokens", "1"]);
        json(command.arg("--image").arg(image("noise_224x224.png")).args(bounds))["images"][0]["grid_thw"].clone()
    };
    assert_eq!(grid(&[]), json!([1, 16, 16]));
    assert_eq!(grid(&["--max-pixels", "16384"]), json!([1, 8, 8]));
    assert_eq!(grid(&["--min-pixels", "262144"]), json!([1, 32, 32]));
}

#[test]
fn an_animation_is_a_video() {
    let package = package("dense-tied");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blink.gif");
    let mut encoder = image::codecs::gif::GifEncoder::new(fs::File::create(&path).unwrap());
    let frames = (0..6_u8).map(|frame| {
        let canvas = image::RgbaImage::from_pixel(96, 64, image::Rgba([40 * frame, 90, 200, 255]));
        image::Frame::from_parts(canvas, 0, 0, image::Delay::from_numer_denom_ms(250, 1))
    });
    encoder.encode_frames(frames).unwrap();
    drop(encoder);
    let mut command = qvl();
    command.arg("run").arg(package.path().join("p")).args(["--prompt", "Hi", "--max-new-tokens", "1"]);
    let answer = json(command.arg("--video").arg(&path));
    // 1.5 seconds make three frames at 2 a second; the least that is sampled is four, in two groups.
    assert_eq!(answer["images"][0]["grid_thw"], json!([2, 4, 6]));
}

#[test]
fn a_checkpoint_is_exported_once() {
    let cache = tempfile::tempdir().unwrap();
    let run = || {
        let mut command = qvl();
        command.env("QVL_CACHE_DIR", cache.path()).arg("run").arg(reference("tiny/dense-tied"));
        command.args(["--prompt", "Hi", "--max-new-tokens", "1"]);
        let stderr = command.assert().success().get_output().stderr.clone();
        String::from_utf8(stderr).unwrap()
    };
    assert!(run().contains("is a checkpoint; exporting it as fp32 to "));
    assert_eq!(run(), "");
    let packages = || fs::read_dir(cache.path().join("packages")).unwrap().map(|entry| entry.unwrap().path());
    let exported: Vec<_> = packages().filter(|path| path.join("package.json").is_file()).collect();
    assert_eq!(exported.len(), 1);
    // A package in the cache that is damaged is made anew.
    fs::remove_file(exported[0].join("text.onnx.data")).unwrap();
    assert!(run().contains("exporting"));
    assert_eq!(run(), "");
}

#[test]
fn half_precision_answers_too() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("p");
    let mut export = qvl();
    export.arg("export").arg(reference("tiny/dense-tied")).arg("-o").arg(&target).args(["--precision", "fp16"]);
    export.assert().success();
    let mut command = qvl();
    command.arg("run").arg(&target).args(GREEDY).arg("--image").arg(image("gradient_400x300.png"));
    let answer = json(command.args(["--prompt", "Describe this image in detail."]));
    // The margin of the first token is far larger than half precision's error.
    assert_eq!(answer["token_ids"][0], golden("dense-tied", "one_image")["generated"][0]);
}

#[test]
fn a_quantised_package_says_what_it_is_and_answers() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("p");
    let mut export = qvl();
    export.arg("export").arg(reference("tiny/moe")).arg("-o").arg(&target).args(["--precision", "int4"]);
    export.args(["--vision-precision", "int8", "--method", "rtn", "--block-size", "64", "--asymmetric"]);
    let output = export.assert().success().get_output().stderr.clone();
    let note = String::from_utf8(output).unwrap();
    assert!(note.contains("text int4, embedding fp16, vision int8"), "{note}");

    let output = qvl().arg("inspect").arg(&target).assert().success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("matrices    by rtn, asymmetric blocks of 64, accuracy level 4"), "{text}");
    assert!(text.contains("mix         lm_head.weight int8"), "{text}");

    let mut run = qvl();
    run.arg("run")
        .arg(&target)
        .args(GREEDY)
        .args(["--prompt", "What is this?", "--image"])
        .arg(image("noise_224x224.png"));
    let answer = json(&mut run);
    assert_eq!(answer["usage"]["completion_tokens"], 32);
    assert_eq!(answer["images"][0]["tokens"], 64);
}
