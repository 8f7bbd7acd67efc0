//! What a sequence's KV cache holds, and how much of it serves the next prompt.

use qvl_checkpoint::Config;
use qvl_processor::Prompt;

use crate::vision_cache::VisionKey;

/// One position of the KV cache. Two that are equal, after equal ones, hold equal keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CachedToken {
    pub(crate) id: u32,
    /// On the axes t, h and w.
    pub(crate) position: [i64; 3],
    /// The picture or video whose feature stands here; none for text, generated placeholder tokens included.
    pub(crate) picture: Option<VisionKey>,
}

impl CachedToken {
    /// A token of text, at the same position on all axes.
    pub(crate) fn text(id: u32, position: i64) -> Self {
        Self { id, position: [position; 3], picture: None }
    }
}

/// Position of the first token after `prompt`, on all axes: one after the greatest of the prompt on any axis (SPEC §6).
pub(crate) fn position_after(prompt: &Prompt) -> i64 {
    prompt.token_ids.len() as i64 + prompt.rope_delta
}

/// A prompt's tokens as the KV cache will hold them, and where its pictures are.
#[derive(Debug)]
pub(crate) struct PromptLayout {
    pub(crate) tokens: Vec<CachedToken>,
    /// For each picture or video, in order, its key and the indices of its tokens.
    pub(crate) pictures: Vec<(VisionKey, Vec<usize>)>,
}

/// A prompt whose parts do not fit one another.
#[derive(Debug, thiserror::Error)]
#[error(
    "the prompt has {placeholders} places for {features} vision features; this is a defect of qvl, please report it"
)]
pub struct LayoutError {
    /// Placeholder tokens in the prompt.
    pub placeholders: usize,
    /// Features that its pictures and videos give.
    pub features: usize,
}

impl PromptLayout {
    /// Assigns the placeholder tokens of `prompt`, in order, to its pictures and videos.
    ///
    /// # Errors
    /// If there are more or fewer placeholders than features.
    pub(crate) fn new(prompt: &Prompt, config: &Config) -> Result<Self, LayoutError> {
        let is_placeholder = |id: u32| id == config.image_token_id || id == config.video_token_id;
        let mut tokens: Vec<CachedToken> = prompt
            .token_ids
            .iter()
            .zip(&prompt.positions)
            .map(|(&id, &position)| CachedToken { id, position, picture: None })
            .collect();
        let places: Vec<usize> = (0..tokens.len()).filter(|&index| is_placeholder(tokens[index].id)).collect();
        let features = prompt.media.iter().map(|media| media.tokens).sum();
        if places.len() != features {
            return Err(LayoutError { placeholders: places.len(), features });
        }
        let mut pictures = Vec::with_capacity(prompt.media.len());
        let mut rest = places.as_slice();
        for media in &prompt.media {
            let (own, others) = rest.split_at(media.tokens);
            let key = VisionKey { content: media.content_hash, grid: media.grid };
            own.iter().for_each(|&index| tokens[index].picture = Some(key));
            pictures.push((key, own.to_vec()));
            rest = others;
        }
        Ok(Self { tokens, pictures })
    }

    /// How many tokens at the beginning `cached` already holds. At least one is left, whose logits are wanted.
    pub(crate) fn common_prefix(&self, cached: &[CachedToken]) -> usize {
        let equal = self.tokens.iter().zip(cached).take_while(|(new, old)| new == old).count();
        equal.min(self.tokens.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use qvl_checkpoint::Grid;
    use qvl_processor::{MediaInfo, MediaKind, TokenType};

    use super::*;

    const PICTURE: u32 = 1212;

    fn config() -> Config {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/tiny/dense-tied/config.json");
        let config = Config::read(path.as_ref()).unwrap();
        assert_eq!(config.image_token_id, PICTURE);
        config
    }

    /// A prompt of `token_ids` with pictures of two tokens each, whose pixels are told by a number.
    fn layout(token_ids: &[u32], pictures: &[u8]) -> Result<PromptLayout, LayoutError> {
        let grid = Grid { t: 1, h: 2, w: 4 };
        let media = pictures.iter().map(|&content| MediaInfo {
            kind: MediaKind::Image,
            grid,
            width: 64,
            height: 32,
            tokens: 2,
            content_hash: [content; 32],
        });
        let prompt = Prompt {
            token_ids: token_ids.to_vec(),
            token_types: vec![TokenType::Text; token_ids.len()],
            positions: (0..token_ids.len() as i64).map(|position| [position; 3]).collect(),
            rope_delta: 0,
            pixel_values: Vec::new(),
            resized: Vec::new(),
            grids: vec![grid; pictures.len()],
            media: media.collect(),
            text: String::new(),
        };
        PromptLayout::new(&prompt, &config())
    }

    #[test]
    fn placeholders_belong_to_the_pictures_in_order() {
        let layout = layout(&[1, PICTURE, PICTURE, 2, PICTURE, PICTURE, 3], &[7, 8]).unwrap();
        let places: Vec<_> = layout.pictures.iter().map(|(key, places)| (key.content[0], places.clone())).collect();
        assert_eq!(places, [(7, vec![1, 2]), (8, vec![4, 5])]);
    }

    #[test]
    fn a_prefix_is_shared_up_to_the_first_difference() {
        let old = layout(&[1, PICTURE, PICTURE, 2, 3, 4], &[7]).unwrap();
        let shared =
            |token_ids: &[u32], pictures: &[u8]| layout(token_ids, pictures).unwrap().common_prefix(&old.tokens);
        assert_eq!(shared(&[1, PICTURE, PICTURE, 2, 5, 4, 9], &[7]), 4);
        assert_eq!(shared(&[1, PICTURE, PICTURE, 2, 3, 4, 9], &[7]), 6);
        assert_eq!(shared(&[1, PICTURE, PICTURE, 2, 3, 4], &[7]), 5, "one token is left to compute");
        assert_eq!(shared(&[1, PICTURE, PICTURE, 2, 3, 4, 9], &[8]), 1, "another picture");
    }

    #[test]
    fn a_generated_placeholder_is_no_picture() {
        let mut old = layout(&[1], &[]).unwrap().tokens;
        old.extend((1..3).map(|position| CachedToken::text(PICTURE, position)));
        assert_eq!(layout(&[1, PICTURE, PICTURE, 2], &[7]).unwrap().common_prefix(&old), 1);
    }

    #[test]
    fn placeholders_that_do_not_fit_the_pictures_are_an_error() {
        for (token_ids, pictures) in [(&[1, PICTURE][..], &[7][..]), (&[PICTURE, PICTURE], &[]), (&[1], &[7])] {
            assert!(layout(token_ids, pictures).is_err());
        }
    }
}
