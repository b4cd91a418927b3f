use std::path::Path;

use anyhow::{Context, Result};
use bitpulse_learn::Architecture;

use crate::named;

/// Widths of the layers of a network such as `784-256-10`; at least two, none 0, none above a million.
pub fn parse_widths(text: &str) -> Option<Vec<usize>> {
    let widths: Option<Vec<usize>> = text
        .split('-')
        .map(|width| {
            let digits = !width.is_empty() && width.bytes().all(|b| b.is_ascii_digit());
            width.parse().ok().filter(|w| digits && (1..=1_000_000).contains(w))
        })
        .collect();
    widths.filter(|widths| widths.len() >= 2)
}

/// The folder of the networks, within `data`.
const NETWORKS: &str = "networks";

/// The layers of the network called `name`: widths, a name in data/networks, or a file.
///
/// # Errors
/// When there is no such network, or its file is not one of a network; layers that do not fit together are told by number.
pub fn read(name: &str) -> Result<Architecture> {
    let architecture = if let Some(widths) = parse_widths(name) {
        Architecture::from(&widths)
    } else {
        let name = Path::new(name);
        let path = named::path(NETWORKS, name);
        if named::is_bare(name) && !path.exists() {
            anyhow::bail!(
                "no network `{}`{}: allowed are widths such as \"784-256-10\", a name in data/networks, or a file with an \
                 ending",
                name.display(),
                named::hint(NETWORKS, name)
            );
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read the network {}", path.display()))?;
        toml::from_str(&text).with_context(|| path.display().to_string())?
    };
    architecture
        .check()
        .map_err(|problems| {
            anyhow::anyhow!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })
        .with_context(|| format!("network {name}"))?;
    Ok(architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_strictly() {
        assert_eq!(parse_widths("784-256-10"), Some(vec![784, 256, 10]));
        for wrong in ["", "784", "784-", "784-0-10", "784-+5-10", "784 - 5", "a-b", "784-99999999999-10"] {
            assert_eq!(parse_widths(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_network_of_the_repository_is_sound() {
        let files = std::fs::read_dir(named::folder(NETWORKS)).unwrap();
        let mut count = 0;
        for file in files {
            let name = file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
            read(&name).unwrap();
            count += 1;
        }
        assert!(count >= 3);
        assert_eq!(read("mlp-784-500-10").unwrap().classes(), 10);
        assert_eq!(read("mlp-784-500-10").unwrap().layers, read("784-500-10").unwrap().layers);
    }

    #[test]
    fn what_is_wrong_is_told_by_file_line_and_layer() {
        let folder = tempfile::tempdir().unwrap();
        let told = |text: &str| {
            let path = folder.path().join("network.toml");
            std::fs::write(&path, text).unwrap();
            format!("{:#}", read(&path.to_string_lossy()).unwrap_err())
        };
        let input = "[input]\nchannels = 1\nheight = 4\nwidth = 4\n";
        let large = told(&format!("{input}[[layers]]\nkind = \"convolution\"\nchannels = 2\nkernel = 9\n"));
        assert!(large.contains("layer 1: a kernel of 9 x 9"), "{large}");
        let typing = told(&format!("{input}[[layers]]\nkind = \"dense\"\nneuron = 2\n"));
        assert!(typing.contains("line 5") && typing.contains("neuron"), "{typing}");
        let spare = told(&format!("{input}[[layers]]\nkind = \"dense\"\nneurons = 2\npoool = \"max\"\n"));
        assert!(spare.contains("poool"), "{spare}");
        let near = format!("{:#}", read("cnn_small").unwrap_err());
        assert!(near.contains("did you mean `cnn-small`"), "{near}");
    }
}
