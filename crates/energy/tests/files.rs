//! Technology and scenario files: those of the repository are sound, those in `bad/` are refused for what they say.

use std::fs;
use std::path::{Path, PathBuf};

use bitpulse_energy::{Scenario, Technology};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().expect("files have names").to_string_lossy().into_owned()
}

#[test]
fn files_of_the_repository_are_sound_and_named_after_themselves() {
    for path in files("../../data/technologies") {
        let text = fs::read_to_string(&path).unwrap();
        let technology = Technology::from_toml(&name(&path), &text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(format!("{}.toml", technology.name()), name(&path));
        assert!(technology.constants().all(|constant| !constant.sources.is_empty()));
    }
    for path in files("../../data/scenarios") {
        let text = fs::read_to_string(&path).unwrap();
        let scenario = Scenario::from_toml(&name(&path), &text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(format!("{}.toml", scenario.name), name(&path));
        assert!(scenario.assumptions.iter().all(|assumption| !assumption.source.is_empty()));
    }
}

/// Every file of the corpus opens with lines `# expect: `, one for each mistake, which the message must begin with.
#[test]
fn bad_files_are_refused_with_file_line_and_key() {
    let corpus = files("tests/bad");
    assert!(corpus.len() >= 10, "the corpus is there");
    for path in corpus {
        let text = fs::read_to_string(&path).unwrap();
        let expected: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# expect: ")).collect();
        assert!(!expected.is_empty(), "{}: expects nothing", path.display());
        let error = Technology::from_toml(&name(&path), &text).expect_err(&name(&path)).to_string();
        let told: Vec<&str> = error.lines().collect();
        assert_eq!(told.len(), expected.len(), "{}:\n{error}", path.display());
        for (told, expected) in told.iter().zip(&expected) {
            assert!(told.starts_with(expected), "{}:\n told {told}\n want {expected}", path.display());
        }
    }
}

#[test]
fn a_scenario_tells_all_its_mistakes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/scenarios/paper.toml");
    let text = fs::read_to_string(path).unwrap();
    let bad = text
        .replace("value = \"digital\"", "value = \"dgital\"")
        .replace("[mac-units]", "[mac-unit]")
        .replace("value = 0.1307", "value = 1.307")
        .replace("nominal = { value = \"0.2 V\"", "nominal = { value = \"0.2 A\"");
    let error = Scenario::from_toml("bad.toml", &bad).unwrap_err();
    let told: Vec<&str> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
    let keys =
        ["hp-partial-sums.value", "mac-unit", "read-voltage.nominal.value", "mean-pixel.value", "mac-units"];
    for key in keys {
        assert!(told.contains(&key), "{key} among {told:?}");
    }
}
