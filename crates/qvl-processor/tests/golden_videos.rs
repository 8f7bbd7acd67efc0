//! The videos of the reference, and the tables of sizes, samples and timestamps.

#![allow(clippy::unwrap_used, reason = "helpers may panic in a test, too")]

mod support;

use qvl_processor::{
    ImageLimits, PixelBudget, PreprocessorConfig, Rgb8, VideoMeta, VideoOptions, VideoProcessor, decode_image,
    smart_resize, smart_resize_video,
};
use serde_json::Value;
use support::{golden, npy_frames, numbers, picture_bytes, reference, sha256, sha256_f32};

fn processor() -> VideoProcessor {
    let config = PreprocessorConfig::read_video(&reference("real/hub")).unwrap();
    VideoProcessor::from_config(&config)
}

fn label(seconds: f64) -> String {
    format!("<{seconds:.1} seconds>")
}

fn labels(timestamps: &[f64]) -> Value {
    timestamps.iter().copied().map(label).collect()
}

fn budget_of(size: &Value) -> Option<PixelBudget> {
    Some(PixelBudget { min_pixels: size["shortest_edge"].as_u64()?, max_pixels: size["longest_edge"].as_u64()? })
}

#[test]
fn videos_equal_the_reference() {
    let all = npy_frames(&reference("images/video_37x64x96.npy"));
    let records = golden("videos.json");
    for record in records.as_array().unwrap() {
        let name = record["name"].as_str().unwrap();
        let (meta, kwargs) = (&record["meta"], &record["kwargs"]);
        let total = usize::try_from(meta["total_num_frames"].as_u64().unwrap()).unwrap();
        let sampled = kwargs["do_sample_frames"] == Value::Bool(false);
        let options = VideoOptions {
            sampled,
            num_frames: kwargs["num_frames"].as_u64().map(|n| n as usize),
            budget: budget_of(&kwargs["size"]),
            ..VideoOptions::default()
        };
        let mut description = VideoMeta::new(meta["fps"].as_f64().unwrap(), total);
        let mut frames: Vec<Rgb8> = all[..total].to_vec();
        if sampled {
            let indices = numbers(&meta["frames_indices"]);
            frames = indices.iter().map(|&i| all[i].clone()).collect();
            description.frame_indices = Some(indices);
        }
        let video = processor().process(&frames, &description, &options).unwrap();
        let grid = video.patches.grid;
        assert_eq!(video.indices, numbers(&record["used_indices"]), "{name}");
        assert_eq!(vec![grid.t, grid.h, grid.w], numbers(&record["grid_thw"]), "{name}");
        assert_eq!(labels(&video.timestamps), record["stamps"], "{name}");
        let hash = sha256_f32(&video.patches.pixel_values);
        assert_eq!(hash, record["pixel_values_sha256"], "{name}");
    }
    assert_eq!(records.as_array().unwrap().len(), 6);
}

#[test]
fn frame_files_equal_the_array() {
    let all = npy_frames(&reference("images/video_37x64x96.npy"));
    for (index, frame) in all.iter().enumerate() {
        let bytes = picture_bytes(&format!("video_frames/{index:03}.png"));
        let decoded = decode_image(&bytes, &ImageLimits::default()).unwrap();
        assert!(decoded == *frame, "frame {index}");
    }
}

/// The golden's size, or `None` where the reference refuses.
fn expected_size(value: &Value) -> Option<(usize, usize)> {
    (!value.is_null()).then(|| {
        let size = numbers(value);
        (size[0], size[1])
    })
}

#[test]
fn size_tables() {
    let tables = golden("resize_tables.json");
    let rows = tables["image"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1083);
    for row in rows {
        let [height, width, min, max] = numbers(&row.as_array().unwrap()[..4].into())[..] else {
            panic!("{row}");
        };
        let budget = PixelBudget { min_pixels: min as u64, max_pixels: max as u64 };
        let size = smart_resize(height, width, 32, &budget).ok();
        assert_eq!(size, expected_size(&row[4]), "{row}");
    }
    let rows = tables["video"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2904);
    for row in rows {
        let [frames, height, width, min, max] = numbers(&row.as_array().unwrap()[..5].into())[..] else {
            panic!("{row}");
        };
        let budget = PixelBudget { min_pixels: min as u64, max_pixels: max as u64 };
        let size = smart_resize_video(frames, height, width, 2, 32, &budget).ok();
        assert_eq!(size, expected_size(&row[5]), "{row}");
    }
}

/// The goldens keep the first and last ten of many.
fn shortened(stamps: Vec<String>) -> Value {
    match stamps.len() {
        0..40 => stamps.into_iter().collect(),
        n => [&stamps[..10], &stamps[n - 10..]].concat().into_iter().collect(),
    }
}

#[test]
fn sampling_table() {
    let tables = golden("resize_tables.json");
    let rows = tables["sampling"].as_array().unwrap();
    assert_eq!(rows.len(), 14);
    for row in rows {
        let total = usize::try_from(row["total"].as_u64().unwrap()).unwrap();
        let meta = VideoMeta::new(row["fps"].as_f64().unwrap(), total);
        let indices = processor().sample(&meta, &VideoOptions::default()).unwrap();
        assert_eq!(indices.len() as u64, row["n"], "{row}");
        if row["indices"].is_array() {
            assert_eq!(indices, numbers(&row["indices"]), "{row}");
        }
        let bytes: Vec<u8> = indices.iter().flat_map(|&i| (i as i32).to_le_bytes()).collect();
        assert_eq!(sha256(&bytes), row["indices_sha256"], "{row}");
        let stamps: Vec<String> = processor().timestamps(&indices, meta.fps).unwrap().into_iter().map(label).collect();
        assert_eq!(shortened(stamps), row["stamps"], "{row}");
    }
}

#[test]
fn one_decimal_of_the_binary_value() {
    for row in golden("resize_tables.json")["format_1f"].as_array().unwrap() {
        let text = format!("{:.1}", row[0].as_f64().unwrap());
        assert_eq!(text, row[1].as_str().unwrap());
    }
}
