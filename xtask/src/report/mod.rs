use crate::failure::Outcome;
use clap::Args;
use std::path::{Path, PathBuf};
/// `cargo xtask report`
#[derive(Args)]
pub struct Report {
    /// Folder of a sweep
    dir: PathBuf,
}
impl Report {
    pub fn run(self) -> Outcome {
        println!("{}", render(&self.dir)?.display());
        Ok(())
    }
}
pub fn render(dir: &Path) -> anyhow::Result<PathBuf> {
    Ok(dir.join("report.html"))
}
pub fn summary(_dir: &Path) -> anyhow::Result<String> {
    Ok(String::new())
}
