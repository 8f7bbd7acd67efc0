//! Writing the three graphs, and what the manifest says of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use qvl_checkpoint::Checkpoint;
use qvl_onnx::Model;
use qvl_onnx::proto::ExternalTensor;
use qvl_package::{Graph, GraphInfo, Layout, PackageError, Precision};

use crate::calibrate::{Calibrated, calibrate};
use crate::graph::{self, TABLE};
use crate::progress::write_stage;
use crate::storage::{SharedTensor, Storage, StoragePlan};
use crate::{ExportError, ExportOptions, Progress, Stage};

/// What all graphs of an export have in common.
pub(crate) struct GraphWriter<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) options: &'a ExportOptions,
    /// The directory that the files go to.
    pub(crate) package: &'a Path,
    pub(crate) progress: &'a dyn Progress,
}

impl GraphWriter<'_> {
    /// Writes all graphs; returns what the manifest says of each, by name.
    pub(crate) fn write_all(&self) -> Result<BTreeMap<String, GraphInfo>, ExportError> {
        let mix = self.options.mix.resolve(self.checkpoint, self.options, self.progress)?;
        let [vision, embedding, text] = self.options.precisions(self.checkpoint, &mix);
        let vision = self.vision(vision)?;
        let (embedding, places) = self.embedding(embedding)?;
        let text = self.text(text, mix, &embedding, places)?;
        let infos = [(Graph::Vision, vision), (Graph::Embedding, embedding), (Graph::Text, text)];
        Ok(infos.map(|(graph, info)| (graph.name().to_owned(), info)).into())
    }

    fn vision(&self, precision: Precision) -> Result<GraphInfo, ExportError> {
        let plan = StoragePlan::new(self.options.storage(precision), BTreeMap::new());
        let model = graph::vision(self.checkpoint, self.options.vision_graph(), &plan)?;
        self.write(Graph::Vision, precision, Stage::Vision, model)?;
        Ok(self.options.graph_info(Graph::Vision, precision, BTreeMap::new(), &plan))
    }

    fn embedding(&self, precision: Precision) -> Result<(GraphInfo, Vec<ExternalTensor>), ExportError> {
        let plan = StoragePlan::new(self.options.storage(precision), BTreeMap::new());
        let build = match self.options.layout {
            Layout::Package => graph::embedding,
            Layout::TransformersJs => graph::embed_tokens,
        };
        let model = build(self.checkpoint, self.options.embedding_float(), &plan)?;
        let places = self.write(Graph::Embedding, precision, Stage::Embedding, model)?;
        Ok((self.options.graph_info(Graph::Embedding, precision, BTreeMap::new(), &plan), places))
    }

    /// `embedding` is the graph that was written before, with its external tensors at `places`.
    fn text(
        &self,
        precision: Precision,
        mix: BTreeMap<String, Precision>,
        embedding: &GraphInfo,
        places: Vec<ExternalTensor>,
    ) -> Result<GraphInfo, ExportError> {
        let others = mix.iter().map(|(name, &precision)| (name.clone(), self.options.storage(precision))).collect();
        let plan = StoragePlan::new(self.options.storage(precision), others);
        let shared = self.shares_table(embedding, &plan).then(|| SharedTensor { name: TABLE.to_owned(), places });
        let is_shared = shared.is_some();
        let calibrated = self.calibrate(&plan, precision)?;
        let plan = plan.with_shared(shared).with_calibrated(calibrated);
        let model = graph::text(self.checkpoint, self.options.text_graph(), &plan)?;
        self.write(Graph::Text, precision, Stage::Text, model)?;

        let mut info = self.options.graph_info(Graph::Text, precision, mix, &plan);
        if is_shared {
            info.shared.insert(TABLE.to_owned(), Graph::Embedding.name().to_owned());
            if let (Some(own), Some(table)) = (&mut info.quantization, &embedding.quantization) {
                own.relative_error.extend(table.relative_error.clone());
            }
        }
        Ok(info)
    }

    /// What the method's calibration finds, for a text graph with this plan.
    fn calibrate(&self, plan: &StoragePlan, precision: Precision) -> Result<Calibrated, ExportError> {
        let method = self.options.method;
        if !method.calibrates() || precision.bits().is_none() {
            return Ok(Calibrated::default());
        }
        let Some(calibrator) = &self.options.calibrator else { return Err(ExportError::NoCalibrator { method }) };
        self.progress.start(Stage::Prompts, 0);
        let vision = self.options.layout.files(Graph::Vision, self.options.precision_of_vision()).onnx;
        let prompts = calibrator
            .prompts(self.package, &self.package.join(vision), self.options.calibration_tokens)
            .map_err(|source| ExportError::Calibrator { source })?;
        let prompts = (calibrator.source(), prompts);
        calibrate(self.checkpoint, plan, method, prompts, self.package, self.progress)
    }

    /// Whether the table that the embedding graph stores is, byte for byte, the head of a text graph with this plan, and
    /// may be stored once: transformers.js looks for a graph's weights in that graph's own file.
    fn shares_table(&self, embedding: &GraphInfo, plan: &StoragePlan) -> bool {
        let table = self.options.storage(embedding.precision);
        let is_head = self.options.layout == Layout::Package && !self.checkpoint.has_own_head();
        is_head && matches!(table, Storage::Blocks(_)) && plan.storage_of(TABLE) == table
    }

    fn write(
        &self,
        graph: Graph,
        precision: Precision,
        stage: Stage,
        model: Model<'_>,
    ) -> Result<Vec<ExternalTensor>, ExportError> {
        let files = self.options.layout.files(graph, precision);
        let (onnx, data) = (self.package.join(files.onnx), self.package.join(files.data));
        let folder = onnx.parent().unwrap_or(self.package);
        fs::create_dir_all(folder).map_err(|e| PackageError::io(folder, e))?;
        let bytes = model.weight_bytes();
        write_stage(self.progress, (stage, bytes), |advance| model.write(&onnx, &data, advance))
    }
}
