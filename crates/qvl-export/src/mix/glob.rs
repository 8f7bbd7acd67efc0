//! Patterns of names.

/// Whether `pattern` stands for all of `name`: `*` is any number of characters, `?` is one.
///
/// When characters differ after a star, the star takes one more; only the last star need be tried again, so the time is
/// at most the product of both lengths.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The place after the last star, and where in the name what follows it is tried.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                p += 1;
                star = Some((p, n));
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((after, tried)) = star else { return false };
                star = Some((after, tried + 1));
                (p, n) = (after, tried + 1);
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, without care for time.
    fn matches_slowly(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skipped| matches_slowly(rest, &name[skipped..])),
            Some((c, rest)) => {
                name.split_first().is_some_and(|(first, name)| (*c == b'?' || c == first) && matches_slowly(rest, name))
            }
        }
    }

    proptest! {
        #[test]
        fn patterns_mean_what_they_are_defined_as(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(matches(&pattern, &name), matches_slowly(pattern.as_bytes(), name.as_bytes()));
        }
    }

    #[test]
    fn a_pattern_stands_for_the_whole_name() {
        assert!(matches("*.layers.0.*", "model.layers.0.mlp"));
        assert!(!matches("*.layers.0.*", "model.layers.10.mlp"));
        assert!(!matches("layers", "model.layers.0"));
    }
}
