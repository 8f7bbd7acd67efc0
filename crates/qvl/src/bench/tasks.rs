//! The measures with their inputs, and how much work each is.

use qvl_package::{Graph, GraphInfo, LogitsRows, PackageDir};
use qvl_processor::{Patches, Processor};

use super::bytes::DecodeBytes;
use super::inputs::picture;
use super::limits::Bound;
use super::operations::{prefill_operations, vision_operations};
use super::plan::Measure;
use crate::error::Error;

/// A measure with what is put in and how much work that is.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) measure: Measure,
    pub(super) input: Input,
    /// Patches of the picture, or tokens.
    pub(super) count: usize,
    /// Operations, or bytes where reading is the bound.
    pub(super) work: f64,
    /// What limits it by the package.
    pub(super) bound: Bound,
}

/// What a measure puts in.
#[derive(Debug)]
pub(super) enum Input {
    /// A picture.
    Picture(Patches),
    /// So many tokens, into an empty sequence.
    Prompt(usize),
    /// Token after token, into a sequence of so many.
    Context(usize),
}

/// The tasks of `measures`, with their inputs.
///
/// # Errors
/// If the text graph or the processor's files are not usable.
pub(super) fn tasks(package: &PackageDir, measures: &[Measure]) -> Result<Vec<Task>, Error> {
    let config = package.config();
    let info = |graph: Graph| package.manifest().graphs.get(graph.name());
    let logits = info(Graph::Text).and_then(|info| info.logits).unwrap_or(LogitsRows::Last);
    let bytes = DecodeBytes::read(package)?;
    let processor = Processor::open(package.path())?;
    let task = |&measure: &Measure| {
        let (input, count, work, bound) = match measure {
            Measure::Vision { width, height } => {
                let patches = picture(processor.images(), width, height)?;
                let (count, work) = (patches.grid.patches(), vision_operations(config, patches.grid));
                (Input::Picture(patches), count, work, arithmetic(info(Graph::Vision)))
            }
            Measure::Prefill { tokens } => {
                let work = prefill_operations(&config.text, tokens, logits);
                (Input::Prompt(tokens), tokens, work, arithmetic(info(Graph::Text)))
            }
            Measure::Decode { context } => (Input::Context(context), 1, bytes.at(context) as f64, Bound::ReadBandwidth),
        };
        Ok(Task { measure, input, count, work, bound })
    };
    measures.iter().map(task).collect()
}

/// int8 where the package lets an engine round what meets its matrices to int8.
fn arithmetic(graph: Option<&GraphInfo>) -> Bound {
    let quantization = graph.and_then(|graph| graph.quantization.as_ref());
    let is_int8 = quantization.is_some_and(|quantization| quantization.accuracy_level > 0);
    if is_int8 { Bound::Int8Peak } else { Bound::Float32Peak }
}
