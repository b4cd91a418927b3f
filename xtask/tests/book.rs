//! The files that the book shows as examples: each is read as what it is said to be.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bitpulse_crossbar::Case;
use bitpulse_data::Manifest;
use bitpulse_device::Device;
use bitpulse_device::fit::PulseData;
use bitpulse_energy::Technology;
use bitpulse_learn::Architecture;

use common::{folder, text, xtask};

/// A fenced block of a page: where its fence stands, its kind such as `toml,device`, and what is in it.
struct Example {
    place: String,
    kind: String,
    text: String,
}

fn pages(folder: &Path, pages_found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder of the book") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            pages(&path, pages_found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages_found.push(path);
        }
    }
}

fn examples() -> Vec<Example> {
    let mut found = Vec::new();
    pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/book/src"), &mut found);
    let mut examples = Vec::new();
    for page in found {
        let text = fs::read_to_string(&page).expect("a page");
        let mut lines = (1..).zip(text.lines());
        while let Some((number, fence)) = lines.find(|(_, line)| line.starts_with("```")) {
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| !line.starts_with("```"));
            examples.push(Example {
                place: format!("{}:{number}", page.display()),
                kind: fence.trim_start_matches('`').into(),
                text: inside.flat_map(|line| [line, "\n"]).collect(),
            });
        }
    }
    examples
}

/// Reads `example` as what its kind says, and tells what is wrong with it.
fn check(example: &Example) -> Result<(), String> {
    let Example { place, kind, text: content } = example;
    match kind.as_str() {
        "toml,sweep" => {
            let folder = folder();
            let path = folder.path().join("example.toml");
            fs::write(&path, content).expect("a temporary file");
            let output = xtask(&["sweep", "plan", text(&path)]).output().expect("xtask runs");
            if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
        }
        "toml,device" => Device::from_toml(content).map(|_| ()).map_err(|error| error.to_string()),
        "toml,network" => {
            let network: Architecture = toml::from_str(content).map_err(|error| error.to_string())?;
            network.check().map(|_| ()).map_err(|problems| problems[0].to_string())
        }
        "toml,technology" => {
            Technology::from_toml(place, content).map(|_| ()).map_err(|error| error.to_string())
        }
        "toml,manifest" => Manifest::from_toml(content).map(|_| ()).map_err(|error| error.to_string()),
        "json,case" => Case::from_json(content).map(|_| ()).map_err(|error| error.to_string()),
        "csv,pulses" => PulseData::from_csv(content).map(|_| ()).map_err(|error| error.to_string()),
        "python" => python(content),
        // Parts of files, output, equations; shell and Rust are held to the code by `cargo xtask tidy` and as doctests.
        "toml" | "text" | "sh" | "rust" => Ok(()),
        _ => Err("a kind of block that no test knows".into()),
    }
}

/// Whether the text is Python, where there is one to ask.
fn python(content: &str) -> Result<(), String> {
    let parse = "import ast, sys; ast.parse(sys.argv[1])";
    match Command::new("python3").args(["-c", parse, content]).output() {
        Ok(output) if !output.status.success() => Err(String::from_utf8_lossy(&output.stderr).into()),
        Ok(_) => Ok(()),
        Err(_) => {
            eprintln!("python3 is not installed: Python in the book is not checked");
            Ok(())
        }
    }
}

#[test]
fn every_example_of_a_file_is_one() {
    let mut seen = BTreeMap::new();
    let mut wrong = Vec::new();
    for example in examples() {
        if let Err(message) = check(&example) {
            wrong.push(format!("{} ({}): {message}", example.place, example.kind));
        }
        *seen.entry(example.kind).or_insert(0) += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for kind in ["toml,sweep", "toml,device", "toml,network", "toml,technology", "json,case", "python"] {
        assert!(seen.contains_key(kind), "no example of {kind}: {seen:?}");
    }
}
