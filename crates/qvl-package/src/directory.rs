use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use qvl_checkpoint::{Config, read_text_limited};

use crate::graph_file::check_external_data;
use crate::{FileInfo, Graph, Layout, MANIFEST, Manifest, PackageError};

/// Largest manifest that is read; real ones have a few kilobytes.
const MANIFEST_LIMIT: u64 = 16 << 20;

/// Largest ONNX file that is read; the graphs of the largest published size have about two megabytes. Read, a file of many
/// small nodes takes some seventy times its size.
const GRAPH_LIMIT: u64 = 16 << 20;

/// The file of the model's dimensions.
const CONFIG: &str = "config.json";

/// A package that was found whole: every file of its manifest is there, plain and of the size that was written.
#[derive(Debug, Clone)]
pub struct PackageDir {
    path: PathBuf,
    manifest: Manifest,
    config: Config,
}

impl PackageDir {
    /// Opens the package at `path` and checks its files.
    ///
    /// # Errors
    /// If there is no package, a file is missing, truncated or no plain file, or the configuration is not usable.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PackageError> {
        let path = path.as_ref().to_path_buf();
        let manifest = read_manifest(&path)?;
        let problems = problems_of(&path, &manifest)?;
        if !problems.is_empty() {
            return Err(PackageError::Damaged { path, problems });
        }
        let config_path = path.join(CONFIG);
        let config = Config::read(&config_path).map_err(|source| PackageError::Config { path: config_path, source })?;
        Ok(Self { path, manifest, config })
    }

    /// Whether the manifest at `path` was written by this program, whatever its version. Others call files of theirs
    /// `package.json` too.
    pub(crate) fn is_own(path: &Path) -> bool {
        #[derive(serde::Deserialize)]
        struct Versions {
            #[serde(rename = "format_version")]
            _format: u32,
            #[serde(rename = "qvl_version")]
            _program: String,
        }
        read_text_limited(&path.join(MANIFEST), MANIFEST_LIMIT)
            .is_ok_and(|text| serde_json::from_str::<Versions>(&text).is_ok())
    }

    /// Whether `path` looks like a package: it holds a manifest.
    pub fn is_package(path: &Path) -> bool {
        path.join(MANIFEST).is_file()
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The package's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The model's dimensions.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Path of a graph's ONNX file.
    pub fn graph(&self, graph: Graph) -> PathBuf {
        self.path.join(graph.file())
    }
}

fn read_manifest(package: &Path) -> Result<Manifest, PackageError> {
    let path = package.join(MANIFEST);
    if !path.is_file() {
        fs::metadata(package).map_err(|e| PackageError::io(package, e))?;
        return Err(PackageError::NotAPackage { path: package.to_path_buf() });
    }
    let manifest_error = |reason: String| PackageError::Manifest { path: path.clone(), reason };
    let text = read_text_limited(&path, MANIFEST_LIMIT)?;
    // The version is read by itself first: a newer format may not parse as this one.
    #[derive(serde::Deserialize)]
    struct Version {
        format_version: u32,
    }
    let version: Version = serde_json::from_str(&text).map_err(|e| manifest_error(e.to_string()))?;
    if version.format_version > Manifest::FORMAT_VERSION {
        return Err(PackageError::NewerFormat {
            path,
            found: version.format_version,
            supported: Manifest::FORMAT_VERSION,
        });
    }
    let manifest: Manifest = serde_json::from_str(&text).map_err(|e| manifest_error(e.to_string()))?;
    if manifest.layout == Layout::TransformersJs {
        return Err(PackageError::TransformersJs { path: package.to_path_buf() });
    }
    for graph in Graph::ALL {
        if !manifest.graphs.contains_key(graph.name()) {
            return Err(manifest_error(format!("`graphs` does not describe the {} graph", graph.name())));
        }
    }
    let files = Graph::ALL.iter().flat_map(|graph| [graph.file(), graph.data_file()]);
    for name in files.chain([CONFIG]) {
        if !manifest.files.contains_key(name) {
            return Err(manifest_error(format!("`files` does not list {name}")));
        }
    }
    Ok(manifest)
}

fn problems_of(package: &Path, manifest: &Manifest) -> Result<Vec<String>, PackageError> {
    let mut problems: Vec<String> =
        manifest.files.iter().filter_map(|(name, expected)| file_problem(package, name, expected)).collect();
    if problems.is_empty() {
        for graph in Graph::ALL {
            let shared = manifest.graphs.get(graph.name()).map(|info| &info.shared);
            problems.extend(check_external_data(package, graph, shared.unwrap_or(&BTreeMap::new()))?);
        }
    }
    Ok(problems)
}

fn file_problem(package: &Path, name: &str, expected: &FileInfo) -> Option<String> {
    let is_plain_name =
        Path::new(name).components().count() == 1 && Path::new(name).file_name().is_some_and(|n| n == name);
    if !is_plain_name {
        return Some(format!("`{name}` is not a plain file name"));
    }
    if name.ends_with(".onnx") && expected.bytes > GRAPH_LIMIT {
        return Some(format!("{name} is larger than any graph of this model"));
    }
    match fs::symlink_metadata(package.join(name)) {
        Err(_) => Some(format!("{name} is missing")),
        Ok(found) if !found.is_file() => Some(format!("{name} is not a plain file")),
        Ok(found) if found.len() != expected.bytes => {
            Some(format!("{name} has {} bytes instead of {}", found.len(), expected.bytes))
        }
        Ok(_) => None,
    }
}
