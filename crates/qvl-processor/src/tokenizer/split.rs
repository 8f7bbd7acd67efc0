//! Cutting text into words before the merges, by the tokenizer's own pattern, in linear time.
//!
//! The patterns of the GPT family end in `\s+(?!\S)|\s+`: a run of blanks gives up its last one to the word
//! behind it. The look-ahead needs a backtracking engine, which gives up on long runs; here it is done by hand
//! and the rest of the pattern by an automaton.

use regex::Regex;

const LOOK_AHEAD: &str = r"\s+(?!\S)|\s+";

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Splitter {
    pattern: Regex,
    blanks_look_ahead: bool,
}

impl Splitter {
    /// Compiles `pattern`, of which only the look-ahead of [`LOOK_AHEAD`] may be outside the regular languages.
    pub(super) fn new(pattern: &str) -> Result<Splitter, regex::Error> {
        let plain = pattern.strip_suffix(LOOK_AHEAD);
        let pattern = match plain {
            Some(rest) => Regex::new(&format!(r"{rest}\s+"))?,
            None => Regex::new(pattern)?,
        };
        Ok(Splitter { pattern, blanks_look_ahead: plain.is_some() })
    }

    /// The words of `text`, in order and without gaps.
    pub(super) fn words<'t>(&'t self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let mut start = 0;
        std::iter::from_fn(move || {
            if start == text.len() {
                return None;
            }
            let found = self.pattern.find_at(text, start);
            let end = match found {
                Some(found) if found.start() > start => found.start(),
                Some(found) if !found.is_empty() => self.word_end(text, start, found.end()),
                _ => text.len(),
            };
            let word = &text[start..end];
            start = end;
            Some(word)
        })
    }

    /// Where the word `text[start..end]` ends when the blank before a word belongs to that word.
    fn word_end(&self, text: &str, start: usize, end: usize) -> usize {
        let word = &text[start..end];
        let blanks = self.blanks_look_ahead && word.chars().all(char::is_whitespace);
        if !blanks || word.ends_with(['\r', '\n']) || end == text.len() {
            return end;
        }
        match word.char_indices().next_back() {
            Some((last, _)) if last > 0 => start + last,
            _ => end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QWEN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    fn words(text: &str) -> Vec<&str> {
        let splitter = Box::leak(Box::new(Splitter::new(QWEN).unwrap()));
        splitter.words(text).collect()
    }

    #[test]
    fn a_run_of_blanks_gives_its_last_to_the_next_word() {
        assert_eq!(words("a   b"), ["a", "  ", " b"]);
        assert_eq!(words("a   "), ["a", "   "]);
        assert_eq!(words("a  1"), ["a", " ", " ", "1"]);
        assert_eq!(words(" \n  x"), [" \n", " ", " x"]);
        assert_eq!(words("\t\tx"), ["\t", "\tx"]);
        assert_eq!(words("a \u{3000}?"), ["a", " ", "\u{3000}", "?"]);
    }

    #[test]
    fn words_follow_the_pattern() {
        assert_eq!(words("It's 12!\r\n\r\nx"), ["It", "'s", " ", "1", "2", "!\r\n\r\n", "x"]);
        assert_eq!(words(""), Vec::<&str>::new());
    }

    #[test]
    fn long_runs_take_linear_time() {
        let text = " ".repeat(3_000_000) + "x";
        let words = words(&text);
        assert_eq!(words.len(), 2);
        assert_eq!(words[1], " x");
    }

    #[test]
    fn refuses_a_pattern_that_is_not_regular() {
        assert!(Splitter::new(r"(?<=a)b").is_err());
    }
}
