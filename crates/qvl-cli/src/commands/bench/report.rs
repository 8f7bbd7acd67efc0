//! What was measured, for people and for programs.

use std::collections::BTreeMap;
use std::path::Path;

use qvl::PackageDir;
use qvl::bench::Figures;
use serde::Serialize;

use super::table::table;
use crate::terminal::print;

/// All figures and what they were measured on; serialised, it is the object of `--json`.
#[derive(Debug, Serialize)]
pub struct Report {
    pub model: String,
    /// Type of each graph's weights, by its name.
    pub precisions: BTreeMap<String, String>,
    #[serde(flatten)]
    pub figures: Figures,
}

impl Report {
    /// Of `package`, which was given as `path`; the demo model's has none.
    pub fn new(path: Option<&Path>, package: &PackageDir, figures: Figures) -> Self {
        let graphs = package.manifest().graphs.iter();
        Self {
            model: path.map_or_else(|| qvl_demo::NAME.to_owned(), |path| path.display().to_string()),
            precisions: graphs.map(|(name, graph)| (name.clone(), graph.precision.to_string())).collect(),
            figures,
        }
    }

    /// Prints the tables, or the object instead.
    ///
    /// # Errors
    /// If stdout cannot be written.
    pub fn print(&self, as_json: bool) -> anyhow::Result<()> {
        print(&if as_json { format!("{}\n", serde_json::to_string(self)?) } else { table(self) })
    }
}
