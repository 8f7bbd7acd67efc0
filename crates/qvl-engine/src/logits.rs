/// Scores over the vocabulary, before the softmax.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    /// Number of positions.
    pub rows: usize,
    /// Values in a row.
    pub vocab: usize,
    /// The rows one after the other, `rows · vocab` values.
    pub data: Vec<f32>,
}

impl Logits {
    /// The last row: the scores of the next token. Empty if there are no rows.
    pub fn last(&self) -> &[f32] {
        &self.data[self.data.len().saturating_sub(self.vocab)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_row() {
        let logits = Logits { rows: 2, vocab: 3, data: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0] };
        assert_eq!(logits.last(), [3.0, 4.0, 5.0]);
        assert!(Logits { rows: 0, vocab: 3, data: Vec::new() }.last().is_empty());
    }
}
