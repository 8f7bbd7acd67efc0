//! What transformers.js wants to read beside the graphs. Tried with version 4.3.1.
//!
//! It reads fewer files than transformers does, and has defaults of its own: the settings go where it looks for them.

use std::collections::BTreeMap;
use std::path::Path;

use qvl_checkpoint::Config;
use qvl_package::{Graph, GraphInfo, transformers_js};
use serde_json::{Map, Value, json};

use crate::ExportError;
use crate::files::copied::TEMPLATE;
use crate::files::{copied, json as json_file};

/// Pillow's number of the bicubic filter.
const BICUBIC: u32 = 3;

/// The largest sample of a picture.
const WHITE: f64 = 255.0;

/// Completes the copies of the checkpoint's settings.
///
/// The chat template goes into `tokenizer_config.json`, the only file where a Qwen3-VL's template is looked for. In
/// `preprocessor_config.json` all steps are spelt out: the published files leave them to the class that they name, but
/// transformers.js then takes the bilinear filter and no normalisation. It would also round between rescaling and
/// normalising; in one step, with mean and deviation of samples up to 255, its pixels are those of transformers to the
/// last bit.
///
/// # Errors
/// If one of the files is no JSON object, a colour in it is not three numbers, or it cannot be written.
pub(crate) fn complete_settings(config: &Config, package: &Path) -> Result<(), ExportError> {
    let template = copied::read(&package.join(TEMPLATE))?;
    change(&package.join("tokenizer_config.json"), |settings| {
        settings.insert("chat_template".to_owned(), template.into());
        Ok(())
    })?;
    change(&package.join("preprocessor_config.json"), |settings| {
        settings.entry("size").or_insert(json!({ "shortest_edge": 65_536, "longest_edge": 16_777_216 }));
        let steps = [
            ("processor_class", json!("Qwen3VLProcessor")),
            ("image_processor_type", json!("Qwen2VLImageProcessor")),
            ("patch_size", json!(config.vision.patch_size)),
            ("temporal_patch_size", json!(config.vision.temporal_patch_size)),
            ("merge_size", json!(config.vision.spatial_merge_size)),
            ("do_convert_rgb", json!(true)),
            ("do_resize", json!(true)),
            ("resample", json!(BICUBIC)),
            ("do_rescale", json!(false)),
            ("do_normalize", json!(true)),
            ("image_mean", samples(settings, "image_mean")?),
            ("image_std", samples(settings, "image_std")?),
        ];
        settings.extend(steps.map(|(key, value)| (key.to_owned(), value)));
        Ok(())
    })
}

/// A colour of `settings`, half of white if there is none, with `WHITE` instead of 1 for the largest sample.
fn samples(settings: &Map<String, Value>, key: &str) -> Result<Value, serde_json::Error> {
    let colour: Option<[f64; 3]> = serde_json::from_value(settings.get(key).cloned().unwrap_or_default())?;
    Ok(json!(colour.unwrap_or([0.5; 3]).map(|sample| sample * WHITE)))
}

/// Says in `config.json` how the graphs are stored, so that a plain `from_pretrained(FOLDER)` finds the right files.
///
/// # Errors
/// If the file is no JSON object or cannot be written.
pub(crate) fn describe_graphs(package: &Path, graphs: &BTreeMap<String, GraphInfo>) -> Result<(), ExportError> {
    let dtype = |graph: &Graph| {
        let info = graphs.get(graph.name())?;
        Some((transformers_js::session(*graph).to_owned(), transformers_js::dtype(info.precision).into()))
    };
    let dtypes: Map<String, Value> = Graph::ALL.iter().filter_map(dtype).collect();
    change(&package.join("config.json"), |config| {
        let ours = json!({ "use_external_data_format": true, "dtype": dtypes });
        config.insert("transformers.js_config".to_owned(), ours);
        Ok(())
    })
}

/// Edits the object in the file `path`.
fn change(
    path: &Path,
    edit: impl FnOnce(&mut Map<String, Value>) -> Result<(), serde_json::Error>,
) -> Result<(), ExportError> {
    let mut object = json_file::read(path)?;
    edit(&mut object).map_err(|e| ExportError::File { path: path.to_path_buf(), reason: e.to_string() })?;
    json_file::write(path, &object.into())
}
