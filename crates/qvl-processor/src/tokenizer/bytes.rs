//! The byte-level alphabet: every byte has a printable character, so that a vocabulary of strings can hold any bytes.

/// The character of `byte`: itself where it prints, otherwise one of the 68 characters from U+0100 on, in byte order.
pub(super) fn char_of(byte: u8) -> char {
    match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        0..=0x20 => offset(u32::from(byte)),
        0x7f..=0xa0 => offset(u32::from(byte) - 0x7f + 0x21),
        0xad => offset(0x43),
    }
}

/// The byte that `c` stands for, if it is of the alphabet.
pub(super) fn byte_of(c: char) -> Option<u8> {
    let code = u32::from(c);
    let byte = match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => code,
        0x100..=0x120 => code - 0x100,
        0x121..=0x142 => code - 0x121 + 0x7f,
        0x143 => 0xad,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

fn offset(index: u32) -> char {
    char::from_u32(0x100 + index).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The bytes a vocabulary entry stands for; an entry with a character outside the alphabet stands for its own UTF-8.
pub(super) fn bytes_of(entry: &str) -> Vec<u8> {
    let mapped: Option<Vec<u8>> = entry.chars().map(byte_of).collect();
    mapped.unwrap_or_else(|| entry.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_of_its_own() {
        for byte in 0..=u8::MAX {
            assert_eq!(byte_of(char_of(byte)), Some(byte));
        }
        assert_eq!(char_of(b' '), 'Ġ');
        assert_eq!(char_of(b'\n'), 'Ċ');
        assert_eq!(byte_of('世'), None);
    }

    #[test]
    fn a_foreign_entry_is_its_own_text() {
        assert_eq!(bytes_of("Ġa"), b" a");
        assert_eq!(bytes_of("世"), "世".as_bytes());
    }
}
