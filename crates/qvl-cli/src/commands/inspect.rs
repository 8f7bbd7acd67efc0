//! `qvl inspect`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use indicatif::HumanBytes;
use qvl::inspect::{CheckpointInspection, Dimensions, GraphInspection, Inspection, PackageInspection, ValueInspection};

use crate::args::InspectArgs;
use crate::demo;
use crate::interrupt::Interrupt;
use crate::terminal::print;

/// Prints what is at the path, or the demo model's package, as text or as one JSON object.
///
/// # Errors
/// If there is no checkpoint or package, or it is not usable.
pub fn inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let inspection = match &args.path {
        Some(path) => qvl::inspect::inspect(path)?,
        None => qvl::inspect::inspect(Interrupt::install()?.during(demo::package)?.path())?,
    };
    if args.json {
        return print(&format!("{}\n", serde_json::to_string(&inspection)?));
    }
    let mut text = String::new();
    match &inspection {
        Inspection::Checkpoint(checkpoint) => write_checkpoint(&mut text, checkpoint)?,
        Inspection::Package(package) => write_package(&mut text, package)?,
    }
    print(&text)
}

fn write_checkpoint(text: &mut String, checkpoint: &CheckpointInspection) -> std::fmt::Result {
    let summary = &checkpoint.summary;
    writeln!(text, "checkpoint    {} ({})", summary.model_type, summary.size.unwrap_or("no published size"))?;
    write_dimensions(text, &checkpoint.model)?;
    writeln!(text, "parameters    {} in {} tensors", grouped(summary.parameters), summary.tensors)?;
    for (dtype, count) in &summary.dtypes {
        writeln!(text, "  {dtype:<11} {}", grouped(*count))?;
    }
    writeln!(text, "head          {}", if summary.tied_head { "tied to the embedding" } else { "its own" })?;
    if let Some(layout) = summary.expert_layout {
        writeln!(text, "experts       {layout}")?;
    }
    writeln!(text, "files")?;
    for shard in &summary.shards {
        writeln!(text, "  {}  {}", shard.name, HumanBytes(shard.bytes))?;
    }
    Ok(())
}

fn write_package(text: &mut String, package: &PackageInspection) -> std::fmt::Result {
    writeln!(
        text,
        "package       of {} ({}), by qvl {}",
        package.source.name, package.source.model_type, package.qvl_version
    )?;
    write_dimensions(text, &package.model)?;
    for graph in &package.graphs {
        write_graph(text, graph)?;
    }
    writeln!(text, "files         {} together", HumanBytes(package.bytes))?;
    for (name, file) in &package.files {
        writeln!(text, "  {name}  {}", HumanBytes(file.bytes))?;
    }
    writeln!(text, "made from")?;
    for (name, file) in &package.source.files {
        writeln!(
            text,
            "  {name}  {}  sha256 {}",
            HumanBytes(file.bytes),
            file.sha256.as_deref().unwrap_or("not recorded")
        )?;
    }
    for package in &package.source.via {
        let precisions = package.precisions.iter().map(|(graph, precision)| format!("{graph} {precision}"));
        let precisions: Vec<String> = precisions.collect();
        writeln!(text, "  by way of a package: {}, by qvl {}", precisions.join(", "), package.qvl_version)?;
    }
    Ok(())
}

fn write_dimensions(text: &mut String, model: &Dimensions) -> std::fmt::Result {
    writeln!(
        text,
        "text          {} layers, width {}, {} query heads over {} key/value heads, {} tokens, context {}",
        model.layers, model.hidden_size, model.attention_heads, model.key_value_heads, model.vocabulary, model.context
    )?;
    if let Some(experts) = model.experts {
        writeln!(text, "              {experts} experts in a layer")?;
    }
    writeln!(
        text,
        "vision        {} layers, width {}, DeepStack after {:?}",
        model.vision_layers, model.vision_hidden_size, model.deepstack_layers
    )
}

fn write_graph(text: &mut String, graph: &GraphInspection) -> std::fmt::Result {
    let opsets: Vec<String> = graph.opsets.iter().map(|(domain, version)| format!("{domain} {version}")).collect();
    writeln!(text, "graph         {}: {}, {} nodes, {}", graph.name, graph.precision, graph.nodes, opsets.join(", "))?;
    if let Some(quantization) = &graph.quantization {
        let zero_points = if quantization.symmetric { "symmetric" } else { "asymmetric" };
        let (method, size, level) = (quantization.method, quantization.block_size, quantization.accuracy_level);
        writeln!(text, "  matrices    by {method}, {zero_points} blocks of {size}, accuracy level {level}")?;
        for (tensor, precision) in &quantization.mix {
            writeln!(text, "  mix         {tensor} {precision}")?;
        }
        write_errors(text, &quantization.relative_error)?;
    }
    for (tensor, owner) in &graph.shared {
        writeln!(text, "  shared      {tensor} with the {owner} graph, which stores it")?;
    }
    for (data_type, count) in &graph.weights {
        writeln!(text, "  weights     {} of {data_type}", grouped(*count))?;
    }
    write_values(text, "in", &graph.inputs)?;
    write_values(text, "out", &graph.outputs)
}

/// The median and the largest relative squared error of the quantised tensors.
fn write_errors(text: &mut String, errors: &BTreeMap<String, f64>) -> std::fmt::Result {
    let mut sorted: Vec<(&String, f64)> = errors.iter().map(|(tensor, &error)| (tensor, error)).collect();
    sorted.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let (Some((_, median)), Some((worst, largest))) = (sorted.get(sorted.len() / 2), sorted.last()) else {
        return Ok(());
    };
    writeln!(text, "  error       Σ (w − ŵ)² / Σ w²: median {median:e}, largest {largest:e} in {worst}")
}

/// One line for each value, where those that differ only in the layer's number share one.
fn write_values(text: &mut String, label: &str, values: &[ValueInspection]) -> std::fmt::Result {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(layerless(&value.name)).or_default() += 1;
    }
    for value in values {
        let name = layerless(&value.name);
        // The first of its kind stands for all.
        let Some(count) = counts.remove(&name) else { continue };
        let times = if count > 1 { format!("  (i = 0…{})", count - 1) } else { String::new() };
        writeln!(text, "  {label:<11} {name} {} [{}]{times}", value.data_type, value.shape.join(", "))?;
    }
    Ok(())
}

/// The name with its layer's number replaced: `past_key_values.{i}.key`.
fn layerless(name: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = name.split('.').map(|part| if is_number(part) { "{i}" } else { part }).collect();
    parts.join(".")
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!([0, 999, 1000, 4_437_815_808].map(grouped), ["0", "999", "1,000", "4,437,815,808"]);
    }

    #[test]
    fn layers_share_a_line() {
        let value =
            |name: &str| ValueInspection { name: name.into(), data_type: "float32".into(), shape: vec!["B".into()] };
        let mut text = String::new();
        write_values(&mut text, "in", &[value("ids"), value("past.0.key"), value("past.1.key")]).unwrap();
        assert_eq!(text, "  in          ids float32 [B]\n  in          past.{i}.key float32 [B]  (i = 0…1)\n");
    }
}
