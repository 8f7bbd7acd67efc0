//! What a request says about a picture or video, before anything is loaded.

use qvl::Part;

use crate::error::ApiError;
use crate::options::ServerLimits;

/// A picture or video that a request names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    /// The field that names it, for errors.
    pub(crate) param: String,
    /// What it is.
    pub(crate) kind: SourceKind,
}

/// What a source gives, and its URLs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SourceKind {
    /// A picture.
    Image(String),
    /// An animation.
    Video(String),
    /// The frames of a video.
    Frames(Vec<String>),
}

/// The sources of a request in the order in which they appear, counted as they come.
#[derive(Debug)]
pub(crate) struct Sources<'l> {
    list: Vec<Source>,
    frames: usize,
    limits: &'l ServerLimits,
}

impl<'l> Sources<'l> {
    pub(crate) fn new(limits: &'l ServerLimits) -> Self {
        Self { list: Vec::new(), frames: 0, limits }
    }

    /// Adds a picture; the part refers to it.
    ///
    /// # Errors
    /// If there are too many.
    pub(crate) fn image(&mut self, param: String, url: String) -> Result<Part, ApiError> {
        self.push(Source { param, kind: SourceKind::Image(url) }).map(Part::Image)
    }

    /// Adds an animation; the part refers to it.
    ///
    /// # Errors
    /// If there are too many.
    pub(crate) fn video(&mut self, param: String, url: String) -> Result<Part, ApiError> {
        self.push(Source { param, kind: SourceKind::Video(url) }).map(Part::Video)
    }

    /// Adds a video as a list of frames; the part refers to it.
    ///
    /// # Errors
    /// If there are too many, of them or of frames, or fewer than two frames.
    pub(crate) fn frames(&mut self, param: String, urls: Vec<String>) -> Result<Part, ApiError> {
        if urls.len() < 2 {
            return Err(ApiError::field(param, "a video has at least 2 frames; give a single one as a picture"));
        }
        self.frames += urls.len();
        if self.frames > self.limits.frames {
            return Err(ApiError::field(param, format!("over {} frames; give fewer", self.limits.frames)));
        }
        self.push(Source { param, kind: SourceKind::Frames(urls) }).map(Part::Video)
    }

    fn push(&mut self, source: Source) -> Result<usize, ApiError> {
        if self.list.len() == self.limits.pictures {
            let what = format!("over {} pictures and videos in one request; give fewer", self.limits.pictures);
            return Err(ApiError::field(source.param, what));
        }
        self.list.push(source);
        Ok(self.list.len() - 1)
    }

    /// All of them.
    pub(crate) fn into_list(self) -> Vec<Source> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_counted() {
        let limits = ServerLimits { pictures: 2, frames: 3, ..ServerLimits::default() };
        let mut sources = Sources::new(&limits);
        assert_eq!(sources.image("a".into(), "x".into()).unwrap(), Part::Image(0));
        assert_eq!(sources.frames("b".into(), vec!["x".into(); 3]).unwrap(), Part::Video(1));
        assert!(sources.image("c".into(), "x".into()).is_err());
        let mut sources = Sources::new(&limits);
        assert!(sources.frames("b".into(), vec!["x".into(); 4]).is_err());
        assert!(sources.frames("b".into(), vec!["x".into()]).is_err());
    }
}
