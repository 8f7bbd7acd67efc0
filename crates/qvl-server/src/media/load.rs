//! From URLs to decoded pictures.

use qvl::media::{ImageError, ImageLimits, Rgb8, SAMPLED_FPS, VideoMeta, decode_frames, decode_image, frames_to_video};
use qvl::{Media, PixelBudget, Processor};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::data_url;
use super::kept::{KeptPictures, PictureKey};
use super::source::{Source, SourceKind};
use crate::error::ApiError;
use crate::options::ServerLimits;
use crate::remote::{RemoteError, RemoteMedia};

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
    /// Held until what was fetched from elsewhere is decoded.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Loader {
    /// Fetches what lies elsewhere, if `remote` allows that: as many bytes together, in as much time, as the request's body may
    /// have.
    ///
    /// # Errors
    /// If a URL is of another kind, or not allowed, or gives nothing or too much.
    pub(crate) async fn fetch(
        sources: Vec<Source>,
        remote: Option<&RemoteMedia>,
        limits: &ServerLimits,
    ) -> Result<Self, ApiError> {
        let fetch = Self::fetch_all(sources, Elsewhere { remote, turn: None, limit: limits.body_bytes, taken: 0 });
        timeout(limits.body_timeout, fetch).await.unwrap_or_else(|_| {
            let seconds = limits.body_timeout.as_secs();
            let what = format!("the pictures of the request were not fetched within {seconds} seconds");
            Err(ApiError::bad_request(what + "; send them as data: URLs, or fewer of them"))
        })
    }

    async fn fetch_all(sources: Vec<Source>, mut elsewhere: Elsewhere<'_>) -> Result<Self, ApiError> {
        let mut fetched = Vec::with_capacity(sources.len());
        for Source { param, kind } in sources {
            let (kind, urls) = match kind {
                SourceKind::Image(url) => (Kind::Image, vec![url]),
                SourceKind::Video(url) => (Kind::Animation, vec![url]),
                SourceKind::Frames(urls) => (Kind::Frames, urls),
            };
            let mut files = Vec::with_capacity(urls.len());
            for url in urls {
                files.push(elsewhere.file(&param, url).await?);
            }
            fetched.push(Fetched { param, kind, files });
        }
        Ok(Self { fetched, _turn: elsewhere.turn })
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
}

/// What lies elsewhere, for one request.
struct Elsewhere<'r> {
    remote: Option<&'r RemoteMedia>,
    /// Taken for the first picture that is fetched.
    turn: Option<OwnedSemaphorePermit>,
    /// Bytes that all may have together.
    limit: usize,
    taken: usize,
}

impl Elsewhere<'_> {
    async fn file(&mut self, param: &str, url: String) -> Result<File, ApiError> {
        if data_url::is_data_url(&url) {
            return Ok(File::DataUrl(url));
        }
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            let what = "is no URL that pictures are taken from; give a data: URL, as data:image/png;base64,…";
            return Err(ApiError::field(param, what));
        }
        let Some(remote) = self.remote else {
            let what = "this server fetches no pictures from the network (its operator can start it with \
                        --allow-remote-media); send the picture as a data: URL";
            return Err(ApiError::field(param, what));
        };
        if self.turn.is_none() {
            self.turn = remote.request().await;
        }
        let left = self.limit - self.taken;
        let bytes = remote.fetch_within(&url, left).await.map_err(|error| self.error(param, left, &error))?;
        self.taken += bytes.len();
        Ok(File::Bytes(bytes))
    }

    fn error(&self, param: &str, left: usize, error: &RemoteError) -> ApiError {
        if matches!(error, RemoteError::TooLarge(limit) if *limit == left) {
            let what =
                format!("the pictures of the request have more than {} bytes; give fewer or smaller ones", self.limit);
            return ApiError::field(param, what);
        }
        ApiError::field(param, error)
    }
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
