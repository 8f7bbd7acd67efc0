//! `qvl run`

use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use qvl::media::{read_frames, read_image, read_video};
use qvl::{Answer, CancelFlag, Content, FinishReason};

use crate::args::{MediaArgs, MediaSource, RunArgs};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::package;
use crate::terminal::Output;

/// Longest question that is read from stdin: far more than any context holds.
const MAX_STDIN_BYTES: u64 = 64 << 20;

/// Answers one question. The exit code says whether the answer was stopped by Ctrl-C.
///
/// # Errors
/// If the model cannot be loaded, a picture is not usable, the answer fails, or stdout cannot be written.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::install()?;
    // Before the model is loaded, which takes longer, mistakes in the pictures are found.
    let content = content(args)?;
    interrupt.during(|cancel| answer(args, content, cancel))
}

fn answer(args: &RunArgs, content: Vec<Content>, cancel: &CancelFlag) -> anyhow::Result<ExitCode> {
    let mut pipeline = package::load(&args.package, &args.engine, cancel)?;
    let generation = args.generation.apply(pipeline.generation_config());
    let options = args.pixels.prompt_options(pipeline.processor().images().budget());
    let mut conversation = pipeline.conversation();
    *conversation.prompt_options() = options;
    conversation.set_system(args.system.as_deref().unwrap_or_default());
    let mut output = Output::default();
    let mut on_text = |text: &str| if args.json { ControlFlow::Continue(()) } else { output.print(text) };
    let answer = conversation.ask(content, &generation, cancel, &mut on_text)?;
    finish(args, &answer, &mut output)?;
    let was_stopped = answer.finish_reason == FinishReason::Cancelled && !output.is_closed();
    output.finish()?;
    Ok(if was_stopped { ExitCode::from(EXIT_INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// Ends the line, or prints the object.
fn finish(args: &RunArgs, answer: &Answer, output: &mut Output) -> anyhow::Result<()> {
    let _ = if args.json {
        output.print(&format!("{}\n", serde_json::to_string(answer)?))
    } else if answer.text.ends_with('\n') {
        ControlFlow::Continue(())
    } else {
        output.print("\n")
    };
    Ok(())
}

fn content(args: &RunArgs) -> anyhow::Result<Vec<Content>> {
    let mut content = read_media(&args.media)?;
    content.push(Content::Text(read_prompt(&args.prompt)?));
    Ok(content)
}

fn read_media(args: &MediaArgs) -> anyhow::Result<Vec<Content>> {
    let read = |source: &MediaSource| {
        let media = match source {
            MediaSource::Image(path) => read_image(path),
            MediaSource::Frames(paths) => read_frames(paths, args.fps),
            MediaSource::Video(path) => read_video(path),
        };
        Ok(Content::Media(media?))
    };
    args.sources.iter().map(read).collect()
}

/// The prompt itself, or stdin for `-`, without the line break at its end.
fn read_prompt(prompt: &str) -> anyhow::Result<String> {
    if prompt != "-" {
        return Ok(prompt.to_owned());
    }
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(MAX_STDIN_BYTES + 1)
        .read_to_end(&mut bytes)
        .context("cannot read the prompt from stdin")?;
    if bytes.len() as u64 > MAX_STDIN_BYTES {
        bail!("the prompt on stdin has over {MAX_STDIN_BYTES} bytes; shorten it");
    }
    let text = String::from_utf8(bytes).context("the prompt on stdin is not UTF-8; convert it first")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
