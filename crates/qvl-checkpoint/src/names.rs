//! Tensor names: the Hub's, and the variants that fine-tuning tools write (SPEC §8).

use std::borrow::Cow;

/// Name of the language-model head.
pub(crate) const HEAD: &str = "lm_head.weight";
/// Name of the embedding table.
pub(crate) const EMBEDDING: &str = "model.language_model.embed_tokens.weight";

/// The Hub's name of a tensor; a name that follows no known scheme is returned as it is.
///
/// `visual.X` and `language_model.X` may lack or have a leading `model.`; the text may sit one level deeper
/// (`language_model.model.X`) or directly under `model.`; the head may sit under any of these.
pub(crate) fn canonical(name: &str) -> Cow<'_, str> {
    let inner = name.strip_prefix("model.").unwrap_or(name);
    if inner.starts_with("visual.") {
        return prefixed(name, "model.", inner);
    }
    let text = inner.strip_prefix("language_model.").unwrap_or(inner);
    let text = text.strip_prefix("model.").unwrap_or(text);
    if text == HEAD {
        return Cow::Borrowed(HEAD);
    }
    let known = ["embed_tokens.", "layers.", "norm."];
    if known.iter().any(|prefix| text.starts_with(prefix)) {
        return prefixed(name, "model.language_model.", text);
    }
    Cow::Borrowed(name)
}

/// `prefix + rest`, borrowed when that is `name` itself.
fn prefixed<'a>(name: &'a str, prefix: &str, rest: &str) -> Cow<'a, str> {
    match name.strip_prefix(prefix) {
        Some(same) if same == rest => Cow::Borrowed(name),
        _ => Cow::Owned(format!("{prefix}{rest}")),
    }
}

/// Whether a tensor that the model does not need may be there all the same: saved rotary tables, which are recomputed.
pub(crate) fn is_harmless(name: &str) -> bool {
    name.ends_with(".inv_freq")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_variant_has_the_hub_name() {
        let vision = "model.visual.blocks.0.attn.qkv.weight";
        for name in [vision, "visual.blocks.0.attn.qkv.weight"] {
            assert_eq!(canonical(name), vision);
        }
        let text = "model.language_model.layers.3.mlp.up_proj.weight";
        for name in [
            text,
            "language_model.layers.3.mlp.up_proj.weight",
            "language_model.model.layers.3.mlp.up_proj.weight",
            "model.language_model.model.layers.3.mlp.up_proj.weight",
            "model.layers.3.mlp.up_proj.weight",
        ] {
            assert_eq!(canonical(name), text, "{name}");
        }
        for name in ["lm_head.weight", "model.lm_head.weight", "language_model.lm_head.weight"] {
            assert_eq!(canonical(name), HEAD);
        }
        assert_eq!(canonical("embed_tokens.weight"), EMBEDDING);
    }

    #[test]
    fn unknown_names_stay() {
        for name in ["", "model.", "optimizer.state", "model.visual", "model.adapter.weight"] {
            assert_eq!(canonical(name), name);
        }
    }

    proptest! {
        #[test]
        fn naming_twice_changes_nothing(
            parts in prop::collection::vec("model|visual|language_model|layers|norm|lm_head|weight|[a-z0-9]{0,3}", 0..6)
        ) {
            let name = parts.join(".");
            let once = canonical(&name).into_owned();
            // A doubled prefix is no known scheme; everything else is settled after one step.
            prop_assume!(!name.contains("model.model.") && !name.contains("language_model.language_model"));
            prop_assert_eq!(canonical(&once), once.as_str());
        }
    }
}
