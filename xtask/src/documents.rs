//! What documents promise: paths and links that lead somewhere, commands that exist, pages that the book has, Rust that is
//! tested.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;

use crate::{Cli, book, named, sweep, workspace};

/// Everything that documents name and that is not there.
///
/// # Errors
/// When a document cannot be read.
pub fn problems(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for document in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = read(document)?;
        let mut tell =
            |number: usize, what: String| problems.push(format!("{}:{number}: {what}", document.display()));
        for (number, line) in (1..).zip(text.lines()) {
            for path in named_paths(line) {
                if !exists(document, path) {
                    tell(number, format!("there is no `{path}`"));
                }
            }
            for (path, anchor) in links(line).filter_map(|link| link.split_once('#')) {
                let target = if path.is_empty() { document.clone() } else { beside(document, path) };
                let here = workspace::root().join(&target);
                if here.is_file() && !headings(&std::fs::read_to_string(here)?).contains(anchor) {
                    tell(number, format!("{} has no heading `#{anchor}`", target.display()));
                }
            }
        }
        for (number, line) in
            blocks(&text).filter(|block| block.language == "sh").flat_map(|block| block.lines)
        {
            if let Err(what) = command(line) {
                tell(number, what);
            }
        }
    }
    problems.extend(pages(files)?);
    Ok(problems)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(workspace::root().join(path))
        .with_context(|| format!("cannot read {}", path.display()))
}

/// The path of `link` in `document`, relative to the root.
fn beside(document: &Path, link: &str) -> PathBuf {
    document.parent().unwrap_or(Path::new("")).join(link)
}

fn exists(document: &Path, path: &str) -> bool {
    [beside(document, path), PathBuf::from(path)].iter().any(|p| workspace::root().join(p).exists())
}

/// Folders of the repository; what starts with one of them in a document is meant as a path.
const FOLDERS: [&str; 7] = ["crates/", "data/", "docs/", "xtask/", "fuzz/", ".ci/", ".cargo/"];

fn named_paths(line: &str) -> Vec<&str> {
    let quoted = line.split('`').skip(1).step_by(2);
    let linked = links(line).map(|link| link.split('#').next().unwrap_or(link));
    quoted
        .filter(|text| FOLDERS.iter().any(|folder| text.starts_with(folder)))
        .chain(linked.filter(|link| !link.is_empty()))
        // Placeholders stand for many files.
        .filter(|path| {
            !path.contains(['*', '{', '<', ' ']) && !path.chars().any(char::is_uppercase) || is_known(path)
        })
        .collect()
}

/// Targets of the links of a line that lead to other files, or to a heading.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|link| !link.contains("://"))
}

/// Names in capitals are placeholders, but for the files that are called so.
fn is_known(path: &str) -> bool {
    ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SUMMARY.md"].iter().any(|name| path.ends_with(name))
}

/// The headings of a page, as links name them.
fn headings(text: &str) -> BTreeSet<String> {
    let inside: BTreeSet<usize> =
        blocks(text).flat_map(|block| block.lines).map(|(number, _)| number).collect();
    let lines =
        (1..).zip(text.lines()).filter(|(number, line)| line.starts_with('#') && !inside.contains(number));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    lines
        .map(|(_, line)| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            heading.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// A fenced block.
struct Block<'a> {
    /// The word after the fence, up to a comma.
    language: &'a str,
    /// With their numbers, from 1.
    lines: Vec<(usize, &'a str)>,
}

fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut lines = (1..).zip(text.lines());
    std::iter::from_fn(move || {
        let (_, fence) = lines.find(|(_, line)| line.trim_start().starts_with("```"))?;
        let language = fence.trim_start().trim_start_matches('`').split([',', ' ']).next().unwrap_or("");
        let inside = lines.by_ref().take_while(|(_, line)| !line.trim_start().starts_with("```"));
        Some(Block { language, lines: inside.collect() })
    })
}

/// Whether a line of a shell block is what it seems: paths of the repository exist, and a command of ours parses, with
/// settings that a run may have.
fn command(line: &str) -> Result<(), String> {
    let words = words(line);
    let here = |path: &str| workspace::root().join(path).exists();
    for path in words.iter().filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder))) {
        if !here(path) && !path.contains('*') {
            return Err(format!("there is no `{path}`"));
        }
    }
    let after = |option: &'static str| {
        words.windows(2).filter(move |pair| pair[0] == option).map(|pair| pair[1].as_str())
    };
    for (option, folder) in [("--example", "examples"), ("--bench", "benches")] {
        for name in after(option) {
            let source = format!("{folder}/{name}.rs");
            let crates = std::fs::read_dir(workspace::root().join("crates")).into_iter().flatten().flatten();
            let mut places = crates.map(|entry| entry.path()).chain([workspace::root().join("xtask")]);
            if words[0] == "cargo" && !places.any(|place| place.join(&source).exists()) {
                return Err(format!("no crate has {source}"));
            }
        }
    }
    let Some(arguments) = words.strip_prefix(&["cargo".to_owned(), "xtask".to_owned()]) else {
        return Ok(());
    };
    let parsed = Cli::try_parse_from(std::iter::once("xtask").chain(arguments.iter().map(String::as_str)));
    if let Err(error) = parsed.map(|_| ())
        && error.use_stderr()
    {
        return Err(format!("`{}`: {}", arguments.join(" "), error.to_string().lines().next().unwrap_or("")));
    }
    let [verb, rest @ ..] = arguments else { return Ok(()) };
    if !["sweep", "train"].contains(&verb.as_str()) {
        return Ok(());
    }
    // A name is that of a sweep of ours; a reader's own file or folder stands for any.
    let word = rest.first().filter(|word| !word.starts_with('-') && !SWEEP_WORDS.contains(&word.as_str()));
    let word = word.or_else(|| rest.get(1).filter(|_| rest[0] == "plan"));
    let spec = word
        .filter(|word| named::is_bare(Path::new(word)) || here(word))
        .map_or("quickstart", String::as_str);
    let sets = after("--set").filter(|set| !set.contains(".toml")).map(String::from).collect::<Vec<_>>();
    sweep::load(Path::new(spec), &sets).map(|_| ()).map_err(|failure| failure.to_string())
}

/// Verbs of `cargo xtask sweep`, which stand where a sweep may.
const SWEEP_WORDS: [&str; 5] = ["plan", "resume", "status", "diff", "merge"];

/// The words of a line as a shell splits them, without assignments before the command and comments behind it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            ('#', None) if word.is_none() => break,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let assignment = |word: &String| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    let first = words.iter().position(|word| !assignment(word)).unwrap_or(words.len());
    words.split_off(first)
}

/// Pages that the book does not list, pages that it lists twice, and Rust that no test compiles.
fn pages(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let sources = Path::new(book::SOURCES);
    let summary = sources.join("SUMMARY.md");
    let listed: Vec<PathBuf> =
        read(&summary)?.lines().flat_map(links).map(|link| sources.join(link)).collect();
    let tested = read(Path::new("docs/book/lib.rs"))?;
    let mut problems = Vec::new();
    for page in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let times = listed.iter().filter(|path| *path == page).count();
        if page.starts_with(sources) && *page != summary && times != 1 {
            problems.push(format!("{}: stands {times} times in {}", page.display(), summary.display()));
        }
        let has_rust = blocks(&read(page)?).any(|block| block.language == "rust");
        // As `include_str!` may name it from the folder of the book.
        let below = ["docs/book", "docs"].into_iter().find_map(|folder| page.strip_prefix(folder).ok());
        let name = below.unwrap_or(page).display().to_string();
        if has_rust && !tested.contains(&name) {
            problems.push(format!(
                "{}: its Rust is not tested: docs/book/lib.rs does not include it",
                page.display()
            ));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy;

    #[test]
    fn finds_paths_in_prose_and_links() {
        let line = "See `crates/core`, [the page](docs/x.md#part), `cargo xtask`, <https://a.b/c> and `data/*.toml`.";
        assert_eq!(named_paths(line), ["crates/core", "docs/x.md"]);
    }

    #[test]
    fn the_documents_keep_their_promises() {
        let problems = problems(&tidy::tracked_files().unwrap()).unwrap();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }

    #[test]
    fn headings_are_named_as_links_name_them() {
        let page = "# The _first_ page\n```sh\n# a comment\n```\n## `results.csv`, and more\n";
        let expected = ["the-_first_-page", "resultscsv-and-more"].map(String::from);
        assert_eq!(headings(page), BTreeSet::from(expected));
    }

    #[test]
    fn lines_are_split_as_a_shell_does() {
        assert_eq!(
            words("A=1 cargo xtask --set 'seed=[1, 2]'  # all"),
            ["cargo", "xtask", "--set", "seed=[1, 2]"]
        );
        assert!(words("  # nothing").is_empty());
    }

    #[test]
    fn commands_are_held_to_what_there_is() {
        for right in [
            "cargo xtask sweep --set 'gain=[1, 2]' --set epochs=10   # a comment",
            "cargo xtask train benchmark-device --set device=mine.toml",
            "cargo xtask sweep plan paper-mnist",
            "cargo xtask devices --help",
            "cargo run --release -p bitpulse-crossbar --example circuit",
            "perf record -e cpu-clock:u target/release/deps/population-*",
            "",
        ] {
            assert_eq!(command(right), Ok(()), "{right}");
        }
        for (wrong, told) in [
            ("cargo xtask swep", "unrecognized subcommand"),
            ("cargo xtask sweep --set gian=2", "did you mean `gain`"),
            ("cargo xtask sweep paper-mist", "did you mean `paper-mnist`"),
            ("cargo xtask sweep plan paper-mist", "did you mean `paper-mnist`"),
            ("cargo xtask energy --price-list x", "unexpected argument"),
            ("cargo run --example circus", "no crate has examples/circus.rs"),
            ("cat data/devices/nothing.toml", "there is no"),
        ] {
            let message = command(wrong).expect_err(wrong);
            assert!(message.contains(told), "{wrong}: {message}");
        }
    }
}
