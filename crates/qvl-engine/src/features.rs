/// What the vision tower makes of pictures and video frames: a row for each merged patch.
///
/// A row holds the merged feature and the DeepStack features side by side, `(1 + R) · H` values for R DeepStack features
/// of a text model of width H.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    /// Number of rows.
    pub rows: usize,
    /// Values in a row.
    pub width: usize,
    /// The rows one after the other, `rows · width` values.
    pub data: Vec<f32>,
}
