//! Stop texts: found across token borders, never shown in part.

/// Passes text on until a stop text appears, and holds back what may be the beginning of one.
///
/// The stop text that ends first wins (of several ending together, the longest), so the result does not depend on
/// how the text is cut into pieces.
#[derive(Debug, Clone)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
    stopped: bool,
}

impl StopMatcher {
    /// A matcher for `stops`, none of which may be empty (an empty one is never found).
    pub fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, held: String::new(), stopped: false }
    }

    /// Takes the next piece of text and returns what can be shown of all that was given so far.
    ///
    /// After a stop text was found nothing more is returned.
    pub fn push(&mut self, piece: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(piece);
        if let Some(start) = self.first_stop() {
            self.stopped = true;
            self.held.truncate(start);
            return std::mem::take(&mut self.held);
        }
        let keep_from = self.held.len() - self.longest_beginning();
        let held = self.held.split_off(keep_from);
        std::mem::replace(&mut self.held, held)
    }

    /// The text that was held back, once no more follows.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Whether a stop text was found.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Where the stop text that ends first begins in the held text.
    fn first_stop(&self) -> Option<usize> {
        self.stops
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()).map(|start| (start + stop.len(), start)))
            .min()
            .map(|(_, start)| start)
    }

    /// Bytes at the end of the held text that are the beginning of a stop text, at most.
    fn longest_beginning(&self) -> usize {
        self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0)
    }
}

/// The length of the longest proper beginning of `stop` that `text` ends with.
pub(crate) fn overlap(text: &str, stop: &str) -> usize {
    stop.char_indices()
        .map(|(length, _)| length)
        .filter(|&length| text.as_bytes().ends_with(&stop.as_bytes()[..length]))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(pieces: &[&str], stops: &[&str]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let mut matcher = StopMatcher::new(&stops);
        let mut shown: Vec<String> = pieces.iter().map(|piece| matcher.push(piece)).collect();
        shown.push(matcher.finish());
        (shown, matcher.stopped())
    }

    #[test]
    fn a_stop_across_pieces_is_cut_and_its_beginning_never_shown() {
        let (shown, stopped) = stream(&["hello <", "en", "d> more"], &["<end>"]);
        assert_eq!(shown, ["hello ", "", "", ""]);
        assert!(stopped);
    }

    #[test]
    fn a_beginning_that_comes_to_nothing_is_shown_late() {
        let (shown, stopped) = stream(&["a<", "en", "x"], &["<end>"]);
        assert_eq!(shown, ["a", "", "<enx", ""]);
        assert!(!stopped);
    }

    #[test]
    fn what_is_held_at_the_end_is_shown() {
        assert_eq!(stream(&["a<en"], &["<end>"]).0, ["a", "<en"]);
    }

    #[test]
    fn the_stop_that_ends_first_wins() {
        assert_eq!(stream(&["xabcd"], &["abcd", "bc"]).0.concat(), "xa");
        assert_eq!(stream(&["x", "a", "b", "c", "d"], &["abcd", "bc"]).0.concat(), "xa");
        assert_eq!(stream(&["xabc"], &["bc", "abc"]).0.concat(), "x");
    }

    #[test]
    fn stops_of_several_bytes_per_character_are_found() {
        assert_eq!(stream(&["好的", "。完"], &["。完"]).0, ["好的", "", ""]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            text in "[abc好]{0,40}",
            stops in prop::collection::vec("[abc好]{1,4}", 0..3),
            cuts in prop::collection::vec(0_usize..40, 0..6),
        ) {
            let whole = {
                let mut matcher = StopMatcher::new(&stops);
                matcher.push(&text) + &matcher.finish()
            };
            let mut matcher = StopMatcher::new(&stops);
            let mut shown = String::new();
            let characters: Vec<char> = text.chars().collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(characters.len())).collect();
            cuts.extend([0, characters.len()]);
            cuts.sort_unstable();
            for pair in cuts.windows(2) {
                shown += &matcher.push(&characters[pair[0]..pair[1]].iter().collect::<String>());
                for stop in &stops {
                    prop_assert!(!shown.contains(stop.as_str()));
                }
            }
            shown += &matcher.finish();
            prop_assert_eq!(&shown, &whole);
            prop_assert!(text.starts_with(&shown));
            prop_assert_eq!(matcher.stopped(), stops.iter().any(|stop| text.contains(stop.as_str())));
        }
    }
}
