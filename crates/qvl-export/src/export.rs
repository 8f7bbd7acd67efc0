use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use qvl_checkpoint::Checkpoint;
use qvl_package::{FileInfo, Graph, GraphInfo, Layout, Manifest, PackageError, SourceInfo, Staging, Target};

use crate::files::{copied, genai, json, transformers_js};
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
    let contents = Contents::write(&checkpoint, options, staging.path(), progress)?;
    let source = source_info(&checkpoint, progress)?;
    contents.publish(staging, source)
}

/// The files of a package, all but its manifest.
pub(crate) struct Contents {
    layout: Layout,
    graphs: BTreeMap<String, GraphInfo>,
    files: BTreeMap<String, FileInfo>,
}

impl Contents {
    /// Writes the files to the directory `package`.
    pub(crate) fn write(
        checkpoint: &Checkpoint,
        options: &ExportOptions,
        package: &Path,
        progress: &dyn Progress,
    ) -> Result<Self, ExportError> {
        let mut names = copied::copy(checkpoint.directory(), package)?;
        match options.layout {
            Layout::Package => names.extend(write_settings(checkpoint, package)?),
            Layout::TransformersJs => transformers_js::complete_settings(checkpoint.config(), package)?,
        }
        let graphs = GraphWriter { checkpoint, options, package, progress }.write_all()?;
        if options.layout == Layout::TransformersJs {
            transformers_js::describe_graphs(package, &graphs)?;
        }
        names.extend(graph_files(options.layout, &graphs));
        Ok(Self { layout: options.layout, graphs, files: sizes(package, &names)? })
    }

    /// Adds the manifest and puts the package, whose files are in `staging`, in place.
    pub(crate) fn publish(self, staging: Staging, source: SourceInfo) -> Result<ExportReport, ExportError> {
        let manifest = Manifest {
            format_version: Manifest::FORMAT_VERSION,
            qvl_version: env!("CARGO_PKG_VERSION").to_owned(),
            layout: self.layout,
            source,
            graphs: self.graphs,
            files: self.files,
        };
        let bytes = manifest.files.values().map(|file| file.bytes).sum();
        let path = staging.publish(&manifest)?;
        Ok(ExportReport { path, bytes, graphs: manifest.graphs })
    }
}

fn write_settings(checkpoint: &Checkpoint, package: &Path) -> Result<[String; 2], ExportError> {
    let settings = genai::Settings::read(package)?;
    let files = [
        (genai::GENAI_CONFIG, genai::genai_config(checkpoint.config(), &settings)),
        (genai::PROCESSOR_CONFIG, genai::processor_config(checkpoint.config(), &settings)),
    ];
    for (name, value) in &files {
        json::write(&package.join(name), value)?;
    }
    Ok(files.map(|(name, _)| name.to_owned()))
}

/// Names of the files of all graphs.
fn graph_files(layout: Layout, graphs: &BTreeMap<String, GraphInfo>) -> Vec<String> {
    let infos = Graph::ALL.iter().filter_map(|&graph| Some((graph, graphs.get(graph.name())?)));
    let files = infos.map(|(graph, info)| layout.files(graph, info.precision));
    files.flat_map(|files| [files.onnx, files.data]).collect()
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
        via: Vec::new(),
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
