use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use qvl_checkpoint::Checkpoint;
use qvl_package::{FileInfo, Graph, GraphInfo, Manifest, PackageError, SourceInfo, Staging, Target};

use crate::files::{copied, genai};
use crate::graphs::GraphWriter;
use crate::{ExportError, ExportOptions, Progress, Stage};

/// What was written.
#[derive(Debug, Clone)]
pub struct ExportReport {
    /// The package.
    pub path: PathBuf,
    /// Size of all its files.
    pub bytes: u64,
    /// How each graph was made, by its name.
    pub graphs: BTreeMap<String, GraphInfo>,
}

/// Exports the checkpoint at `checkpoint`, a directory or one safetensors file, to a package.
///
/// The package is written beside its target and takes the target's place when it is whole, so that at no moment a
/// part of one can be mistaken for a package.
///
/// # Errors
/// If the checkpoint cannot be used or the package not be written; the target is then as it was.
pub fn export(
    checkpoint: &Path,
    options: &ExportOptions,
    progress: &dyn Progress,
) -> Result<ExportReport, ExportError> {
    options.check()?;
    let target = Target::new(&options.output, options.overwrite)?;
    let checkpoint = Checkpoint::open(checkpoint)?;
    let staging = Staging::create(target)?;
    let mut names = copied::copy(checkpoint.directory(), staging.path())?;
    names.extend(write_settings(&checkpoint, staging.path())?);
    let graphs = GraphWriter { checkpoint: &checkpoint, options, package: staging.path(), progress }.write_all()?;
    names.extend(Graph::ALL.iter().flat_map(|graph| [graph.file(), graph.data_file()]).map(str::to_owned));
    let source = source_info(&checkpoint, progress)?;
    let manifest = Manifest {
        format_version: Manifest::FORMAT_VERSION,
        qvl_version: env!("CARGO_PKG_VERSION").to_owned(),
        source,
        graphs,
        files: sizes(staging.path(), &names)?,
    };
    let bytes = manifest.files.values().map(|file| file.bytes).sum();
    let path = staging.publish(&manifest)?;
    Ok(ExportReport { path, bytes, graphs: manifest.graphs })
}

fn write_settings(checkpoint: &Checkpoint, package: &Path) -> Result<[String; 2], ExportError> {
    let settings = genai::Settings::read(package)?;
    let files = [
        (genai::GENAI_CONFIG, genai::genai_config(checkpoint.config(), &settings)),
        (genai::PROCESSOR_CONFIG, genai::processor_config(checkpoint.config(), &settings)),
    ];
    for (name, value) in &files {
        let path = package.join(name);
        fs::write(&path, format!("{value:#}\n")).map_err(|e| PackageError::io(path, e))?;
    }
    Ok(files.map(|(name, _)| name.to_owned()))
}

fn source_info(checkpoint: &Checkpoint, progress: &dyn Progress) -> Result<SourceInfo, ExportError> {
    let shards = checkpoint.shards();
    progress.start(Stage::Hash, shards.iter().map(|shard| shard.bytes).sum());
    let hashes = checkpoint.sha256(&|bytes| progress.advance(bytes))?;
    if progress.is_cancelled() {
        return Err(ExportError::Cancelled);
    }
    let files = hashes.into_iter().map(|file| (file.name, FileInfo { bytes: file.bytes, sha256: Some(file.sha256) }));
    let directory = fs::canonicalize(checkpoint.directory()).unwrap_or_else(|_| checkpoint.directory().to_path_buf());
    Ok(SourceInfo {
        name: directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        model_type: checkpoint.config().model_type.as_str().to_owned(),
        files: files.collect(),
    })
}

fn sizes(package: &Path, names: &[String]) -> Result<BTreeMap<String, FileInfo>, ExportError> {
    let size = |name: &String| {
        let path = package.join(name);
        let bytes = fs::metadata(&path).map_err(|e| PackageError::io(path, e))?.len();
        Ok((name.clone(), FileInfo { bytes, sha256: None }))
    };
    names.iter().map(size).collect()
}
