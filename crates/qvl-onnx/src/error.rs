use std::path::PathBuf;

/// Why a graph could not be built, written or read.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// A node was added whose inputs do not fit its operator.
    #[error("node `{node}` ({op}): {reason}")]
    Node {
        /// The node's name.
        node: String,
        /// Its operator.
        op: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// Two values of one graph have the same name.
    #[error("the name `{name}` is given twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A value was used outside the graph in which it was made.
    #[error("`{name}` is not known where it is used")]
    UnknownValue {
        /// The value.
        name: String,
    },
    /// A file could not be written.
    #[error("{path}: {source}{}", if source.kind() == std::io::ErrorKind::StorageFull { "; free some space and try again" } else { "" })]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A stored tensor's values cannot be written in the type that was asked for.
    #[error("{tensor}: {reason}")]
    Weight {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// The caller said to stop.
    #[error("stopped before the file was whole")]
    Stopped,
    /// The bytes are no ONNX model.
    #[error("not an ONNX model: {reason}")]
    NotOnnx {
        /// What is wrong.
        reason: String,
    },
    /// There are tensors where no graph of qvl has any; a runtime would read the files that they name.
    #[error("it has tensors in {place}, where qvl puts none")]
    Misplaced {
        /// Where they are.
        place: &'static str,
    },
    /// A tensor's entry for external data is wrong.
    #[error("external tensor `{tensor}` {reason}")]
    ExternalData {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
}
