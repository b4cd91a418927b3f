//! A sweep through a real Slurm: munged, slurmctld and slurmd on this machine, started for the test and ended with it.
//!
//! Skipped, with the reason printed, where Slurm is not installed (Debian: `slurm-wlm` and `munge`) or the user is not
//! root, whom slurmd needs.

#![cfg(unix)]

mod common;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::{folder, results, run_folders, text, wait_for, xtask};

const SPEC: &str = r#"
question = "Does a cluster get the same results?"

[base]
network = "784-24-10"
epochs = 12
train-count = 2000
test-count = 100

[rules.hp]
activation = "sigmoid"
input = "analog"
forward = "hp"
derivative = "hp"
error = "hp"
update = "hp"

[rules.bs]

[axes]
rule = ["hp", "bs"]
seed = [1, 2, 3, 4, 5, 6]
"#;

/// A cluster of one node.
struct Slurm {
    configuration: PathBuf,
    /// In the order in which they were started.
    daemons: Vec<Child>,
}

/// What is missing for a cluster on this machine.
fn missing() -> Option<String> {
    for program in ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "timeout"] {
        let found = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(program).exists());
        if !found {
            return Some(format!("{program} is not installed"));
        }
    }
    let user = Command::new("id").arg("-u").output().expect("id is a command of every Unix");
    (user.stdout != b"0\n").then(|| "slurmd runs as root only".into())
}

impl Slurm {
    fn start(dir: &Path) -> Self {
        let path = |name: &str| dir.join(name).display().to_string();
        for name in ["state", "spool"] {
            fs::create_dir(dir.join(name)).expect("a temporary folder can be filled");
        }
        // Any key serves a cluster of one; munged wants nobody else to read it.
        fs::write(dir.join("key"), [42_u8; 128]).expect("a temporary folder can be filled");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        fs::set_permissions(dir.join("key"), private).expect("a file of this test");
        let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux tells its name");
        // Two ports that are free now.
        let ports: Vec<TcpListener> =
            (0..2).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let [control, node] = [0, 1].map(|k: usize| ports[k].local_addr().expect("it is bound").port());
        drop(ports);
        let configuration = dir.join("slurm.conf");
        let lines = [
            "ClusterName=bitpulse".into(),
            format!("SlurmctldHost={}(127.0.0.1)", host.trim()),
            "SlurmUser=root".into(),
            "SlurmdUser=root".into(),
            "AuthType=auth/munge".into(),
            // A job that was put back into the queue waits until its old credential is worth nothing.
            format!("AuthInfo=socket={},cred_expire=5", path("munge.socket")),
            format!("SlurmctldPort={control}"),
            format!("SlurmdPort={node}"),
            format!("SlurmctldPidFile={}", path("slurmctld.pid")),
            format!("SlurmdPidFile={}", path("slurmd.pid")),
            format!("StateSaveLocation={}", path("state")),
            format!("SlurmdSpoolDir={}", path("spool")),
            "ProctrackType=proctrack/linuxproc".into(),
            "TaskPlugin=task/none".into(),
            "JobAcctGatherType=jobacct_gather/none".into(),
            "SelectType=select/cons_tres".into(),
            "SelectTypeParameters=CR_CPU".into(),
            "MailProg=/bin/true".into(),
            "SchedulerParameters=sched_interval=1,bf_interval=1".into(),
            "KillWait=1".into(),
            "NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=500".into(),
            "PartitionName=test Nodes=localhost Default=YES State=UP".into(),
        ];
        fs::write(&configuration, lines.join("\n") + "\n").expect("a temporary folder can be filled");
        let mut slurm = Self { configuration, daemons: Vec::new() };
        let munged = [
            "--foreground".into(),
            "--force".into(),
            format!("--key-file={}", path("key")),
            format!("--socket={}", path("munge.socket")),
            format!("--pid-file={}", path("munged.pid")),
            format!("--log-file={}", path("munged.log")),
            format!("--seed-file={}", path("seed")),
        ];
        slurm.daemon(dir, "munged", &munged);
        wait_for("munged", 20, || dir.join("munge.socket").exists().then_some(()));
        slurm.daemon(dir, "slurmctld", &["-D".into(), "-i".into()]);
        slurm.daemon(dir, "slurmd", &["-D".into(), "-N".into(), "localhost".into()]);
        wait_for("an idle node", 60, || {
            let nodes = slurm.ask(&["sinfo", "--noheader", "--format=%T"]);
            (String::from_utf8_lossy(&nodes.stdout).trim() == "idle").then_some(())
        });
        slurm
    }

    fn daemon(&mut self, dir: &Path, name: &str, arguments: &[String]) {
        let log =
            fs::File::create(dir.join(format!("{name}.out"))).expect("a temporary folder can be filled");
        let child = Command::new(name)
            .args(arguments)
            .env("SLURM_CONF", &self.configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn();
        self.daemons.push(child.unwrap_or_else(|error| panic!("{name} does not start: {error}")));
    }

    /// Numbers of the tasks that run now.
    fn running(&self) -> Vec<String> {
        let queue = self.ask(&["squeue", "--noheader", "--states=RUNNING", "--format=%F_%K"]);
        String::from_utf8_lossy(&queue.stdout).split_whitespace().map(str::to_owned).collect()
    }

    /// Asks for what must not be refused.
    fn must(&self, command: &[&str]) {
        let output = self.ask(command);
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// How often a task was put back into the queue.
    fn restarts(&self, task: &str) -> u32 {
        let shown = self.ask(&["scontrol", "show", "job", task]);
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        let count = text.split_whitespace().find_map(|word| word.strip_prefix("Restarts=")?.parse().ok());
        count.unwrap_or_else(|| panic!("{task}: {text}"))
    }

    /// Asks the cluster; no answer takes longer than 20 s.
    fn ask(&self, command: &[&str]) -> Output {
        let output =
            Command::new("timeout").arg("20").args(command).env("SLURM_CONF", &self.configuration).output();
        output.expect("timeout is a command of every Linux")
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        self.ask(&["scancel", "--user=root"]);
        for mut daemon in self.daemons.drain(..).rev() {
            common::signal(&daemon, "TERM");
            let start = std::time::Instant::now();
            while daemon.try_wait().is_ok_and(|status| status.is_none()) {
                if start.elapsed() > Duration::from_secs(10) {
                    let _ = daemon.kill();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// The process that has a run which began, and is not done.
fn running_process(out: &Path) -> Option<(PathBuf, u32)> {
    run_folders(out).into_iter().find_map(|run| {
        let log = fs::read_to_string(run.join("log.txt")).ok()?;
        let process = log.lines().last()?.split_once(" process ")?.1.split(' ').next()?.parse().ok()?;
        // From a checkpoint on there is something to go on from.
        run.join("checkpoint.safetensors").exists().then_some((run, process))
    })
}

#[test]
fn a_cluster_gets_the_same_results_though_tasks_are_killed_and_its_node_is_lost() {
    if let Some(reason) = missing() {
        println!("skipped: {reason}");
        return;
    }
    let folder = folder();
    let spec = folder.path().join("cluster.toml");
    fs::write(&spec, SPEC).expect("a temporary folder can be filled");
    let [local, shared] = ["local", "on the cluster"].map(|name| folder.path().join(name));
    xtask(&["sweep", text(&spec), "--out", text(&local)]).assert().success();

    let slurm = Slurm::start(folder.path());
    let submit =
        ["sweep", text(&spec), "--out", text(&shared), "--engine", "slurm", "--checkpoint-every", "0"];
    xtask(&submit)
        .env("SLURM_CONF", &slurm.configuration)
        .timeout(Duration::from_mins(1))
        .assert()
        .success()
        .stdout(predicates::str::contains("12 runs in 12 tasks: job 1; then the report: job 2"));
    let (run, process) = wait_for("a running task", 60, || running_process(&shared));
    let killed = Command::new("kill").args(["-9", &process.to_string()]).status();
    assert!(killed.expect("kill is a command of every Unix").success());

    // An operator puts tasks back into the queue.
    wait_for("a running task", 60, || running_process(&shared));
    let requeued = wait_for("tasks", 20, || Some(slurm.running()).filter(|tasks| !tasks.is_empty()));
    for task in &requeued {
        // It may have come to its end by now.
        slurm.ask(&["scontrol", "requeue", task]);
    }
    // The node is lost with what runs on it, and comes back.
    wait_for("a running task", 60, || running_process(&shared));
    let lost = wait_for("tasks", 20, || Some(slurm.running()).filter(|tasks| !tasks.is_empty()));
    slurm.must(&["scontrol", "update", "nodename=localhost", "state=down", "reason=lost"]);
    wait_for("the node to be lost", 60, || slurm.running().is_empty().then_some(()));
    slurm.must(&["scontrol", "update", "nodename=localhost", "state=resume"]);
    let restarts: u32 = requeued.iter().chain(&lost).map(|task| slurm.restarts(task)).sum();
    assert!(restarts >= 2, "of {requeued:?} and {lost:?} {restarts} went back into the queue");

    wait_for("the last job", 400, || {
        let queue = slurm.ask(&["squeue", "--noheader", "--format=%T"]);
        (queue.status.success() && queue.stdout.trim_ascii().is_empty()).then_some(())
    });
    assert!(shared.join("report.html").exists(), "the last job reports");
    assert_eq!(results(&shared), results(&local));
    let log = fs::read_to_string(run.join("log.txt")).expect("a log");
    let begun: Vec<&str> = log.lines().filter(|line| line.contains("goes on after")).collect();
    assert!(begun.len() >= 2 && !begun[1].contains("after 0 samples"), "the killed run went on: {log}");
}
