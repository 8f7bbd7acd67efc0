//! The matrices of the first and last layer that lose most.

use qvl_checkpoint::Checkpoint;
use rayon::prelude::*;

use crate::matrices::Matrices;
use crate::quantize::{BlockFormat, Loss};
use crate::{ExportError, Progress, Stage};

/// One in how many of the layers' weights may be chosen.
const SHARE: usize = 40;

/// Rows that a thread measures at once. Sums are made of whole stretches in their order, whatever the threads do, so
/// that a checkpoint has one choice.
const STRETCH: usize = 64;

/// Those of `names`, the text decoder's matrices, that lose most when they are stored in `format`.
///
/// The first and the last layer are where a text decoder bears rounding worst: what the first loses passes through all
/// others, and what the last loses nothing makes up for. Their matrices, all but experts, are quantised and compared by
/// `Σ (w − ŵ)² / Σ w²`; from the worst on, those are chosen that fit into a fortieth of the layers' weights.
pub(super) fn sensitive(
    checkpoint: &Checkpoint,
    names: &[String],
    format: BlockFormat,
    progress: &dyn Progress,
) -> Result<Vec<String>, ExportError> {
    let last = checkpoint.config().text.num_hidden_layers.saturating_sub(1);
    let ends = [0, last].map(|layer| format!(".layers.{layer}."));
    let is_candidate = |name: &&String| ends.iter().any(|layer| name.contains(layer)) && !name.contains(".experts.");
    let candidates: Vec<&String> = names.iter().filter(is_candidate).collect();
    let mut measured = measure(checkpoint, &candidates, format, progress)?;
    measured.sort_by(|(a, a_loss), (b, b_loss)| b_loss.total_cmp(a_loss).then_with(|| a.cmp(b)));

    let len = |name: &str| Ok::<_, ExportError>(checkpoint.tensor(name)?.len());
    let layers = names.iter().filter(|name| name.contains(".layers.")).map(|name| len(name));
    let mut left = layers.sum::<Result<usize, _>>()? / SHARE;
    let mut chosen = Vec::new();
    for (name, _) in measured {
        let len = len(name)?;
        if len <= left {
            left -= len;
            chosen.push(name.to_owned());
        }
    }
    Ok(chosen)
}

/// The relative squared error of each tensor.
fn measure<'a>(
    checkpoint: &Checkpoint,
    names: &[&'a String],
    format: BlockFormat,
    progress: &dyn Progress,
) -> Result<Vec<(&'a str, f64)>, ExportError> {
    let tensors = names.iter().map(|name| checkpoint.tensor(name)).collect::<Result<Vec<_>, _>>()?;
    let bytes = |elements: usize| elements as u64 * 4;
    progress.start(Stage::Mix, tensors.iter().map(|tensor| bytes(tensor.len())).sum());
    let mut measured = Vec::with_capacity(names.len());
    for (name, tensor) in names.iter().zip(tensors) {
        if progress.is_cancelled() {
            return Err(ExportError::Cancelled);
        }
        let (rows, len) = (tensor.shape()[0], tensor.len());
        let matrix = Matrices::plain(tensor, [1, rows, len / rows]);
        measured.push((name.as_str(), loss(&matrix, format).relative()));
        matrix.release();
        progress.advance(bytes(len));
    }
    Ok(measured)
}

fn loss(matrix: &Matrices<'_>, format: BlockFormat) -> Loss {
    let [_, rows, columns] = matrix.dims();
    let stretch = |index: usize| {
        let rows = index * STRETCH..rows.min((index + 1) * STRETCH);
        let mut values = vec![0.0; rows.len() * columns];
        matrix.read(rows, &mut values);
        values.chunks_exact(columns).map(|row| format.row_loss(row)).sum()
    };
    let stretches: Vec<Loss> = (0..rows.div_ceil(STRETCH)).into_par_iter().map(stretch).collect();
    stretches.into_iter().sum()
}
