//! What is seen of an animation: frames laid over each other.

use image::{Rgba, RgbaImage};

/// Where a frame lies on the canvas, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The canvas; it is transparent where no frame is, as browsers show it, whatever colour a file wishes.
#[derive(Debug, Clone)]
pub(super) struct Canvas {
    picture: RgbaImage,
    to_clear: Option<Place>,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self { picture: RgbaImage::new(width, height), to_clear: None }
    }

    pub(super) fn picture(&self) -> &RgbaImage {
        &self.picture
    }

    /// Draws a frame, laid over what is there or in place of it; false if it does not fit the place, or the place the canvas.
    pub(super) fn draw(&mut self, frame: &RgbaImage, place: Place, is_laid_over: bool) -> bool {
        let Place { x, y, width, height } = place;
        let is_inside = x + width <= self.picture.width() && y + height <= self.picture.height();
        if !is_inside || frame.dimensions() != (width, height) {
            return false;
        }
        if let Some(place) = self.to_clear.take() {
            self.change(place, |_, _, pixel| *pixel = Rgba([0; 4]));
        }
        self.change(place, |x, y, pixel| {
            let new = *frame.get_pixel(x, y);
            *pixel = if is_laid_over { over(new, *pixel) } else { new };
        });
        true
    }

    /// Clears the place of a frame that was drawn, as soon as another one is.
    pub(super) fn clear_before_next(&mut self, place: Place) {
        self.to_clear = Some(place);
    }

    fn change(&mut self, place: Place, change: impl Fn(u32, u32, &mut Rgba<u8>)) {
        for y in 0..place.height {
            for x in 0..place.width {
                change(x, y, self.picture.get_pixel_mut(place.x + x, place.y + y));
            }
        }
    }
}

/// `source` over `below`, both with colours that are not multiplied by their opacity (RFC 9649, section 2.7.1.1):
/// `a = as + ab·(1 − as)`, `c = (cs·as + cb·ab·(1 − as)) / a`, each rounded.
fn over(source: Rgba<u8>, below: Rgba<u8>) -> Rgba<u8> {
    match source[3] {
        255 => source,
        0 => below,
        opacity => {
            // Of 255 · 255.
            let (of_source, of_below) = (255 * u32::from(opacity), u32::from(below[3]) * (255 - u32::from(opacity)));
            let whole = of_source + of_below;
            let mixed = [0, 1, 2].map(|c| {
                let sum = u32::from(source[c]) * of_source + u32::from(below[c]) * of_below;
                ((sum + whole / 2) / whole) as u8
            });
            Rgba([mixed[0], mixed[1], mixed[2], ((whole + 127) / 255) as u8])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opacities_add_up() {
        assert_eq!(over(Rgba([9, 9, 9, 255]), Rgba([1, 2, 3, 255])), Rgba([9, 9, 9, 255]));
        assert_eq!(over(Rgba([9, 9, 9, 0]), Rgba([1, 2, 3, 77])), Rgba([1, 2, 3, 77]));
        assert_eq!(over(Rgba([200, 0, 0, 128]), Rgba([0, 100, 0, 255])), Rgba([100, 50, 0, 255]));
        assert_eq!(over(Rgba([200, 0, 0, 128]), Rgba([50, 50, 50, 0])), Rgba([200, 0, 0, 128]));
        assert_eq!(over(Rgba([255; 4]), Rgba([255; 4])), Rgba([255; 4]));
    }

    #[test]
    fn a_frame_is_cleared_before_the_next_one_and_not_earlier() {
        let mut canvas = Canvas::new(4, 2);
        let frame = RgbaImage::from_pixel(2, 2, Rgba([10, 20, 30, 255]));
        let place = Place { x: 0, y: 0, width: 2, height: 2 };
        assert!(canvas.draw(&frame, place, true));
        canvas.clear_before_next(place);
        assert_eq!(canvas.picture().get_pixel(1, 1)[3], 255);
        assert!(canvas.draw(&frame, Place { x: 2, ..place }, true));
        assert_eq!((canvas.picture().get_pixel(1, 1)[3], canvas.picture().get_pixel(3, 1)[3]), (0, 255));
    }

    #[test]
    fn what_does_not_fit_is_not_drawn() {
        let mut canvas = Canvas::new(4, 2);
        let frame = RgbaImage::new(2, 2);
        for place in [(3, 0, 2, 2), (0, 1, 2, 2), (0, 0, 1, 2), (0, 0, 2, 1)] {
            let (x, y, width, height) = place;
            assert!(!canvas.draw(&frame, Place { x, y, width, height }, true), "{place:?}");
        }
    }
}
