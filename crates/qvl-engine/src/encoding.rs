use std::fmt;

use qvl_checkpoint::Grid;

use crate::cpu::TowerPass;

/// Pictures and videos on their way through the vision tower, which [`Engine::encode_part`](crate::Engine::encode_part) takes
/// them part by part.
///
/// All parts are for the engine that did the first one.
pub struct Encoding {
    pub(crate) grids: Vec<Grid>,
    /// How far the engine `cpu` came; none before the first part. ONNX Runtime runs the tower as a whole.
    pub(crate) pass: Option<TowerPass>,
}

impl Encoding {
    /// The beginning, for pictures and videos with these grids.
    #[must_use]
    pub fn new(grids: &[Grid]) -> Self {
        Self { grids: grids.to_vec(), pass: None }
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begun = self.pass.is_some();
        f.debug_struct("Encoding").field("grids", &self.grids).field("begun", &begun).finish()
    }
}
