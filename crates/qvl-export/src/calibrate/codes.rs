//! Codes that calibration found, kept in a file until the graph is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use qvl_package::PackageError;

use crate::ExportError;
use crate::quantize::{BlockFormat, Blocks};

/// Rows that lie in the file, with their codes, scales and zero points in this order.
#[derive(Debug)]
struct Segment {
    /// Among the rows of all matrices of the tensor.
    rows: Range<usize>,
    format: BlockFormat,
    columns: usize,
    start: usize,
}

/// Segments by the tensors' names.
type Segments = BTreeMap<String, Vec<Segment>>;

/// Writes codes to a file without a name, which is gone whatever happens to the program.
pub(super) struct CodesWriter {
    file: BufWriter<File>,
    length: usize,
    segments: Segments,
}

impl CodesWriter {
    /// A new file on the disk that `directory` is on.
    pub(super) fn new(directory: &Path) -> Result<Self, ExportError> {
        let file = tempfile::tempfile_in(directory).map_err(|e| PackageError::io(directory, e))?;
        Ok(Self { file: BufWriter::new(file), length: 0, segments: Segments::new() })
    }

    /// Adds the rows `rows` of the tensor `name`.
    pub(super) fn add(&mut self, name: &str, rows: Range<usize>, blocks: &Blocks) -> Result<(), ExportError> {
        for part in [&blocks.codes, &blocks.scales, &blocks.zero_points] {
            self.file.write_all(part).map_err(|e| PackageError::io("the codes of the calibration", e))?;
        }
        let (format, columns, start) = (blocks.format, blocks.columns, self.length);
        self.segments.entry(name.to_owned()).or_default().push(Segment { rows, format, columns, start });
        self.length += blocks.codes.len() + blocks.scales.len() + blocks.zero_points.len();
        Ok(())
    }

    /// What was written, to be read.
    pub(super) fn finish(self) -> Result<Codes, ExportError> {
        let failed = |error| PackageError::io("the codes of the calibration", error);
        let file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        // SAFETY: the file has no name, so that no other program can change or shorten it.
        let bytes = if self.length > 0 { Some(unsafe { Mmap::map(&file) }.map_err(failed)?) } else { None };
        Ok(Codes { bytes, segments: self.segments })
    }
}

/// Codes of matrices.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    bytes: Option<Mmap>,
    segments: Segments,
}

impl Codes {
    /// Whether there are codes of the tensor `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.segments.contains_key(name)
    }

    /// Copies the rows `rows` of the tensor `name`: codes, scales and, where there are some, zero points.
    ///
    /// # Errors
    /// If there are not all of them.
    pub(crate) fn copy(&self, name: &str, rows: Range<usize>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
        let mut copied = 0;
        for segment in self.segments.get(name).into_iter().flatten() {
            let from = rows.start.max(segment.rows.start);
            let to = rows.end.min(segment.rows.end);
            if from < to {
                self.copy_from(segment, from..to, from - rows.start, outputs);
                copied += to - from;
            }
        }
        if copied == rows.len() { Ok(()) } else { Err(format!("{copied} of {} rows were calibrated", rows.len())) }
    }

    /// Copies rows of a segment to where the output's row `at` is.
    fn copy_from(&self, segment: &Segment, rows: Range<usize>, at: usize, outputs: &mut [&mut [u8]]) {
        let Some(bytes) = &self.bytes else { return };
        let widths = segment.format.row_bytes(segment.columns);
        let mut part = segment.start;
        for (output, width) in outputs.iter_mut().zip(widths) {
            let from = part + (rows.start - segment.rows.start) * width;
            let count = rows.len() * width;
            output[at * width..][..count].copy_from_slice(&bytes[from..from + count]);
            part += segment.rows.len() * width;
        }
    }
}

#[cfg(test)]
mod tests {
    use qvl_package::Method;

    use super::*;

    #[test]
    fn rows_come_back_from_several_segments() {
        let format = BlockFormat { bits: 4, size: 16, symmetric: false, method: Method::Gptq, accuracy_level: 0 };
        let mut writer = CodesWriter::new(&std::env::temp_dir()).unwrap();
        let mut whole = Blocks::new(format, 5, 32);
        for (i, byte) in whole.codes.iter_mut().chain(&mut whole.scales).chain(&mut whole.zero_points).enumerate() {
            *byte = i as u8;
        }
        for rows in [0..2, 2..5] {
            let mut part = Blocks::new(format, rows.len(), 32);
            let [codes, scales, zero_points] = format.row_bytes(32);
            part.codes.copy_from_slice(&whole.codes[rows.start * codes..rows.end * codes]);
            part.scales.copy_from_slice(&whole.scales[rows.start * scales..rows.end * scales]);
            part.zero_points.copy_from_slice(&whole.zero_points[rows.start * zero_points..rows.end * zero_points]);
            writer.add("a", rows, &part).unwrap();
        }
        let codes = writer.finish().unwrap();
        assert!(codes.has("a") && !codes.has("b"));
        let mut read = Blocks::new(format, 3, 32);
        codes.copy("a", 1..4, &mut [&mut read.codes, &mut read.scales, &mut read.zero_points]).unwrap();
        assert_eq!(read.codes, whole.codes[16..64]);
        assert_eq!(read.scales, whole.scales[8..32]);
        assert_eq!(read.zero_points, whole.zero_points[1..4]);
        let mut outputs: [&mut [u8]; 3] = [&mut [0; 48], &mut [0; 24], &mut [0; 3]];
        assert_eq!(codes.copy("a", 4..7, &mut outputs).unwrap_err(), "1 of 3 rows were calibrated");
    }
}
