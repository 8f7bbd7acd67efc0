//! `qvl requantize`

use super::export::{options, write_package};
use crate::args::RequantizeArgs;
use crate::calibration::Calibration;

/// Makes a package out of another one and tells what was written.
///
/// # Errors
/// If the package is damaged or quantised, the new one cannot be written, or Ctrl-C was pressed; the target is then as
/// it was.
pub fn requantize(args: &RequantizeArgs) -> anyhow::Result<()> {
    let calibration = Calibration::new(&args.choices)?;
    let options = options(&args.output, args.precision.into(), &args.choices, &calibration);
    write_package(|progress| qvl_export::requantize(&args.package, &options, progress))
}
