//! `qvl chat`

mod input;
mod line;

use std::path::Path;

use qvl::media::{read_image, read_video};
use qvl::{Content, Conversation, FinishReason, GenerationConfig, Media};

use crate::args::ChatArgs;
use crate::failure;
use crate::interrupt::Interrupt;
use crate::package;
use crate::terminal::{Output, note};
use input::{Input, Typed};
use line::Line;

const HELP: &str = "\
/image FILE    add a picture to the next message
/video FILE    add an animated GIF or WebP to the next message
/system TEXT   set the system message (none: remove it)
/reset         forget all turns
/help          this list
/quit          leave, as Ctrl-D does
Ctrl-C ends the answer. A message that begins with / is written with //.";

/// Talks until the input ends.
///
/// # Errors
/// If the model cannot be loaded, or stdin or stdout fails; what goes wrong in a turn is shown and the chat goes on.
pub fn chat(args: &ChatArgs) -> anyhow::Result<()> {
    let interrupt = Interrupt::install()?;
    let mut pipeline = interrupt.during(|cancel| package::load(&args.package, &args.engine, cancel))?;
    let generation = args.generation.apply(pipeline.generation_config());
    generation.validate()?;
    let options = args.pixels.prompt_options(pipeline.processor().images().budget());
    let mut conversation = pipeline.conversation();
    *conversation.prompt_options() = options;
    conversation.set_system(args.system.as_deref().unwrap_or_default());
    let mut input = Input::open()?;
    if input.is_terminal() {
        note("Type a message, /image FILE to add a picture, /help for more, Ctrl-D to leave.");
    }
    Chat { conversation, generation, interrupt, pending: Vec::new() }.run(&mut input)
}

struct Chat<'p> {
    conversation: Conversation<'p>,
    generation: GenerationConfig,
    interrupt: Interrupt,
    /// Pictures and videos for the next message.
    pending: Vec<Content>,
}

impl Chat<'_> {
    fn run(&mut self, input: &mut Input) -> anyhow::Result<()> {
        loop {
            let text = match input.read()? {
                Typed::Line(text) => text,
                Typed::Interrupted => continue,
                Typed::End => return Ok(()),
            };
            match Line::parse(&text) {
                Line::Empty => {}
                Line::Quit => return Ok(()),
                Line::Help => note(HELP),
                Line::Reset => {
                    self.conversation.reset();
                    self.pending.clear();
                }
                Line::System(text) => self.conversation.set_system(text),
                Line::Image(path) => self.attach(read_image(Path::new(path))),
                Line::Video(path) => self.attach(read_video(Path::new(path))),
                Line::Unknown(command) => note(format_args!("{command}? /help lists the commands")),
                Line::Message(text) => {
                    if self.answer(text)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn attach(&mut self, media: Result<Media, qvl::Error>) {
        match media {
            Ok(media) => self.pending.push(Content::Media(media)),
            Err(error) => failure::report(&error.into()),
        }
    }

    /// Answers and prints. Whether the reader of stdout has gone.
    fn answer(&mut self, text: &str) -> anyhow::Result<bool> {
        let mut content = std::mem::take(&mut self.pending);
        content.push(Content::Text(text.to_owned()));
        let Self { conversation, generation, interrupt, .. } = self;
        let mut output = Output::default();
        let answer =
            interrupt.during(|cancel| conversation.ask(content, generation, cancel, &mut |text| output.print(text)));
        match answer {
            Ok(answer) => {
                let _ = output.print("\n");
                if answer.finish_reason == FinishReason::Cancelled && !output.is_closed() {
                    note("(stopped)");
                }
            }
            Err(error) => failure::report(&error.into()),
        }
        let reader_gone = output.is_closed();
        output.finish()?;
        Ok(reader_gone)
    }
}
