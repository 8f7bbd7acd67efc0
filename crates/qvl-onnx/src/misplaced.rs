//! Tensors of an ONNX file where the graphs of qvl have none.
//!
//! A runtime follows the external data of every tensor that it finds: in a loop's body, in an attribute, in a function. Those of the
//! main graph are in [`ModelProto::external_tensors`](crate::proto::ModelProto::external_tensors); here the others are found, so
//! that nobody has to think about where they lie. Field numbers are those of ONNX's own schema, as in [`crate::proto`].

use prost::Message;

use crate::OnnxError;

/// What is there, whatever it holds.
#[derive(Clone, PartialEq, Message)]
struct Anything {}

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "25")]
    functions: Vec<Anything>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Anything>,
    #[prost(message, repeated, tag = "15")]
    sparse_initializer: Vec<Anything>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(message, optional, tag = "5")]
    t: Option<Anything>,
    #[prost(message, optional, tag = "6")]
    g: Option<Graph>,
    #[prost(message, repeated, tag = "10")]
    tensors: Vec<Anything>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<Anything>,
    #[prost(message, optional, tag = "22")]
    sparse_tensor: Option<Anything>,
    #[prost(message, repeated, tag = "23")]
    sparse_tensors: Vec<Anything>,
}

/// Checks that the bytes of an ONNX file have tensors among the initializers of the main graph and nowhere else.
///
/// # Errors
/// If the bytes are no ONNX model, or hold tensors, or what may hold tensors, elsewhere.
pub fn check_places_of_tensors(bytes: &[u8]) -> Result<(), OnnxError> {
    let model = Model::decode(bytes).map_err(|e| OnnxError::NotOnnx { reason: e.to_string() })?;
    if !model.functions.is_empty() {
        return Err(OnnxError::Misplaced { place: "functions" });
    }
    model.graph.iter().try_for_each(check_graph)
}

fn check_graph(graph: &Graph) -> Result<(), OnnxError> {
    if !graph.sparse_initializer.is_empty() {
        return Err(OnnxError::Misplaced { place: "sparse initializers" });
    }
    graph.node.iter().flat_map(|node| &node.attribute).try_for_each(check_attribute)
}

fn check_attribute(attribute: &Attribute) -> Result<(), OnnxError> {
    let Attribute { t, g, tensors, graphs, sparse_tensor, sparse_tensors } = attribute;
    let has_tensors = t.is_some() || sparse_tensor.is_some() || !tensors.is_empty() || !sparse_tensors.is_empty();
    if has_tensors || !graphs.is_empty() {
        return Err(OnnxError::Misplaced { place: "attributes" });
    }
    let Some(body) = g else { return Ok(()) };
    if !body.initializer.is_empty() {
        return Err(OnnxError::Misplaced { place: "the graph of a node" });
    }
    check_graph(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(model: &Model) -> Option<&'static str> {
        match check_places_of_tensors(&model.encode_to_vec()) {
            Err(OnnxError::Misplaced { place }) => Some(place),
            other => other.map(|()| None).unwrap(),
        }
    }

    fn in_graph(graph: Graph) -> Model {
        Model { graph: Some(graph), functions: Vec::new() }
    }

    fn in_attribute(attribute: Attribute) -> Graph {
        Graph { node: vec![Node { attribute: vec![attribute] }], ..Graph::default() }
    }

    #[test]
    fn tensors_may_be_initializers_of_the_main_graph() {
        let body = in_attribute(Attribute { g: Some(Graph::default()), ..Attribute::default() });
        assert_eq!(place_of(&in_graph(Graph { initializer: vec![Anything {}], ..body })), None);
    }

    #[test]
    fn tensors_elsewhere_are_found() {
        let sparse = Graph { sparse_initializer: vec![Anything {}], ..Graph::default() };
        let stored = Graph { initializer: vec![Anything {}], ..Graph::default() };
        assert_eq!(place_of(&Model { functions: vec![Anything {}], ..Model::default() }), Some("functions"));
        assert_eq!(place_of(&in_graph(sparse.clone())), Some("sparse initializers"));
        for (attribute, place) in [
            (Attribute { t: Some(Anything {}), ..Attribute::default() }, "attributes"),
            (Attribute { tensors: vec![Anything {}], ..Attribute::default() }, "attributes"),
            (Attribute { graphs: vec![Anything {}], ..Attribute::default() }, "attributes"),
            (Attribute { sparse_tensor: Some(Anything {}), ..Attribute::default() }, "attributes"),
            (Attribute { sparse_tensors: vec![Anything {}], ..Attribute::default() }, "attributes"),
            (Attribute { g: Some(stored), ..Attribute::default() }, "the graph of a node"),
            (Attribute { g: Some(sparse), ..Attribute::default() }, "sparse initializers"),
        ] {
            assert_eq!(place_of(&in_graph(in_attribute(attribute))), Some(place));
        }
    }
}
