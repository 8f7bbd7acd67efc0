//! Where the pixel values of a prompt's pictures come from.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use qvl_checkpoint::Grid;
use qvl_processor::{Prompt, ResizedPicture};

/// Pixel values, those that are there and those that are computed when they are called for.
#[derive(Debug, Default, Clone)]
pub(crate) struct PixelSource {
    /// Patches of the pictures that are not among the resized ones.
    values: Vec<f32>,
    /// One for each picture or video.
    resized: Vec<Option<Arc<ResizedPicture>>>,
}

impl PixelSource {
    /// Takes the pixel values out of `prompt`.
    pub(crate) fn take(prompt: &mut Prompt) -> Self {
        Self { values: mem::take(&mut prompt.pixel_values), resized: mem::take(&mut prompt.resized) }
    }

    /// The pixel values of `prompt`, which keeps them.
    pub(crate) fn of(prompt: &Prompt) -> Self {
        Self { values: prompt.pixel_values.clone(), resized: prompt.resized.clone() }
    }

    /// Those of picture `index`, of a prompt whose pictures have these grids; a patch has `patch_len`. Too few if the prompt has
    /// too few: the engine says so.
    pub(crate) fn picture(
        &self,
        index: usize,
        mut grids: impl Iterator<Item = Grid>,
        patch_len: usize,
    ) -> Cow<'_, [f32]> {
        let resized = |index: usize| self.resized.get(index).and_then(Option::as_ref);
        if let Some(picture) = resized(index) {
            return Cow::Owned(picture.patches().pixel_values);
        }
        let before = grids.by_ref().take(index).enumerate().filter(|(index, _)| resized(*index).is_none());
        let first: usize = before.map(|(_, grid)| grid.patches() * patch_len).sum();
        let len = grids.next().map_or(0, |grid| grid.patches() * patch_len);
        Cow::Borrowed(self.values.get(first..first + len).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use qvl_processor::{Media, Message, Part, Processor, PromptOptions, Role};

    use super::*;
    use crate::media::read_image;
    use crate::test_engine::reference;

    #[test]
    fn resized_pictures_have_the_pixel_values_of_their_sources() {
        let processor = Processor::open(&reference("tiny/dense-tied")).unwrap();
        let picture = |name: &str| read_image(&reference(name)).unwrap();
        let sources = [picture("images/photo_100x100.png"), picture("images/gray_200x150.png")];
        let resize = |media: &Media| match media {
            Media::Image(source) => Media::Resized(Arc::new(processor.images().resize(source, None).unwrap())),
            other => panic!("no picture: {other:?}"),
        };
        let options = PromptOptions::default();
        let messages = [Message::new(Role::User, [1, 0, 1, 0].map(Part::Image).to_vec())];
        let mut expected = processor.prepare(&messages, &sources, &options).unwrap();
        let expected_pixels = PixelSource::take(&mut expected);
        for given in [[resize(&sources[0]), sources[1].clone()], [sources[0].clone(), resize(&sources[1])]] {
            let mut prompt = processor.prepare(&messages, &given, &options).unwrap();
            let pixels = PixelSource::take(&mut prompt);
            assert_eq!((&prompt.token_ids, &prompt.media), (&expected.token_ids, &expected.media));
            let values =
                |pixels: &PixelSource, index| pixels.picture(index, prompt.grids.iter().copied(), 1536).into_owned();
            for index in 0..4 {
                assert_eq!(values(&pixels, index), values(&expected_pixels, index), "{index}");
                assert!(!values(&pixels, index).is_empty());
            }
            let nothing: &[f32] = &[];
            assert_eq!(values(&pixels, 4), nothing, "there is none");
        }
    }
}
