//! Pictures and videos, in the order given.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use qvl::{PixelBudget, PromptOptions};

/// One picture or video of the command line.
#[derive(Debug, Clone, PartialEq)]
pub enum MediaSource {
    /// A picture file.
    Image(PathBuf),
    /// The frames of one video.
    Frames(Vec<PathBuf>),
    /// An animation file.
    Video(PathBuf),
}

/// `--image`, `--frames`, `--video` and `--fps`.
///
/// Written by hand, since a derived one would keep the order only within each option.
#[derive(Debug, Clone, Default)]
pub struct MediaArgs {
    /// All of them, in the order given.
    pub sources: Vec<MediaSource>,
    /// Frames per second of the frame lists.
    pub fps: Option<f64>,
}

impl Args for MediaArgs {
    fn augment_args(command: Command) -> Command {
        let files = |name: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name("FILE")
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
                .help_heading("Pictures and videos")
        };
        command
            .arg(files("image").help("A picture (JPEG, PNG, WebP, GIF, BMP, TIFF); may be given several times"))
            .arg(
                files("frames")
                    .num_args(1..)
                    .help("The frames of a video, as pictures of one size; give the PACKAGE before this"),
            )
            .arg(
                Arg::new("fps")
                    .long("fps")
                    .value_name("F")
                    .value_parser(value_parser!(f64))
                    .help_heading("Pictures and videos")
                    .requires("frames")
                    .help(
                        "Frames per second of --frames, from which 2 per second are sampled [default: all frames are used, \
                         as 2 per second]",
                    ),
            )
            .arg(files("video").help("An animated GIF or WebP; may be given several times"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for MediaArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut found = single(matches, "image", MediaSource::Image);
        found.extend(single(matches, "video", MediaSource::Video));
        found.extend(frame_lists(matches));
        found.sort_by_key(|(place, _)| *place);
        let sources = found.into_iter().map(|(_, source)| source).collect();
        Ok(Self { sources, fps: matches.get_one("fps").copied() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The values of an option that takes one, each with its place on the command line.
fn single(matches: &ArgMatches, name: &str, source: fn(PathBuf) -> MediaSource) -> Vec<(usize, MediaSource)> {
    let places = matches.indices_of(name).into_iter().flatten();
    let values = matches.get_many::<PathBuf>(name).into_iter().flatten();
    places.zip(values).map(|(place, value)| (place, source(value.clone()))).collect()
}

/// One video for each `--frames`, with the place of its first frame.
fn frame_lists(matches: &ArgMatches) -> Vec<(usize, MediaSource)> {
    let mut places = matches.indices_of("frames").into_iter().flatten();
    let lists = matches.get_occurrences::<PathBuf>("frames").into_iter().flatten();
    let lists = lists.map(|list| list.cloned().collect::<Vec<_>>());
    lists
        .filter_map(|list| {
            let place = places.next()?;
            places.by_ref().take(list.len() - 1).for_each(drop);
            Some((place, MediaSource::Frames(list)))
        })
        .collect()
}

/// How pictures are shown to the model.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pictures and videos")]
pub struct PixelArgs {
    /// Fewest pixels that a picture is scaled to [default: the model's, mostly 65536]
    #[arg(long, value_name = "N")]
    pub min_pixels: Option<u64>,
    /// Most pixels that a picture is scaled to; fewer are faster [default: the model's, mostly 16777216]
    #[arg(long, value_name = "N")]
    pub max_pixels: Option<u64>,
    /// Write videos into the prompt as transformers 4.57 did, without the outer pair of vision tokens
    #[arg(long)]
    pub legacy_video_prompt: bool,
}

impl PixelArgs {
    /// The prompt options, where `own` is the budget of the model itself.
    pub fn prompt_options(&self, own: PixelBudget) -> PromptOptions {
        let given = self.min_pixels.is_some() || self.max_pixels.is_some();
        let budget = PixelBudget {
            min_pixels: self.min_pixels.unwrap_or_else(|| own.min_pixels.min(self.max_pixels.unwrap_or(u64::MAX))),
            max_pixels: self.max_pixels.unwrap_or_else(|| own.max_pixels.max(self.min_pixels.unwrap_or(0))),
        };
        PromptOptions {
            image_budget: given.then_some(budget),
            legacy_video_prompt: self.legacy_video_prompt,
            ..PromptOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        package: Option<PathBuf>,
        #[command(flatten)]
        media: MediaArgs,
    }

    #[test]
    fn the_order_is_kept_across_options() {
        let arguments = "test package --video v.gif --image a.png --frames 1.png 2.png 3.png --image b.png --frames 4.png 5.png --fps 2";
        let line = Line::try_parse_from(arguments.split(' ')).unwrap();
        let frames = |names: &[&str]| MediaSource::Frames(names.iter().map(PathBuf::from).collect());
        assert_eq!(
            line.media.sources,
            [
                MediaSource::Video("v.gif".into()),
                MediaSource::Image("a.png".into()),
                frames(&["1.png", "2.png", "3.png"]),
                MediaSource::Image("b.png".into()),
                frames(&["4.png", "5.png"]),
            ]
        );
        assert_eq!((line.package, line.media.fps), (Some("package".into()), Some(2.0)));
    }

    #[test]
    fn fps_without_frames_is_refused() {
        assert!(Line::try_parse_from(["test", "--fps", "2"]).is_err());
    }
}
