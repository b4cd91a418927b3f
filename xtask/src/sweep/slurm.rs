//! Sweeps as job arrays of Slurm.
//!
//! Every task of the array runs one part of the sweep in the shared folder, and a job that waits for all of them runs what
//! they left undone and writes the report. The program is copied into the folder, so that what was submitted is what
//! runs; repository and folder are on a disk that all nodes see.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, anyhow, ensure};
use clap::Args;

use super::folder::Folder;
use super::{How, quoted};
use crate::failure::{Failure, Outcome};
use crate::spec::Sweep;
use crate::workspace::write_atomically;

#[derive(Args)]
pub struct Options {
    /// Tasks of the job array [default: one for each run, at most 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    slurm_tasks: Option<u16>,
    /// An option for sbatch, such as --slurm-option=--partition=long; may be given again
    #[arg(long = "slurm-option", value_name = "OPTION", allow_hyphen_values = true)]
    slurm_options: Vec<String>,
}

/// Slurm's own default for the greatest job array.
const MOST_TASKS: usize = 1000;

/// How often a task begins again after its process was killed, before it is left to the last job.
const TRIES: u32 = 3;

impl Options {
    /// Hands the sweep of `folder` to Slurm and returns without waiting for it.
    pub fn submit(&self, folder: &Folder, sweep: &Sweep, how: &How) -> Outcome {
        if how.shard.is_some() {
            return Err(Failure::input(anyhow!("--engine slurm makes the shards itself: leave --shard out")));
        }
        let tasks = self.slurm_tasks.map_or(MOST_TASKS, usize::from).min(sweep.runs.len());
        let dir = std::path::absolute(folder.dir()).map_err(Failure::input)?;
        let scripts = dir.join("slurm");
        let prepare = || -> anyhow::Result<()> {
            std::fs::create_dir_all(&scripts)
                .with_context(|| format!("cannot make the folder {}", scripts.display()))?;
            let program = scripts.join("xtask");
            // Written aside and renamed: tasks of an earlier submission may still run the old one.
            write_atomically(&program, &std::fs::read(std::env::current_exe()?)?)?;
            make_executable(&program)?;
            write_atomically(&scripts.join("part.sh"), self.part(&dir, sweep, how, tasks).as_bytes())?;
            write_atomically(&scripts.join("report.sh"), self.report(&dir, sweep, how).as_bytes())
        };
        prepare()?;
        let array = sbatch(&[], &scripts.join("part.sh"))?;
        let report = sbatch(&[&format!("--dependency=afterany:{array}")], &scripts.join("report.sh"))?;
        println!("{} runs in {tasks} tasks: job {array}; then the report: job {report}", sweep.runs.len());
        println!("how far it is:  cargo xtask sweep status {}", quoted(&folder.dir().display().to_string()));
        println!("what they said: {}", scripts.join("*.log").display());
        Ok(())
    }

    /// What stands on top of both scripts.
    fn head(&self, name: &str, dir: &Path, jobs: u16, log: &str) -> String {
        let mut text = format!(
            "#!/bin/sh\n\
             #SBATCH --job-name=\"{name}\"\n\
             #SBATCH --cpus-per-task={jobs}\n\
             #SBATCH --requeue\n\
             #SBATCH --open-mode=append\n\
             #SBATCH --output=\"{}/slurm/{log}.log\"\n",
            dir.display()
        );
        for option in &self.slurm_options {
            let _ = writeln!(text, "#SBATCH {option}");
        }
        text
    }

    fn part(&self, dir: &Path, sweep: &Sweep, how: &How, tasks: usize) -> String {
        let jobs = how.jobs.unwrap_or(1);
        let head = self.head(&sweep.name, dir, jobs, "%A_%a");
        let command = resume(dir, how, jobs);
        format!(
            "{head}#SBATCH --array=1-{tasks}\n\
             #SBATCH --signal=B:USR1@60\n\
             # A node that is lost is replaced by Slurm (--requeue). A process that is killed is begun again here, and goes\n\
             # on from its last checkpoint. When the time limit is near, runs are kept and the task goes back into the\n\
             # queue.\n\
             late=no\n\
             trap 'late=yes; kill -TERM $child' USR1\n\
             for try in $(seq {TRIES}); do\n    \
                 {command} --shard \"$SLURM_ARRAY_TASK_ID/{tasks}\" &\n    \
                 child=$!\n    \
                 wait $child\n    \
                 code=$?\n    \
                 # A signal ends the wait before the program.\n    \
                 while kill -0 $child 2>/dev/null; do wait $child; code=$?; done\n    \
                 [ $late = yes ] && exec scontrol requeue \"${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID\"\n    \
                 # Done; a run failed, and would again; wrong input; asked to stop.\n    \
                 case $code in 0|1|2|130|143) exit $code;; esac\n\
             done\n\
             exit $code\n"
        )
    }

    fn report(&self, dir: &Path, sweep: &Sweep, how: &How) -> String {
        let jobs = how.jobs.unwrap_or(1);
        let head = self.head(&format!("{}-report", sweep.name), dir, jobs, "report-%j");
        format!(
            "{head}# Runs what is still missing, which is nothing as a rule, and reports.\nexec {}\n",
            resume(dir, how, jobs)
        )
    }
}

fn resume(dir: &Path, how: &How, jobs: u16) -> String {
    let program = quoted(&dir.join("slurm/xtask").display().to_string());
    let mut command = format!("{program} sweep resume {} --jobs {jobs}", quoted(&dir.display().to_string()));
    let _ = write!(command, " --checkpoint-every {}", how.checkpoint_every);
    if how.keep_checkpoints {
        command += " --keep-checkpoints";
    }
    command
}

/// Submits a script and returns the number of its job.
fn sbatch(options: &[&str], script: &Path) -> Outcome<String> {
    let submit = || -> anyhow::Result<String> {
        let output = Command::new("sbatch").arg("--parsable").args(options).arg(script).output();
        let output = output.context("cannot run sbatch: is Slurm installed on this machine?")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "sbatch refused {}: {}", script.display(), errors.trim());
        // `job` or `job;cluster`.
        let answer = String::from_utf8(output.stdout)?;
        Ok(answer.trim().split(';').next().unwrap_or_default().to_owned())
    };
    submit().map_err(Failure::input)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
