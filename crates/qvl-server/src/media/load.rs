//! From URLs to decoded pictures.

use qvl::media::{ImageError, ImageLimits, Rgb8, SAMPLED_FPS, VideoMeta, decode_frames, decode_image, frames_to_video};
use qvl::{Media, PixelBudget, Processor, PromptOptions};

use super::data_url;
use super::kept::{KeptPictures, PictureKey};
use super::source::{Source, SourceKind};
use crate::error::ApiError;
use crate::options::ServerLimits;
use crate::remote::RemoteMedia;

/// Bytes of pixel values for a pixel of a resized picture: three samples in single precision, and the picture stands
/// for both frames of a temporal patch.
const BYTES_PER_PIXEL: u64 = 24;

/// A source whose bytes are here, or in its `data:` URL.
#[derive(Debug)]
struct Fetched {
    param: String,
    kind: Kind,
    files: Vec<File>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Image,
    Animation,
    Frames,
}

#[derive(Debug)]
enum File {
    DataUrl(String),
    Bytes(Vec<u8>),
}

/// Loads the sources of one request.
#[derive(Debug)]
pub(crate) struct Loader {
    fetched: Vec<Fetched>,
}

impl Loader {
    /// Fetches what lies elsewhere, if `remote` allows that.
    ///
    /// # Errors
    /// If a URL is of another kind, or not allowed, or gives nothing.
    pub(crate) async fn fetch(sources: Vec<Source>, remote: Option<&RemoteMedia>) -> Result<Self, ApiError> {
        let mut fetched = Vec::with_capacity(sources.len());
        for Source { param, kind } in sources {
            let (kind, urls) = match kind {
                SourceKind::Image(url) => (Kind::Image, vec![url]),
                SourceKind::Video(url) => (Kind::Animation, vec![url]),
                SourceKind::Frames(urls) => (Kind::Frames, urls),
            };
            let mut files = Vec::with_capacity(urls.len());
            for url in urls {
                files.push(file(&param, url, remote).await?);
            }
            fetched.push(Fetched { param, kind, files });
        }
        Ok(Self { fetched })
    }

    /// Decodes everything but the pictures that were kept; for a thread that may block. Pictures may have the size of `size`.
    ///
    /// # Errors
    /// If something is no picture, or exceeds the limits.
    pub(crate) fn decode(
        self,
        limits: &ServerLimits,
        kept: &KeptPictures,
        size: Option<PixelBudget>,
    ) -> Result<Vec<Loaded>, ApiError> {
        let mut budget = Budget { pixels: limits.picture_pixels, frames: limits.frames, limits, kept, size };
        self.fetched.into_iter().map(|fetched| budget.decode(fetched)).collect()
    }
}

/// A picture or video that was loaded.
#[derive(Debug)]
pub(crate) enum Loaded {
    /// One that the processor takes as it is.
    Ready(Media),
    /// A picture that has yet to be resized.
    Decoded(PictureKey, Rgb8),
}

impl Loaded {
    /// What the processor takes.
    ///
    /// # Errors
    /// If a picture's shape is none that the model can be shown.
    pub(crate) fn resize(self, kept: &KeptPictures, processor: &Processor) -> Result<Media, ImageError> {
        match self {
            Self::Ready(media) => Ok(media),
            Self::Decoded(key, picture) => kept.resize(key, &picture, processor).map(Media::Resized),
        }
    }

    /// Bytes of its pixel values, at most.
    fn estimated_bytes(&self, images: PixelBudget, videos: PixelBudget) -> u64 {
        let area = |picture: &Rgb8| (picture.width * picture.height) as u64;
        let pixels = match self {
            Self::Ready(Media::Resized(picture)) => area(picture.picture()),
            Self::Ready(Media::Image(picture)) | Self::Decoded(_, picture) => bounded(images, area(picture)),
            Self::Ready(Media::Video { frames, .. }) => bounded(videos, frames.iter().map(area).sum()),
        };
        pixels.saturating_mul(BYTES_PER_PIXEL)
    }
}

async fn file(param: &str, url: String, remote: Option<&RemoteMedia>) -> Result<File, ApiError> {
    if data_url::is_data_url(&url) {
        return Ok(File::DataUrl(url));
    }
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        let what = "is no URL that pictures are taken from; give a data: URL, as data:image/png;base64,…";
        return Err(ApiError::field(param, what));
    }
    let Some(remote) = remote else {
        let what = "this server fetches no pictures from the network (its operator can start it with \
                    --allow-remote-media); send the picture as a data: URL";
        return Err(ApiError::field(param, what));
    };
    remote.fetch(&url).await.map(File::Bytes).map_err(|error| ApiError::field(param, error))
}

/// What the pictures of a request may still take.
struct Budget<'l> {
    pixels: u64,
    frames: usize,
    limits: &'l ServerLimits,
    kept: &'l KeptPictures,
    /// What pictures are resized to.
    size: Option<PixelBudget>,
}

impl Budget<'_> {
    fn decode(&mut self, fetched: Fetched) -> Result<Loaded, ApiError> {
        let Fetched { param, kind, files } = fetched;
        let limits = self.limits;
        let mut pictures = Vec::with_capacity(files.len());
        for file in files {
            let bytes = bytes(file).map_err(|what| ApiError::field(&*param, what))?;
            let medium = match kind {
                Kind::Animation => self.animation(&bytes),
                Kind::Image => self.kept_or_decoded(&bytes),
                Kind::Frames => {
                    let picture =
                        self.picture(&bytes).map_err(|error| ApiError::field(&*param, sentence(&error, limits)))?;
                    pictures.push(picture);
                    continue;
                }
            };
            return medium.map_err(|error| ApiError::field(&*param, sentence(&error, limits)));
        }
        let meta = VideoMeta::new(SAMPLED_FPS, pictures.len());
        Ok(Loaded::Ready(Media::Video { frames: pictures, meta, sampled: true }))
    }

    fn kept_or_decoded(&mut self, bytes: &[u8]) -> Result<Loaded, ImageError> {
        let key = PictureKey::new(bytes, self.size);
        // One that exceeds what is left of the limits is decoded once more: the decoder says what is wrong.
        match self.kept.get(&key).filter(|kept| kept.source_pixels <= self.image_limits().max_pixels) {
            Some(kept) => {
                self.pixels = self.pixels.saturating_sub(kept.source_pixels);
                Ok(Loaded::Ready(Media::Resized(kept.picture)))
            }
            None => Ok(Loaded::Decoded(key, self.picture(bytes)?)),
        }
    }

    fn picture(&mut self, bytes: &[u8]) -> Result<Rgb8, ImageError> {
        let picture = decode_image(bytes, &self.image_limits())?;
        self.pixels = self.pixels.saturating_sub((picture.width * picture.height) as u64);
        Ok(picture)
    }

    fn animation(&mut self, bytes: &[u8]) -> Result<Loaded, ImageError> {
        let frames = decode_frames(bytes, &self.image_limits())?;
        self.frames = self.frames.saturating_sub(frames.len());
        let pixels: u64 = frames.iter().map(|frame| (frame.image.width * frame.image.height) as u64).sum();
        self.pixels = self.pixels.saturating_sub(pixels);
        let (frames, meta) = frames_to_video(frames);
        Ok(Loaded::Ready(Media::Video { frames, meta, sampled: false }))
    }

    fn image_limits(&self) -> ImageLimits {
        let whole = ImageLimits::default();
        ImageLimits {
            max_pixels: whole.max_pixels.min(self.pixels),
            max_frames: whole.max_frames.min(self.frames),
            max_animation_pixels: whole.max_animation_pixels.min(self.pixels),
            ..whole
        }
    }
}

fn bytes(file: File) -> Result<Vec<u8>, &'static str> {
    match file {
        File::DataUrl(url) => data_url::decode(&url),
        File::Bytes(bytes) => Ok(bytes),
    }
}

/// What is wrong with a picture, in words for a client: limits as this server names them, and nothing of the decoder's.
fn sentence(error: &ImageError, limits: &ServerLimits) -> String {
    match error {
        ImageError::TooManyPixels { .. } | ImageError::AnimationTooLarge { .. } | ImageError::TooMuchMemory { .. } => {
            format!(
                "the pictures of a request may have {} pixels together; give fewer or smaller ones",
                limits.picture_pixels
            )
        }
        ImageError::TooManyFrames { .. } => {
            format!("the videos of a request may have {} frames together; give fewer", limits.frames)
        }
        other => other.to_string(),
    }
}

/// Bytes that the prepared pictures will take at most.
pub(crate) fn estimated_bytes(loaded: &[Loaded], processor: &Processor, options: &PromptOptions) -> u64 {
    let images = options.image_budget.unwrap_or_else(|| processor.images().budget());
    let videos = options.video.budget.unwrap_or_else(|| processor.videos().budget());
    loaded.iter().map(|loaded| loaded.estimated_bytes(images, videos)).fold(0, u64::saturating_add)
}

/// The area after resizing, at most: sides are rounded to multiples of the patch, so a little is added.
fn bounded(budget: PixelBudget, pixels: u64) -> u64 {
    let least = budget.min_pixels.min(budget.max_pixels);
    pixels.clamp(least, budget.max_pixels).saturating_add(64 << 10)
}
