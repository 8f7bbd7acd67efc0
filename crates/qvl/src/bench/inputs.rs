//! What is put into the model: the same in every run.

use qvl_checkpoint::Config;
use qvl_processor::{ImageProcessor, Patches, PixelBudget, ProcessorError, Rgb8};

use crate::error::Error;

/// The token at place `index` of all prompts: any of the vocabulary, but no placeholder of a picture or video.
///
/// Steps of the golden ratio lie evenly over the vocabulary and repeat late (Knuth, The Art of Computer Programming 3,
/// §6.4), so different experts are chosen.
pub(super) fn token(config: &Config, index: usize) -> u32 {
    let vocab = config.text.vocab_size as u64;
    let scattered = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let nearby = (0..3).map(|step| ((scattered + step) % vocab) as u32);
    let is_placeholder = |token: &u32| [config.image_token_id, config.video_token_id].contains(token);
    nearby.into_iter().find(|token| !is_placeholder(token)).unwrap_or(0)
}

/// The patches of a drawn picture of this size, which is kept where the patches fit it.
pub(super) fn picture(images: &ImageProcessor, width: usize, height: usize) -> Result<Patches, Error> {
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, (x ^ y) as u8]));
    let area = (width * height) as u64;
    let budget = PixelBudget { min_pixels: area, max_pixels: area };
    let patches =
        Rgb8::new(width, height, pixels.collect()).and_then(|picture| images.process(&picture, Some(&budget)));
    Ok(patches.map_err(ProcessorError::Preprocessor)?)
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;
    use qvl_checkpoint::Grid;
    use qvl_processor::Processor;

    use super::*;

    fn tiny(checkpoint: &str) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "../../reference/tiny", checkpoint].iter().collect()
    }

    /// Of a tiny checkpoint.
    pub(in crate::bench) fn config(checkpoint: &str) -> Config {
        Config::read(&tiny(checkpoint).join("config.json")).unwrap()
    }

    proptest! {
        #[test]
        fn tokens_are_valid_and_no_placeholders(index: u32, vocab in 3_usize..2000, image: u32, video: u32) {
            let mut config = config("dense-tied");
            config.text.vocab_size = vocab;
            (config.image_token_id, config.video_token_id) = (image % vocab as u32, video % vocab as u32);
            let token = token(&config, index as usize);
            prop_assert!((token as usize) < vocab);
            prop_assert!(token != config.image_token_id && token != config.video_token_id);
        }
    }

    #[test]
    fn tokens_are_many() {
        let config = config("dense-tied");
        let tokens: std::collections::HashSet<u32> = (0..512).map(|index| token(&config, index)).collect();
        assert!(tokens.len() > 400, "{}", tokens.len());
    }

    #[test]
    fn pictures_keep_their_size() {
        let processor = Processor::open(&tiny("dense-tied")).unwrap();
        let patches = picture(processor.images(), 1024, 768).unwrap();
        assert_eq!(patches.grid, Grid { t: 1, h: 48, w: 64 });
    }
}
