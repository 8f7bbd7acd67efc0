//! `preprocessor_config.json` and `video_preprocessor_config.json`.

use std::path::Path;

use qvl_checkpoint::read_limited;
use serde::Deserialize;
use serde_json::Value;

use crate::patches::PatchShape;
use crate::{ImageError, PixelBudget};

/// No configuration is longer than this, bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// The largest patch, temporal patch or merge size that is plausible.
const LARGEST_SIZE: usize = 256;

/// How pictures or videos are prepared for one checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct PreprocessorConfig {
    /// Bounds for the area after resizing, pixels (for videos over all frames).
    pub budget: PixelBudget,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Frames in a patch.
    pub temporal_patch_size: usize,
    /// Side of the square of patches that becomes one token.
    pub merge_size: usize,
    /// Mean per channel, of samples from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation per channel, of samples from 0 to 1.
    pub std: [f32; 3],
    /// Frames to sample per second of video.
    pub fps: f64,
    /// Fewest frames to sample from a video that has them.
    pub min_frames: usize,
    /// Most frames to sample from a video.
    pub max_frames: usize,
}

/// Which of the two configurations is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Video,
}

/// The keys as the files write them; all of them are optional there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Raw {
    size: RawSize,
    min_pixels: Option<u64>,
    max_pixels: Option<u64>,
    patch_size: Option<usize>,
    temporal_patch_size: Option<usize>,
    merge_size: Option<usize>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    fps: Option<f64>,
    min_frames: Option<usize>,
    max_frames: Option<usize>,
    do_resize: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    rescale_factor: Option<f64>,
    resample: Option<u32>,
}

/// Areas in pixels, whatever the keys say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawSize {
    shortest_edge: Option<u64>,
    longest_edge: Option<u64>,
}

impl PreprocessorConfig {
    /// The configuration for pictures in a checkpoint or package directory.
    ///
    /// `preprocessor_config.json`, or else the part `image_processor` of `processor_config.json`, which newer versions of
    /// `transformers` write instead.
    ///
    /// # Errors
    /// [`ImageError::ReadConfig`], [`ImageError::ParseConfig`], [`ImageError::BadConfig`], [`ImageError::BadBudget`].
    pub fn read_image(directory: &Path) -> Result<Self, ImageError> {
        Self::read(directory, "preprocessor_config.json", Kind::Image)
    }

    /// The configuration for videos in a checkpoint or package directory.
    ///
    /// `video_preprocessor_config.json`, or else the part `video_processor` of `processor_config.json`.
    ///
    /// # Errors
    /// As [`PreprocessorConfig::read_image`].
    pub fn read_video(directory: &Path) -> Result<Self, ImageError> {
        Self::read(directory, "video_preprocessor_config.json", Kind::Video)
    }

    /// Reads the text of `preprocessor_config.json`; missing keys have the values of the published checkpoints.
    ///
    /// # Errors
    /// [`ImageError::ParseConfig`], [`ImageError::BadConfig`], [`ImageError::BadBudget`].
    pub fn image_from_json(json: &str) -> Result<Self, ImageError> {
        Self::parse(Path::new("preprocessor_config.json"), json.as_bytes(), None, Kind::Image)
    }

    /// Reads the text of `video_preprocessor_config.json`; missing keys have the values of the published checkpoints.
    ///
    /// # Errors
    /// As [`PreprocessorConfig::image_from_json`].
    pub fn video_from_json(json: &str) -> Result<Self, ImageError> {
        let path = Path::new("video_preprocessor_config.json");
        Self::parse(path, json.as_bytes(), None, Kind::Video)
    }

    fn read(directory: &Path, name: &str, kind: Kind) -> Result<Self, ImageError> {
        let own = directory.join(name);
        let combined = directory.join("processor_config.json");
        let section = match kind {
            Kind::Image => "image_processor",
            Kind::Video => "video_processor",
        };
        let (path, section) = if own.exists() || !combined.exists() { (own, None) } else { (combined, Some(section)) };
        let json = read_limited(&path, LARGEST_FILE)?;
        Self::parse(&path, &json, section, kind)
    }

    fn parse(path: &Path, json: &[u8], section: Option<&str>, kind: Kind) -> Result<Self, ImageError> {
        let wrap = |source| ImageError::ParseConfig { path: path.to_path_buf(), source };
        let mut value: Value = serde_json::from_slice(json).map_err(wrap)?;
        if let Some(section) = section {
            value = value[section].take();
        }
        let raw: Raw = serde_json::from_value(value).map_err(wrap)?;
        raw.check_steps()?;
        let config = raw.fill(kind);
        config.check()?;
        Ok(config)
    }

    pub(crate) fn shape(&self) -> PatchShape {
        PatchShape { patch: self.patch_size, temporal: self.temporal_patch_size, merge: self.merge_size }
    }

    /// Refuses values that would divide by zero or ask for absurd memory.
    fn check(&self) -> Result<(), ImageError> {
        self.budget.check()?;
        let sizes = [
            ("patch_size", self.patch_size),
            ("temporal_patch_size", self.temporal_patch_size),
            ("merge_size", self.merge_size),
        ];
        for (key, size) in sizes {
            if !(1..=LARGEST_SIZE).contains(&size) {
                return bad(key, format!("{size} is not between 1 and {LARGEST_SIZE}"));
            }
        }
        if self.mean.iter().any(|mean| !mean.is_finite()) {
            return bad("image_mean", format!("{:?} are not finite", self.mean));
        }
        if self.std.iter().any(|std| !std.is_finite() || *std <= 0.0) {
            let reason = format!("{:?} are not all finite and above 0", self.std);
            return bad("image_std", reason);
        }
        if !(self.fps.is_finite() && self.fps > 0.0) {
            return bad("fps", format!("{} is not above 0", self.fps));
        }
        if self.max_frames == 0 || self.min_frames > self.max_frames {
            let reason = format!("{} to {} frames", self.min_frames, self.max_frames);
            return bad("min_frames and max_frames", reason + " is no range");
        }
        Ok(())
    }
}

impl Raw {
    /// Refuses files that switch a step off or choose another filter: the result would silently differ.
    fn check_steps(&self) -> Result<(), ImageError> {
        let steps =
            [("do_resize", self.do_resize), ("do_rescale", self.do_rescale), ("do_normalize", self.do_normalize)];
        for (key, step) in steps {
            if step == Some(false) {
                return bad(key, "false is not supported; remove the key".into());
            }
        }
        if self.rescale_factor.is_some_and(|f| (f * 255.0 - 1.0).abs() > 1e-6) {
            return bad("rescale_factor", "only 1/255 is supported; remove the key".into());
        }
        if self.resample.is_some_and(|filter| filter != BICUBIC) {
            return bad("resample", "only 3 (bicubic) is supported; remove the key".into());
        }
        Ok(())
    }

    fn fill(self, kind: Kind) -> PreprocessorConfig {
        let usual = match kind {
            Kind::Image => PixelBudget::IMAGE,
            Kind::Video => PixelBudget::VIDEO,
        };
        let min = self.min_pixels.or(self.size.shortest_edge);
        let max = self.max_pixels.or(self.size.longest_edge);
        PreprocessorConfig {
            budget: PixelBudget {
                min_pixels: min.unwrap_or(usual.min_pixels),
                max_pixels: max.unwrap_or(usual.max_pixels),
            },
            patch_size: self.patch_size.unwrap_or(16),
            temporal_patch_size: self.temporal_patch_size.unwrap_or(2),
            merge_size: self.merge_size.unwrap_or(2),
            mean: self.image_mean.unwrap_or([0.5; 3]),
            std: self.image_std.unwrap_or([0.5; 3]),
            fps: self.fps.unwrap_or(2.0),
            min_frames: self.min_frames.unwrap_or(4),
            max_frames: self.max_frames.unwrap_or(768),
        }
    }
}

/// Pillow's number of the bicubic filter.
const BICUBIC: u32 = 3;

fn bad<T>(key: &'static str, reason: String) -> Result<T, ImageError> {
    Err(ImageError::BadConfig { key, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        PreprocessorConfig::image_from_json(json).unwrap_err().to_string()
    }

    #[test]
    fn published_values_are_the_defaults() {
        let image = PreprocessorConfig::image_from_json("{}").unwrap();
        assert_eq!(image.budget, PixelBudget::IMAGE);
        assert_eq!((image.patch_size, image.temporal_patch_size, image.merge_size), (16, 2, 2));
        let video = PreprocessorConfig::video_from_json("{}").unwrap();
        assert_eq!(video.budget, PixelBudget::VIDEO);
        assert_eq!((video.fps, video.min_frames, video.max_frames), (2.0, 4, 768));
    }

    #[test]
    fn both_dialects_of_the_budget() {
        let size = r#"{"size": {"shortest_edge": 1024, "longest_edge": 4096}}"#;
        let pixels = r#"{"min_pixels": 1024, "max_pixels": 4096}"#;
        for json in [size, pixels] {
            let config = PreprocessorConfig::image_from_json(json).unwrap();
            assert_eq!(config.budget, PixelBudget { min_pixels: 1024, max_pixels: 4096 });
        }
    }

    #[test]
    fn the_combined_file_is_read_when_the_own_one_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let combined = r#"{"image_processor": {"patch_size": 8}, "video_processor": {"fps": 1}}"#;
        std::fs::write(directory.path().join("processor_config.json"), combined).unwrap();
        let image = PreprocessorConfig::read_image(directory.path()).unwrap();
        assert_eq!(image.patch_size, 8);
        let video = PreprocessorConfig::read_video(directory.path()).unwrap();
        assert_eq!((video.patch_size, video.fps), (16, 1.0));
        let own = directory.path().join("preprocessor_config.json");
        std::fs::write(own, r#"{"patch_size": 4}"#).unwrap();
        let image = PreprocessorConfig::read_image(directory.path()).unwrap();
        assert_eq!(image.patch_size, 4);
    }

    #[test]
    fn bad_values_are_named() {
        assert_eq!(
            refusal(r#"{"patch_size": 0}"#),
            "patch_size in the picture configuration: 0 is not between 1 and 256"
        );
        assert_eq!(
            refusal(r#"{"image_std": [0.5, 0, 0.5]}"#),
            "image_std in the picture configuration: [0.5, 0.0, 0.5] are not all finite and above 0"
        );
        assert_eq!(
            refusal(r#"{"do_resize": false}"#),
            "do_resize in the picture configuration: false is not supported; remove the key"
        );
        assert!(refusal(r#"{"resample": 2}"#).contains("only 3 (bicubic)"));
        assert!(refusal(r#"{"rescale_factor": 1.0}"#).contains("only 1/255"));
        assert!(refusal(r#"{"fps": 0}"#).starts_with("fps in the picture configuration"));
        assert!(refusal(r#"{"min_frames": 9, "max_frames": 8}"#).contains("9 to 8 frames"));
        assert!(refusal(r#"{"size": {"longest_edge": 0}}"#).contains("must be above 0"));
        assert!(refusal("[1]").starts_with("preprocessor_config.json: "));
        let missing = PreprocessorConfig::read_image(Path::new("/nowhere")).unwrap_err();
        assert!(missing.to_string().contains("preprocessor_config.json: "));
    }
}
