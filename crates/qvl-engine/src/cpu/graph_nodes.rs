//! What the nodes of a graph say of its weights.

use std::collections::BTreeMap;

use qvl_onnx::proto::{GraphProto, NodeProto};

/// The operators of the graphs that `qvl` exports. A graph with another one computes something else.
const KNOWN: [&str; 50] = [
    "Add",
    "And",
    "ArgMax",
    "Cast",
    "Concat",
    "ConcatFromSequence",
    "Cos",
    "CumSum",
    "Div",
    "Equal",
    "Expand",
    "Floor",
    "Gather",
    "GatherBlockQuantized",
    "Gelu",
    "Greater",
    "GroupQueryAttention",
    "Identity",
    "LayerNormalization",
    "Loop",
    "MatMul",
    "MatMulNBits",
    "Max",
    "Min",
    "MoE",
    "Mod",
    "Mul",
    "MultiHeadAttention",
    "NonZero",
    "Or",
    "QMoE",
    "RMSNormalization",
    "Range",
    "ReduceMax",
    "ReduceProd",
    "ReduceSum",
    "Reshape",
    "RotaryEmbedding",
    "ScatterND",
    "SequenceEmpty",
    "SequenceInsert",
    "Shape",
    "Sigmoid",
    "Sin",
    "SkipSimplifiedLayerNormalization",
    "Slice",
    "Split",
    "Sub",
    "Transpose",
    "Where",
];

/// The activations' rounding that `accuracy_level` calls for: to blocks of int8.
const ROUNDED: i64 = 4;

/// The form of a matrix in blocks, as the node has it that computes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockForm {
    /// Bits of a code.
    pub(super) bits: i64,
    /// Values in a block.
    pub(super) size: i64,
    /// Name of the tensor of scales.
    pub(super) scales: String,
    /// Name of the tensor of zero points, where they are stored.
    pub(super) zero_points: Option<String>,
}

/// The nodes of a graph that compute with matrices in blocks.
#[derive(Debug)]
pub(super) struct GraphNodes {
    /// By the name of the tensor of codes.
    forms: BTreeMap<String, BlockForm>,
    /// Whether every product may round its activations.
    is_rounded: bool,
}

impl GraphNodes {
    /// Reads the nodes of `graph` and of the graphs inside it; fails with a sentence about one that is not known.
    pub(super) fn read(graph: &GraphProto) -> Result<Self, String> {
        let mut nodes = Self { forms: BTreeMap::new(), is_rounded: true };
        nodes.add(graph)?;
        Ok(nodes)
    }

    /// The form of the matrix whose codes are the tensor `codes`; `None` if no node computes with it.
    pub(super) fn form_of(&self, codes: &str) -> Option<&BlockForm> {
        self.forms.get(codes)
    }

    /// Whether every product with a matrix in blocks may round its activations to int8.
    pub(super) fn is_rounded(&self) -> bool {
        self.is_rounded
    }

    fn add(&mut self, graph: &GraphProto) -> Result<(), String> {
        for node in &graph.node {
            let is_known = matches!(node.domain.as_str(), "" | "com.microsoft");
            if !is_known || KNOWN.binary_search(&node.op_type.as_str()).is_err() {
                return Err(format!("its node `{}` is of the operator {}", node.name, node.op_type));
            }
            match node.op_type.as_str() {
                "MatMulNBits" => self.add_product(node, "bits", &[[1, 2, 3]])?,
                "QMoE" => self.add_product(node, "expert_weight_bits", &[[2, 3, 11], [5, 6, 12]])?,
                "GatherBlockQuantized" => self.add_matrix(node, "bits", [0, 2, 3])?,
                _ => {}
            }
            for body in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
                self.add(body)?;
            }
        }
        Ok(())
    }

    fn add_product(&mut self, node: &NodeProto, bits: &str, matrices: &[[usize; 3]]) -> Result<(), String> {
        self.is_rounded &= integer(node, "accuracy_level").is_ok_and(|level| level == ROUNDED);
        matrices.iter().try_for_each(|&places| self.add_matrix(node, bits, places))
    }

    /// Adds the matrix whose codes, scales and zero points are the node's inputs at `places`.
    fn add_matrix(&mut self, node: &NodeProto, bits: &str, places: [usize; 3]) -> Result<(), String> {
        let [codes, scales, zero_points] = places.map(|place| node.input.get(place).filter(|name| !name.is_empty()));
        let (Some(codes), Some(scales)) = (codes, scales) else {
            return Err(format!("its node `{}` lacks an input", node.name));
        };
        let (bits, size) = (integer(node, bits)?, integer(node, "block_size")?);
        let form = BlockForm { bits, size, scales: scales.clone(), zero_points: zero_points.cloned() };
        self.forms.insert(codes.clone(), form);
        Ok(())
    }
}

/// The integer attribute `name`.
fn integer(node: &NodeProto, name: &str) -> Result<i64, String> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name == name);
    attribute.and_then(|attribute| attribute.i).ok_or_else(|| format!("its node `{}` has no {name}", node.name))
}

#[cfg(test)]
mod tests {
    use qvl_onnx::proto::AttributeProto;

    use super::*;

    fn node(op_type: &str, inputs: &[&str], attributes: &[(&str, i64)]) -> NodeProto {
        let attribute =
            |&(name, i): &(&str, i64)| AttributeProto { name: name.into(), i: Some(i), ..AttributeProto::default() };
        NodeProto {
            name: "n".into(),
            op_type: op_type.into(),
            input: inputs.iter().map(|&name| name.into()).collect(),
            attribute: attributes.iter().map(attribute).collect(),
            ..NodeProto::default()
        }
    }

    fn read(nodes: Vec<NodeProto>) -> Result<GraphNodes, String> {
        GraphNodes::read(&GraphProto { node: nodes, ..GraphProto::default() })
    }

    const PRODUCT: [(&str, i64); 3] = [("bits", 4), ("block_size", 32), ("accuracy_level", 4)];

    #[test]
    fn known_operators_are_in_order() {
        assert!(KNOWN.is_sorted());
    }

    #[test]
    fn forms_are_those_of_the_nodes_inside_bodies_too() {
        let product = node("MatMulNBits", &["x", "w.codes", "w.scales", "w.zero_points"], &PRODUCT);
        let body = GraphProto { node: vec![product], ..GraphProto::default() };
        let mut outer = node("Loop", &[], &[]);
        outer.attribute.push(AttributeProto { name: "body".into(), g: Some(body), ..AttributeProto::default() });
        let nodes = read(vec![outer]).unwrap();
        let form = nodes.form_of("w.codes").unwrap();
        assert_eq!((form.bits, form.size, form.scales.as_str()), (4, 32, "w.scales"));
        assert_eq!(form.zero_points.as_deref(), Some("w.zero_points"));
        assert!(nodes.is_rounded() && nodes.form_of("other").is_none());
    }

    #[test]
    fn one_exact_product_makes_all_exact() {
        let exact = [("bits", 8), ("block_size", 32), ("accuracy_level", 0)];
        let nodes = read(vec![
            node("MatMulNBits", &["x", "a", "b"], &PRODUCT),
            node("MatMulNBits", &["x", "c", "d", ""], &exact),
        ]);
        let nodes = nodes.unwrap();
        assert!(!nodes.is_rounded());
        assert_eq!(nodes.form_of("c").unwrap().zero_points, None);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = |node| read(vec![node]).unwrap_err();
        assert_eq!(error(node("Conv", &[], &[])), "its node `n` is of the operator Conv");
        let foreign = NodeProto { domain: "elsewhere".into(), ..node("Add", &[], &[]) };
        assert_eq!(error(foreign), "its node `n` is of the operator Add");
        assert_eq!(error(node("MatMulNBits", &["x", "a", "b"], &PRODUCT[..1])), "its node `n` has no block_size");
        assert_eq!(error(node("GatherBlockQuantized", &["a"], &PRODUCT)), "its node `n` lacks an input");
    }
}
