//! Checkpoints that are wrong: each is refused with a text that says what, where and the mend.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::path::Path;

use common::{Stored, changed, sharded, tiny};
use qvl_checkpoint::{Checkpoint, CheckpointError, TensorProblem};
use safetensors::Dtype;

/// The error's text, with the directory shown as `DIR`.
fn error(path: &Path, directory: &Path) -> String {
    let text = Checkpoint::open(path).unwrap_err().to_string();
    text.replace(&directory.display().to_string(), "DIR")
}

fn error_in(directory: &tempfile::TempDir) -> String {
    error(directory.path(), directory.path())
}

const NORM: &str = "model.language_model.norm.weight";
const QKV: &str = "model.visual.blocks.0.attn.qkv.weight";

#[test]
fn missing_extra_misshaped_and_mistyped_tensors_are_listed_together() {
    let directory = changed("dense-tied", |stock| {
        stock.remove(NORM);
        stock.insert(QKV.to_owned(), Stored::zeros(Dtype::BF16, &[64, 192]));
        let bias = "model.visual.patch_embed.proj.bias";
        stock.insert(bias.to_owned(), Stored::zeros(Dtype::F8_E4M3, &[64]));
        stock.insert("adapter.weight".to_owned(), Stored::zeros(Dtype::F32, &[3, 2]));
    });
    assert_eq!(
        error_in(&directory),
        "DIR: 4 problems with the tensors:\n  \
         wrong dtype: model.visual.patch_embed.proj.bias is F8_E4M3, must be F32, F16 or BF16; use the unquantised checkpoint\n  \
         wrong shape: model.visual.blocks.0.attn.qkv.weight is [64, 192], the configuration calls for [192, 64]\n  \
         missing: model.language_model.norm.weight [128]\n  \
         unexpected: adapter.weight [3, 2] is not part of this model"
    );
}

#[test]
fn a_long_list_is_cut_and_counted() {
    let directory = changed("dense-tied", |stock| stock.retain(|name, _| name == QKV));
    let Err(CheckpointError::Tensors { problems, .. }) = Checkpoint::open(directory.path()) else {
        panic!("opened");
    };
    assert_eq!(problems.len(), 144);
    assert!(problems.iter().all(|problem| matches!(problem, TensorProblem::Missing { .. })));
    let text = error_in(&directory);
    assert_eq!(text.lines().count(), 52);
    assert!(text.ends_with("\n  … and 94 more"), "{text}");
}

#[test]
fn an_untied_model_without_a_head_is_refused() {
    let directory = changed("dense-untied", |stock| {
        stock.remove("lm_head.weight");
    });
    assert_eq!(error_in(&directory), "DIR: 1 problem with the tensors:\n  missing: lm_head.weight [1280, 128]");
}

#[test]
fn the_same_tensor_under_two_names_is_refused() {
    let directory = changed("dense-tied", |stock| {
        let norm = stock[NORM].clone();
        stock.insert("language_model.model.norm.weight".to_owned(), norm);
    });
    assert_eq!(
        error_in(&directory),
        "DIR: 1 problem with the tensors:\n  twice: model.language_model.norm.weight is both \
         language_model.model.norm.weight in model.safetensors and model.language_model.norm.weight in model.safetensors"
    );
}

#[test]
fn experts_in_mixed_layouts_are_refused() {
    let directory = changed("moe", |stock| {
        let down = stock.get_mut("model.language_model.layers.1.mlp.experts.down_proj").unwrap();
        down.shape.swap(1, 2);
    });
    assert_eq!(
        error_in(&directory),
        "DIR: 1 problem with the tensors:\n  wrong shape: model.language_model.layers.1.mlp.experts.down_proj is \
         [8, 128, 48], the configuration calls for [8, 48, 128]"
    );
}

#[test]
fn damaged_files_are_refused() {
    let damage = |change: &dyn Fn(&mut Vec<u8>)| {
        let directory = changed("dense-tied", |_| {});
        let path = directory.path().join("model.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        error_in(&directory)
    };
    assert_eq!(
        damage(&|bytes| bytes.truncate(bytes.len() - 1)),
        "DIR/model.safetensors: the header describes 3245824 bytes of data, the file has 3245823; it is truncated, \
         download it again"
    );
    assert_eq!(
        damage(&|bytes| bytes.truncate(4000)),
        "DIR/model.safetensors: the header claims 16120 bytes, but only 3992 follow; the file is damaged or truncated"
    );
    assert_eq!(
        damage(&|bytes| bytes.clear()),
        "DIR/model.safetensors: the file has 0 bytes, too few for a safetensors file; download it again"
    );
    assert_eq!(
        damage(&|bytes| bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes())),
        "DIR/model.safetensors: the header claims 18446744073709551615 bytes, more than the limit of 100000000"
    );
    let text = damage(&|bytes| bytes[8] = b'[');
    assert!(text.starts_with("DIR/model.safetensors: the header is not valid: "), "{text}");
}

#[test]
fn names_that_leave_the_directory_are_refused() {
    for name in [
        "../model-2.safetensors",
        "/model-2.safetensors",
        "x/model-2.safetensors",
        "x\\\\model-2.safetensors",
        "C:model-2.safetensors",
        "..",
        "",
        "model-2.bin",
    ] {
        let directory = sharded(|index| index.replacen("\"model-2.safetensors\"", &format!("\"{name}\""), 1));
        assert_eq!(
            error_in(&directory),
            format!(
                "DIR/model.safetensors.index.json: weight_map names \"{name}\", which is not the plain name of a \
                 .safetensors file in the same directory"
            )
        );
    }
}

#[test]
fn a_missing_shard_is_named() {
    let directory = sharded(|index| index);
    std::fs::remove_file(directory.path().join("model-2.safetensors")).unwrap();
    assert_eq!(
        error_in(&directory),
        "DIR/model.safetensors.index.json: these files of weight_map are not there, download them: model-2.safetensors"
    );
}

#[test]
fn an_index_that_disagrees_with_the_files_is_refused() {
    let first = "\"model.language_model.norm.weight\": \"model-1.safetensors\"";
    let moved = sharded(|index| index.replace(first, &first.replace("model-1", "model-2")));
    assert_eq!(
        error_in(&moved),
        "DIR: 1 problem with the tensors:\n  misplaced: model.language_model.norm.weight is in model-1.safetensors, the \
         index says model-2.safetensors"
    );
    let renamed = sharded(|index| index.replace(first, &first.replace("norm", "other")));
    assert_eq!(
        error_in(&renamed),
        "DIR: 2 problems with the tensors:\n  misplaced: model.language_model.norm.weight is in model-1.safetensors, but not \
         in the index\n  misplaced: model.language_model.other.weight is not in model-1.safetensors, where the index says"
    );
    let doubled = sharded(|index| index.replace(first, &format!("{first},\n{first}")));
    let text = error_in(&doubled);
    assert!(text.contains("weight_map has \"model.language_model.norm.weight\" twice"), "{text}");
    let empty = sharded(|_| "{\"weight_map\": {}}".to_owned());
    assert!(error_in(&empty).ends_with("weight_map names 0 files, must be 1 to 4096"));
    let noise = sharded(|_| "{}".to_owned());
    assert!(error_in(&noise).contains("not a valid index: missing field `weight_map`"));
}

/// Two shards with the same tensors: each tensor is found a second time.
#[test]
fn a_duplicate_shard_is_refused() {
    let directory = sharded(|index| {
        let entry = "\"model.visual.pos_embed.weight\": \"model-2.safetensors\"";
        index.replace(entry, &format!("{entry},\n\"copy\": \"model-3.safetensors\""))
    });
    let shard = |i| directory.path().join(format!("model-{i}.safetensors"));
    std::fs::copy(shard(2), shard(3)).unwrap();
    let Err(CheckpointError::Tensors { problems, .. }) = Checkpoint::open(directory.path()) else {
        panic!("opened");
    };
    assert!(problems.iter().any(|problem| matches!(
        problem,
        TensorProblem::Duplicate { first, second, .. }
            if first == "model.visual.pos_embed.weight in model-2.safetensors"
                && second == "model.visual.pos_embed.weight in model-3.safetensors"
    )));
}

#[test]
fn configurations_of_other_models_are_refused() {
    let directory = changed("dense-tied", |_| {});
    let path = directory.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"model_type\": \"qwen3_vl\"", "\"model_type\": \"llava\"")).unwrap();
    let text = error_in(&directory);
    assert!(
        text.starts_with("DIR: config.json: model_type is \"llava\", which qvl does not know; supported are"),
        "{text}"
    );
    std::fs::remove_file(&path).unwrap();
    let text = error_in(&directory);
    assert!(text.starts_with("DIR: cannot read DIR/config.json: "), "{text}");
}

#[test]
fn a_huge_configuration_is_not_read() {
    let directory = changed("dense-tied", |_| {});
    let file = std::fs::File::create(directory.path().join("config.json")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(
        error_in(&directory),
        "DIR: DIR/config.json has over 4194304 bytes, which no such file needs; is it the right file?"
    );
}

#[test]
fn what_is_no_checkpoint_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let empty = "DIR is not a checkpoint: it holds neither model.safetensors nor model.safetensors.index.json";
    assert_eq!(error_in(&directory), empty);
    std::fs::write(path.join("pytorch_model.bin"), b"").unwrap();
    assert_eq!(
        error_in(&directory),
        format!("{empty}; its weights are PyTorch .bin files, save it again with safe_serialization=True")
    );
    assert_eq!(
        error(&path.join("pytorch_model.bin"), path),
        "DIR/pytorch_model.bin is not a checkpoint: give a directory with config.json and safetensors files, or one \
         .safetensors file"
    );
    let text = error(&path.join("absent"), path);
    assert!(text.starts_with("cannot read DIR/absent: "), "{text}");
    std::fs::create_dir(path.join("model.safetensors")).unwrap();
    std::fs::copy(tiny("dense-tied").join("config.json"), path.join("config.json")).unwrap();
    assert_eq!(error_in(&directory), "cannot read DIR/model.safetensors: not a regular file");
}
