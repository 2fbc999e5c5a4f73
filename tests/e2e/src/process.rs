//! The child processes of a run, which never outlive it.
//!
//! Three nets: `Drop` stops the process; a signal to ours stops all of them and removes the run directories; and the
//! kernel kills them when we die in any other way. The last is bound to the *thread* that started the child, so all
//! children are started by one thread that lives as long as the program.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use rustix::process::{Pid, Signal};

// Everything here stops at once on SIGTERM; what does not is killed.
const STOP_SECONDS_MAX: u64 = 3;

type Job = (Command, mpsc::Sender<io::Result<Child>>);

#[derive(Default)]
struct Left {
    pids: Vec<Pid>,
    directories: Vec<PathBuf>,
}

fn left() -> MutexGuard<'static, Left> {
    static LEFT: OnceLock<Mutex<Left>> = OnceLock::new();
    LEFT.get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// A running child with its output in files.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    logs: Vec<PathBuf>,
}

impl Process {
    /// Starts `command`; both outputs go to `<run>/<name>.log`, or standard output to a file of its own.
    pub fn start(name: &'static str, mut command: Command, run: &Path, stdout: Option<&str>) -> Result<Self, String> {
        let log = run.join(format!("{name}.log"));
        let open = |path: &Path| {
            let opened = File::options().create(true).append(true).open(path);
            opened.map_err(|error| format!("can't write {}: {error}", path.display()))
        };
        let own_stdout = stdout.map(|file| run.join(file));
        command
            .stdin(Stdio::null())
            .stderr(open(&log)?)
            .stdout(open(own_stdout.as_ref().unwrap_or(&log))?);
        let (answer, started) = mpsc::channel();
        spawner()
            .send((command, answer))
            .map_err(|_| "the thread that starts processes is gone".to_owned())?;
        let child = started
            .recv()
            .map_err(|_| "the thread that starts processes is gone".to_owned())?
            .map_err(|error| format!("can't start {name}: {error}"))?;
        left().pids.extend(pid_of(&child));
        Ok(Self {
            name,
            child,
            logs: vec![log],
        })
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory.
    pub fn resident_mib(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.id());
        let status = fs::read_to_string(&path).map_err(|error| format!("can't read {path}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.map(|kib| kib / 1024).ok_or_else(|| format!("{path} has no VmRSS"))
    }

    /// Fails, with the end of its log, if the process has ended.
    pub fn check_running(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("{} ended with {status}\n{}", self.name, self.log_tail(40))),
            Err(error) => Err(format!("can't ask for {}: {error}", self.name)),
        }
    }

    /// The last lines that it wrote.
    pub fn log_tail(&self, lines: usize) -> String {
        self.logs.iter().map(|log| tail(log, lines)).collect()
    }

    /// Ends the process: SIGTERM, and SIGKILL if that does not do. Never fails; after it the process is gone.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Ends the process at once, with no chance to say goodbye to anybody or to write anything down.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    fn end(&mut self, mut signal: Signal) {
        if let Some(pid) = pid_of(&self.child) {
            let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
            while matches!(self.child.try_wait(), Ok(None)) {
                let _ = rustix::process::kill_process(pid, signal);
                if Instant::now() >= deadline {
                    signal = Signal::KILL;
                }
                thread::sleep(Duration::from_millis(10));
            }
            left().pids.retain(|other| *other != pid);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// The last lines of a file, under its name.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let from = text.lines().count().saturating_sub(lines);
    let end: Vec<&str> = text.lines().skip(from).collect();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if end.is_empty() {
        String::new()
    } else {
        format!("--- end of {name}\n{}\n", end.join("\n"))
    }
}

/// A directory that is removed on `Drop` and on a signal.
#[derive(Debug)]
pub struct RunDirectory(PathBuf);

impl RunDirectory {
    /// Makes a new, empty, private directory below the system's directory for temporary files.
    pub fn create() -> Result<Self, String> {
        let made = tempfile::Builder::new().prefix("portcullis-").tempdir();
        let path = made
            .map_err(|error| format!("can't make a run directory: {error}"))?
            .keep();
        left().directories.push(path.clone());
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        left().directories.retain(|other| *other != self.0);
    }
}

/// Ends every child at once and removes the run directories: for a signal's way out.
pub fn abandon_all() {
    let mut left = left();
    for pid in left.pids.drain(..) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
    for directory in left.directories.drain(..) {
        let _ = fs::remove_dir_all(directory);
    }
}

fn spawner() -> mpsc::Sender<Job> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    SPAWNER
        .get_or_init(|| {
            let (sender, jobs) = mpsc::channel::<Job>();
            thread::spawn(move || {
                for (mut command, answer) in jobs {
                    let _ = answer.send(spawn_tied(&mut command));
                }
            });
            sender
        })
        .clone()
}

fn spawn_tied(command: &mut Command) -> io::Result<Child> {
    // A group of its own, so that Ctrl-C in a terminal reaches us alone and we stop the children in order.
    command.process_group(0);
    // SAFETY: between fork and exec only one system call is made, which is async-signal-safe and allocates nothing.
    unsafe {
        command.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    command.spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_process_is_gone_and_so_is_its_directory() {
        let run = RunDirectory::create().unwrap();
        let path = run.path().to_owned();
        let mut command = Command::new("sleep");
        command.arg("600");
        let mut process = Process::start("sleeper", command, &path, None).unwrap();
        process.check_running().unwrap();
        let proc_entry = PathBuf::from(format!("/proc/{}", process.id()));
        assert!(proc_entry.exists());
        drop(process);
        drop(run);
        assert!(!proc_entry.exists());
        assert!(!path.exists());
    }

    #[test]
    fn a_process_that_ended_shows_its_log() {
        let run = RunDirectory::create().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such luck >&2; exit 3"]);
        let mut process = Process::start("talker", command, run.path(), None).unwrap();
        let _ = process.child.wait();
        let told = process.check_running().unwrap_err();
        assert!(told.contains("talker ended with exit status: 3"), "{told}");
        assert!(told.contains("no such luck"), "{told}");
    }
}
