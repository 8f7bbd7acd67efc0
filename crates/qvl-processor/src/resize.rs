//! The resize of the reference, bit for bit (reference/SPEC.md §1.3).

use std::borrow::Cow;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::{ImageError, Rgb8};

/// Resizes with an antialiased Catmull-Rom filter in fixed point: first along the rows, rounded to 8 bits, then along
/// the columns. A pass that changes nothing is left out; with none left the picture itself is returned.
///
/// # Errors
/// [`ImageError::BadLayout`] or [`ImageError::NoPixels`] for a malformed picture or an empty target.
pub fn resize(picture: &Rgb8, height: usize, width: usize) -> Result<Cow<'_, Rgb8>, ImageError> {
    picture.check()?;
    if height == 0 || width == 0 {
        return Err(ImageError::NoPixels { width, height });
    }
    let mut resizer = Resizer::new();
    let mut current = Cow::Borrowed(picture);
    // The order matters: each pass rounds.
    for (height, width) in [(picture.height, width), (height, width)] {
        if (current.height, current.width) != (height, width) {
            current = Cow::Owned(pass(&mut resizer, &current, height, width)?);
        }
    }
    Ok(current)
}

/// One resize along one axis: the other side stays as it is.
fn pass(resizer: &mut Resizer, picture: &Rgb8, height: usize, width: usize) -> Result<Rgb8, ImageError> {
    let too_large =
        |_| ImageError::BadLayout { width: picture.width, height: picture.height, bytes: picture.data.len() };
    let side = |n: usize| u32::try_from(n).map_err(too_large);
    let source =
        ImageRef::new(side(picture.width)?, side(picture.height)?, &picture.data, PixelType::U8x3).map_err(|_| {
            ImageError::BadLayout { width: picture.width, height: picture.height, bytes: picture.data.len() }
        })?;
    let mut target = Image::new(side(width)?, side(height)?, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    resizer.resize(&source, &mut target, &options).map_err(|_| ImageError::NoPixels { width, height })?;
    Rgb8::new(width, height, target.into_vec())
}
