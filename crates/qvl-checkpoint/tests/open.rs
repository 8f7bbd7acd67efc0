//! Opening checkpoints that are right: the tiny ones, the published tensor lists, and what tools make of names and layouts.

mod common;

use std::collections::BTreeMap;

use common::{REFERENCE, Stored, changed, read, rename, sharded, tiny};
use half::{bf16, f16};
use qvl_checkpoint::{Checkpoint, Dtype, ExpertLayout, PUBLISHED_SIZES, expected_tensors, published_config};

const EMBEDDING: &str = "model.language_model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

#[test]
fn expected_tensors_are_those_of_the_hub() {
    for size in ["4B", "8B", "30B-A3B"] {
        let text = std::fs::read_to_string(format!("{REFERENCE}/real/tensors_{size}.json")).unwrap();
        let hub: BTreeMap<String, Vec<usize>> = serde_json::from_str(&text).unwrap();
        let config = published_config(size).unwrap();
        let list = expected_tensors(&config, !config.tie_word_embeddings, ExpertLayout::InputMajor);
        assert_eq!(list.len(), hub.len(), "{size}: a name is there twice");
        let ours: BTreeMap<_, _> = list.into_iter().map(|spec| (spec.name, spec.shape)).collect();
        assert_eq!(ours, hub, "{size}");
    }
}

/// The counts of SPEC §0.
#[test]
fn published_sizes_have_their_number_of_tensors_and_parameters() {
    let counts = PUBLISHED_SIZES.map(|size| {
        let config = published_config(size).unwrap();
        let list = expected_tensors(&config, !config.tie_word_embeddings, ExpertLayout::InputMajor);
        let parameters = list.iter().map(|spec| spec.shape.iter().product::<usize>()).sum();
        (list.len(), parameters)
    });
    let expected: [(usize, usize); 6] = [
        (625, 2_127_532_032),
        (713, 4_437_815_808),
        (750, 8_767_123_696),
        (1058, 33_357_390_064),
        (882, 31_070_754_032),
        (1388, 235_670_022_896),
    ];
    assert_eq!(counts, expected);
}

#[test]
fn tiny_checkpoints_open_with_their_values() {
    for (name, own_head, layout) in [
        ("dense-tied", false, None),
        ("dense-untied", true, None),
        ("moe", true, Some(ExpertLayout::InputMajor)),
        ("moe-resaved5x", true, Some(ExpertLayout::OutputMajor)),
    ] {
        let checkpoint = Checkpoint::open(&tiny(name)).unwrap();
        assert_eq!(checkpoint.has_own_head(), own_head, "{name}");
        assert_eq!(checkpoint.expert_layout(), layout, "{name}");
        let stock = read(&tiny(name).join("model.safetensors"));
        assert_eq!(checkpoint.tensors().count(), stock.len());
        for (tensor_name, stored) in &stock {
            let tensor = checkpoint.tensor(tensor_name).unwrap();
            assert_eq!(tensor.name(), tensor_name);
            assert_eq!(tensor.dtype(), Dtype::BF16);
            assert_eq!(tensor.shape(), stored.shape);
            assert_eq!(tensor.bytes(), stored.bytes);
        }
    }
}

#[test]
fn one_file_is_a_checkpoint_with_the_configuration_beside_it() {
    let checkpoint = Checkpoint::open(&tiny("dense-tied").join("model.safetensors")).unwrap();
    assert_eq!(checkpoint.directory(), tiny("dense-tied"));
    assert!(checkpoint.tensor(EMBEDDING).is_ok());
}

#[test]
fn shards_are_joined() {
    let directory = sharded(|index| index);
    let checkpoint = Checkpoint::open(directory.path()).unwrap();
    assert_eq!(checkpoint.shards().len(), 2);
    assert_eq!(checkpoint.tensors().count(), 145);
    assert_eq!(checkpoint.tensor("absent").unwrap_err().to_string(), "the checkpoint has no tensor \"absent\"");
}

/// Snapshots in the Hub's cache are links to blobs.
#[cfg(unix)]
#[test]
fn linked_files_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::os::unix::fs::symlink(tiny("moe").join(name), directory.path().join(name)).unwrap();
    }
    assert!(Checkpoint::open(directory.path()).is_ok());
}

#[test]
fn variants_of_the_names_are_read() {
    let without_model = |name: &str| name.strip_prefix("model.").unwrap_or(name).to_owned();
    let nested = |name: &str| {
        if name == HEAD {
            format!("language_model.{name}")
        } else {
            without_model(name).replace("language_model.", "language_model.model.")
        }
    };
    let direct = |name: &str| without_model(name).replace("language_model.", "model.");
    let original = Checkpoint::open(&tiny("dense-untied")).unwrap();
    let variants: [&dyn Fn(&str) -> String; 3] = [&without_model, &nested, &direct];
    for variant in variants {
        let directory = changed("dense-untied", |stock| rename(stock, variant));
        let checkpoint = Checkpoint::open(directory.path()).unwrap();
        assert!(checkpoint.has_own_head());
        for tensor in original.tensors() {
            assert_eq!(checkpoint.tensor(tensor.name()).unwrap().bytes(), tensor.bytes());
        }
    }
}

#[test]
fn a_stored_head_of_a_tied_model_counts_only_if_it_differs() {
    let same = changed("dense-tied", |stock| {
        let table = stock[EMBEDDING].clone();
        stock.insert(HEAD.to_owned(), table);
    });
    let checkpoint = Checkpoint::open(same.path()).unwrap();
    assert!(!checkpoint.has_own_head());
    assert_eq!(checkpoint.summary().tensors, 145);

    let other = changed("dense-tied", |stock| {
        let mut head = stock[EMBEDDING].clone();
        *head.bytes.last_mut().unwrap() ^= 1;
        stock.insert(HEAD.to_owned(), head);
    });
    assert!(Checkpoint::open(other.path()).unwrap().has_own_head());
}

#[test]
fn saved_rotary_tables_are_ignored() {
    let directory = changed("dense-tied", |stock| {
        let table = Stored::zeros(safetensors::Dtype::F32, &[16]);
        stock.insert("model.language_model.rotary_emb.inv_freq".to_owned(), table);
    });
    assert_eq!(Checkpoint::open(directory.path()).unwrap().tensors().count(), 145);
}

#[test]
fn every_number_format_is_converted_from_any_place() {
    let name = "model.visual.pos_embed.weight";
    let original = read(&tiny("dense-tied").join("model.safetensors"));
    let pairs = original[name].bytes.chunks_exact(2);
    let exact: Vec<f32> = pairs.map(|p| bf16::from_le_bytes([p[0], p[1]]).to_f32()).collect();
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let directory = changed("dense-tied", |stock| {
            let stored = stock.get_mut(name).unwrap();
            (stored.dtype, stored.bytes) = match dtype {
                Dtype::F32 => (safetensors::Dtype::F32, exact.iter().flat_map(|v| v.to_le_bytes()).collect()),
                Dtype::F16 => {
                    (safetensors::Dtype::F16, exact.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect())
                }
                Dtype::BF16 => (stored.dtype, stored.bytes.clone()),
            };
        });
        let checkpoint = Checkpoint::open(directory.path()).unwrap();
        let tensor = checkpoint.tensor(name).unwrap();
        assert_eq!((tensor.dtype(), tensor.len()), (dtype, exact.len()));
        for (start, len) in [(0, exact.len()), (1, 1), (1023, 4099), (exact.len(), 0)] {
            let mut read = vec![f32::NAN; len];
            tensor.read_f32(start, &mut read);
            tensor.release(start, len);
            let expected = exact[start..start + len].iter().map(|value| match dtype {
                Dtype::F16 => f16::from_f32(*value).to_f32(),
                _ => *value,
            });
            assert!(read.into_iter().eq(expected), "{dtype} from {start}");
        }
    }
}

#[test]
fn released_memory_reads_the_same() {
    let checkpoint = Checkpoint::open(&tiny("moe")).unwrap();
    let tensor = checkpoint.tensor(EMBEDDING).unwrap();
    let before = tensor.bytes().to_vec();
    tensor.release(0, usize::MAX);
    tensor.release(usize::MAX, usize::MAX);
    assert_eq!(tensor.bytes(), before);
}

#[test]
fn files_are_hashed_in_order() {
    let directory = changed("dense-tied", |_| {});
    std::fs::write(
        directory.path().join("config.json"),
        std::fs::read_to_string(tiny("dense-tied").join("config.json")).unwrap() + "\n",
    )
    .unwrap();
    let checkpoint = Checkpoint::open(directory.path()).unwrap();
    let done = std::sync::atomic::AtomicU64::new(0);
    let digests = checkpoint
        .sha256(&|bytes| {
            done.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        })
        .unwrap();
    let names: Vec<&str> = digests.iter().map(|digest| digest.name.as_str()).collect();
    assert_eq!(names, ["config.json", "model.safetensors"]);
    assert_eq!(digests.iter().map(|digest| digest.bytes).sum::<u64>(), done.into_inner());
    for digest in digests {
        use sha2::Digest as _;
        let bytes = std::fs::read(directory.path().join(&digest.name)).unwrap();
        let hash = sha2::Sha256::digest(&bytes);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest.sha256, hex, "{}", digest.name);
    }
}

#[test]
fn summary_counts_what_is_there() {
    let summary = Checkpoint::open(&tiny("moe-resaved5x")).unwrap().summary();
    assert_eq!(summary.model_type, "qwen3_vl_moe");
    assert_eq!(summary.size, None);
    assert_eq!(summary.expert_layout, Some("output-major"));
    assert!(!summary.tied_head);
    assert_eq!(summary.dtypes.len(), 1);
    assert_eq!(summary.dtypes["BF16"], summary.parameters);
}
