//! GPTQ over a whole model: matrices are quantised one place after another, and what comes later sees what they give now.

use super::codes::CodesWriter;
use super::fitter::{Fitter, Gram, Site};
use super::gptq::Factor;
use super::target::{Fitted, Target};
use crate::ExportError;
use crate::storage::{Storage, StoragePlan};

/// How much the tokens of all experts count for an expert beside its own: it may have few.
const SHARED_TOKENS: f32 = 0.02;

/// Quantises by GPTQ and keeps the codes.
pub(super) struct GptqFitter<'b> {
    plan: &'b StoragePlan,
    codes: CodesWriter,
    /// Of all tokens, where a layer has experts.
    all_tokens: Option<Gram>,
}

impl<'b> GptqFitter<'b> {
    pub(super) fn new(plan: &'b StoragePlan, codes: CodesWriter) -> Self {
        Self { plan, codes, all_tokens: None }
    }

    /// The file with the codes.
    pub(super) fn into_codes(self) -> CodesWriter {
        self.codes
    }
}

impl<'a> Fitter<'a> for GptqFitter<'_> {
    fn fit(&mut self, site: Site, targets: Vec<Target<'a>>, mut gram: Gram) -> Result<Vec<Fitted<'a>>, ExportError> {
        if site == Site::ExpertsIn {
            self.all_tokens = Some(gram);
            return Ok(targets.into_iter().map(Fitted::Original).collect());
        }
        if let (Site::ExpertIn(_), Some(all)) = (site, &self.all_tokens) {
            gram.sums.iter_mut().zip(&all.sums).for_each(|(sum, all)| *sum += SHARED_TOKENS * all);
        }
        if targets.iter().all(|target| matches!(target.storage, Storage::Float(_))) {
            return Ok(targets.into_iter().map(Fitted::Original).collect());
        }
        let factor = Factor::new(gram.sums, gram.n);
        let mut fitted = Vec::with_capacity(targets.len());
        for target in targets {
            fitted.push(match target.storage {
                Storage::Float(_) => Fitted::Original(target),
                Storage::Blocks(format) => {
                    let blocks = factor.quantize(&target, format)?;
                    self.plan.add_loss(&target.name, blocks.loss);
                    self.codes.add(&target.name, target.rows.clone(), &blocks)?;
                    Fitted::Blocks(blocks)
                }
            });
        }
        Ok(fitted)
    }
}
