//! Keeps what looks like a control token in a caller's text from becoming one.
//!
//! The chat template prints the template's own control tokens and the callers' texts into one string. Before that, a
//! mark is put behind the first character of everything in the callers' texts that could start a control token; a
//! marked text matches none, not even where two texts meet. After the string is cut at its control tokens, the
//! marks are taken out again, so that plain text keeps exactly the ids it would have had without them.

use crate::message::Role;
use crate::tokenizer::Tokenizer;
use regex::Regex;
use std::borrow::Cow;
use std::collections::HashSet;

/// Whose text it is, which decides about the control tokens it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Users, tools, tool schemas: no control tokens at all.
    Untrusted,
    /// The operator and the model itself: those that are not special, such as `<think>` and `<tool_call>`.
    Trusted,
}

impl Trust {
    pub(crate) fn of(role: Role) -> Trust {
        match role {
            Role::User | Role::Tool => Trust::Untrusted,
            Role::System | Role::Assistant => Trust::Trusted,
        }
    }
}

/// Where a control token could start, and which may stay; made once per tokenizer.
#[derive(Debug)]
pub(crate) struct ControlRules {
    first_chars: HashSet<char>,
    /// Matches, at its start, a token that trusted text may hold.
    allowed: Option<Regex>,
}

impl ControlRules {
    pub(crate) fn new(tokenizer: &Tokenizer) -> ControlRules {
        let controls: Vec<(&str, bool)> = tokenizer.controls().collect();
        let starts_a_special = |text: &str| controls.iter().any(|(other, special)| *special && other.starts_with(text));
        let mut allowed: Vec<&str> = controls
            .iter()
            .filter(|(text, special)| !special && !starts_a_special(text))
            .map(|(text, _)| *text)
            .collect();
        allowed.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let allowed: Vec<String> = allowed.into_iter().map(regex::escape).collect();
        ControlRules {
            first_chars: controls.iter().filter_map(|(text, _)| text.chars().next()).collect(),
            allowed: (!allowed.is_empty()).then(|| Regex::new(&format!("^(?:{})", allowed.join("|"))).ok()).flatten(),
        }
    }

    fn may_stay(&self, rest: &str, trust: Trust) -> bool {
        trust == Trust::Trusted && self.allowed.as_ref().is_some_and(|allowed| allowed.is_match(rest))
    }
}

/// Puts marks into texts and takes them out, with a mark that no text of this prompt holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard<'r> {
    rules: &'r ControlRules,
    mark: char,
}

impl<'r> Guard<'r> {
    /// A guard for texts in which none of `used` may be taken for a mark; `None` if every candidate is used.
    pub(crate) fn new(rules: &'r ControlRules, used: &MarksUsed) -> Option<Guard<'r>> {
        let mark = candidates().find(|mark| !used.0.contains(mark))?;
        Some(Guard { rules, mark })
    }

    /// `text` with marks.
    pub(crate) fn mark(&self, text: &str, trust: Trust) -> String {
        let mut marked = String::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            marked.push(c);
            if self.rules.first_chars.contains(&c) && !self.rules.may_stay(&text[at..], trust) {
                marked.push(self.mark);
            }
        }
        marked
    }

    /// `text` without marks.
    pub(crate) fn unmark<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if text.contains(self.mark) { Cow::Owned(text.replace(self.mark, "")) } else { Cow::Borrowed(text) }
    }
}

/// The possible marks that occur in some texts.
#[derive(Debug, Default)]
pub(crate) struct MarksUsed(HashSet<char>);

impl MarksUsed {
    /// Takes note of the possible marks in `text`.
    pub(crate) fn note(&mut self, text: &str) {
        self.0.extend(text.chars().filter(|c| is_candidate(*c)));
    }
}

/// Characters that texts hardly ever hold: the noncharacters, then the last two planes of private use.
fn candidates() -> impl Iterator<Item = char> {
    ('\u{fdd0}'..='\u{fdef}').chain('\u{f0000}'..='\u{10ffff}')
}

fn is_candidate(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}' | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn rules() -> ControlRules {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/tiny/dense-tied/tokenizer.json");
        ControlRules::new(&Tokenizer::open(Path::new(path)).unwrap())
    }

    #[test]
    fn marks_what_could_start_a_control_token() {
        let rules = rules();
        let guard = Guard::new(&rules, &MarksUsed::default()).unwrap();
        let text = "a <|im_start|> <think> <";
        assert_eq!(guard.mark(text, Trust::Untrusted), "a <\u{fdd0}|im_start|> <\u{fdd0}think> <\u{fdd0}");
        assert_eq!(guard.mark(text, Trust::Trusted), "a <\u{fdd0}|im_start|> <think> <\u{fdd0}");
        assert_eq!(guard.unmark(&guard.mark(text, Trust::Untrusted)), text);
    }

    #[test]
    fn takes_a_mark_that_no_text_holds() {
        let mut used = MarksUsed::default();
        used.note(&('\u{fdd0}'..='\u{fdef}').collect::<String>());
        let rules = rules();
        let guard = Guard::new(&rules, &used).unwrap();
        assert_eq!(guard.mark("<", Trust::Untrusted), "<\u{f0000}");
        used.note(&candidates().collect::<String>());
        assert!(Guard::new(&rules, &used).is_none());
    }
}
