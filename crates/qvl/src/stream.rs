//! From token bytes to text that can be shown at once: whole characters only.

/// Turns the bytes of tokens into text, holding back a character whose bytes are not all there.
///
/// All pieces together equal the lossy decoding of all bytes together: bytes that are no UTF-8 become U+FFFD.
#[derive(Debug, Default, Clone)]
pub struct Utf8Stream {
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// Takes the bytes of the next token and returns the characters that are complete.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            let error = match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => error,
            };
            let (valid, after) = rest.split_at(error.valid_up_to());
            text.push_str(&String::from_utf8_lossy(valid));
            rest = after;
            // No length means that the bytes may still become a character.
            let Some(invalid) = error.error_len() else { break };
            text.push(char::REPLACEMENT_CHARACTER);
            rest = &rest[invalid..];
        }
        self.pending = rest.to_vec();
        text
    }

    /// What is left once no more bytes follow: nothing, or U+FFFD for an incomplete character.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_character_is_shown_when_its_last_byte_arrives() {
        let mut stream = Utf8Stream::default();
        let bytes = "😀".as_bytes();
        assert_eq!(stream.push(&bytes[..1]), "");
        assert_eq!(stream.push(&bytes[1..3]), "");
        assert_eq!(stream.push(&bytes[3..]), "😀");
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn bytes_that_are_no_character_are_replaced_as_soon_as_that_is_known() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&[0xf0, 0x9f]), "");
        assert_eq!(stream.push(b"a\xff"), "\u{fffd}a\u{fffd}");
        assert_eq!(stream.push(&[0xe4, 0xbd]), "");
        assert_eq!(stream.finish(), "\u{fffd}");
    }

    fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let text = ".{0,6}".prop_map(String::into_bytes);
        let noise = prop::collection::vec(any::<u8>(), 0..5);
        let split = ("[é好😀]{1,3}", 0_usize..12).prop_map(|(text, cut)| {
            let bytes = text.into_bytes();
            bytes[cut.min(bytes.len())..].to_vec()
        });
        prop::collection::vec(prop_oneof![text, noise, split], 0..10)
    }

    proptest! {
        #[test]
        fn pieces_together_equal_the_decoding_of_the_whole(pieces in pieces()) {
            let mut stream = Utf8Stream::default();
            let mut text: String = pieces.iter().map(|piece| stream.push(piece)).collect();
            text += &stream.finish();
            let whole = String::from_utf8_lossy(&pieces.concat()).into_owned();
            prop_assert_eq!(text, whole);
        }
    }
}
