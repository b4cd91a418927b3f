//! The runs of several folders put together: shards that ran on machines without a common disk.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::folder::Folder;
use super::{conclude, tell_results};
use crate::failure::{Failure, Outcome};
use crate::report;

/// `cargo xtask sweep merge`
#[derive(Args)]
pub struct Merge {
    /// Folders of the same sweep
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// Folder that takes all runs
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Merge {
    pub fn run(self) -> Outcome {
        let sources = self.dirs.iter().map(|dir| Folder::open(dir)).collect::<Outcome<Vec<_>>>()?;
        let (_, text) = sources[0].spec()?;
        for source in &sources[1..] {
            let same = source.spec()?.1 == text
                && source.manifest.overrides == sources[0].manifest.overrides
                && source.manifest.name == sources[0].manifest.name;
            if !same {
                let [one, other] = [sources[0].dir(), source.dir()].map(std::path::Path::display);
                return Err(Failure::input(anyhow!("{other} is of another sweep than {one}")));
            }
        }
        let sweep = sources[0].sweep()?;
        let folder = Folder::create(&self.out, sources[0].manifest.clone(), &text, &sweep.included)?;
        for run in &sweep.runs {
            let target = folder.of(run);
            if matches!(target.is_done(), Ok(true)) {
                continue;
            }
            // Of several folders that have the run, the first whose copy is whole serves: all are the same bits.
            let found =
                sources.iter().map(|source| source.of(run)).find(|run| matches!(run.is_done(), Ok(true)));
            if let Some(source) = found {
                target.copy_from(&source)?;
            }
        }
        let done = conclude(&folder, &sweep, report::THRESHOLD)?.map_or(0, |conclusion| conclusion.done);
        println!("{done} of {} runs are done", sweep.runs.len());
        tell_results(&folder);
        Ok(())
    }
}
