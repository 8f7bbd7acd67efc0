//! What a line of a chat means.

/// A message or a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Empty,
    Message(&'a str),
    Image(&'a str),
    Video(&'a str),
    System(&'a str),
    Reset,
    Help,
    Quit,
    /// A word after a slash that is no command, or a command without its file.
    Unknown(&'a str),
}

impl<'a> Line<'a> {
    pub(super) fn parse(line: &'a str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Empty;
        }
        if !line.starts_with('/') {
            return Self::Message(line);
        }
        if line.starts_with("//") {
            return Self::Message(&line[1..]);
        }
        let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = unquoted(rest.trim());
        match command {
            "/image" if !rest.is_empty() => Self::Image(rest),
            "/video" if !rest.is_empty() => Self::Video(rest),
            "/system" => Self::System(rest),
            "/reset" => Self::Reset,
            "/help" => Self::Help,
            "/quit" | "/exit" => Self::Quit,
            _ => Self::Unknown(command),
        }
    }
}

/// Without the quotes that terminals put around the name of a file that is dropped on them.
fn unquoted(text: &str) -> &str {
    let inside = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        for (line, meaning) in [
            ("  ", Line::Empty),
            ("hello / you", Line::Message("hello / you")),
            ("//etc is a directory", Line::Message("/etc is a directory")),
            ("/image a picture.png ", Line::Image("a picture.png")),
            ("/image 'a picture.png'", Line::Image("a picture.png")),
            ("/video \"v.gif\"", Line::Video("v.gif")),
            ("/image", Line::Unknown("/image")),
            ("/system Be brief.", Line::System("Be brief.")),
            ("/system", Line::System("")),
            ("/reset", Line::Reset),
            ("/exit", Line::Quit),
            ("/images", Line::Unknown("/images")),
        ] {
            assert_eq!(Line::parse(line), meaning);
        }
    }
}
