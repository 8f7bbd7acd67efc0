//! The resize of the reference, bit for bit (reference/SPEC.md §1.3).

use std::borrow::Cow;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

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
///
/// The kind of pixel is a type here: with one that is found out as it runs, the filters of all kinds are compiled.
fn pass(resizer: &mut Resizer, picture: &Rgb8, height: usize, width: usize) -> Result<Rgb8, ImageError> {
    let bad_layout =
        || ImageError::BadLayout { width: picture.width, height: picture.height, bytes: picture.data.len() };
    let side = |n: usize| u32::try_from(n).map_err(|_| bad_layout());
    let source = TypedImageRef::<U8x3>::from_buffer(side(picture.width)?, side(picture.height)?, &picture.data)
        .map_err(|_| bad_layout())?;
    // Before any memory is taken: a side that no picture can have is an error, not an allocation.
    let (target_width, target_height) = (side(width)?, side(height)?);
    let mut data = vec![0; 3 * width * height];
    let mut target =
        TypedImage::<U8x3>::from_buffer(target_width, target_height, &mut data).map_err(|_| bad_layout())?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    resizer.resize_typed(&source, &mut target, &options).map_err(|_| ImageError::NoPixels { width, height })?;
    Rgb8::new(width, height, data)
}
