//! The small files of a checkpoint: configuration, tokenizer, chat template, preprocessing.

use std::path::Path;

use anyhow::Context as _;

/// Files that are named alike in both places.
const SAME: [&str; 6] = [
    "merges.txt",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
    "vocab.json",
];

/// Copies what the directory has; `size` picks the published files of that size.
pub(crate) fn copy(from: &Path, size: Option<&str>, to: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        from.is_dir(),
        "{} is not a directory; name one with a tokenizer and a chat template by --assets",
        from.display()
    );
    for name in SAME {
        copy_first(from, &[name.to_owned()], to, name)?;
    }
    let sized = |file: &str, ending: &str| size.map(|size| format!("{file}.{size}{ending}.json"));
    let configs: Vec<String> = sized("config", "-Instruct").into_iter().collect();
    copy_first(from, &configs, to, "config.json")?;
    let mut generation: Vec<String> = sized("generation_config", "").into_iter().collect();
    generation.extend(["generation_config.json", "generation_config.4B.json"].map(str::to_owned));
    copy_first(from, &generation, to, "generation_config.json")?;
    let templates = ["chat_template.json", "chat_template.Instruct.json"].map(str::to_owned);
    copy_first(from, &templates, to, "chat_template.json")
}

/// Copies the first of the names that is there; none is no error, since not every set has every file.
fn copy_first(from: &Path, names: &[String], to: &Path, target: &str) -> anyhow::Result<()> {
    let Some(source) = names.iter().map(|name| from.join(name)).find(|path| path.is_file()) else {
        return Ok(());
    };
    std::fs::copy(&source, to.join(target)).with_context(|| format!("cannot copy {}", source.display()))?;
    Ok(())
}
