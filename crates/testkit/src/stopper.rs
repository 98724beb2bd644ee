//! Stops a program right after any one of its changes to files, as a kill or a power cut would.
//!
//! The program runs under ptrace(2), with all its threads and children. Every system call that
//! changes a file or a folder and succeeds counts as one change; after the change that was asked
//! for, the process is killed before it can make another. [`run`] with 1, 2, 3 … until a run is not
//! stopped thus meets every state of the files that the program passes through. Nothing in the
//! program knows of it. What a run did below a folder and had not synced when it ended is known as
//! well: [`Run::cut_power`] takes it away, be it the content of files or their names.

mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use names::Names;

/// A command that waits until [`run`] lets it go. Arguments and environment are for the caller to
/// add; its standard input is empty.
pub fn held(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "read -r go; exec \"$0\" \"$@\""]).arg(program);
    command
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code; `None` when it was stopped, or died of a signal.
    pub code: Option<i32>,
    /// Whether it was stopped after the change that was asked for.
    pub stopped: bool,
    /// How many changes it made.
    pub changes: u64,
    /// What it printed, which is to be less than a pipe holds.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    unsynced: BTreeSet<Inode>,
    names: Names,
}

/// What is left of what was never synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    /// Of a file its name: it is empty.
    Name,
    /// Its name and length: the bytes are zeros.
    Length,
    /// Nothing: a new name is gone, one that was replaced or removed is there again.
    Nothing,
}

impl Run {
    /// Takes away what this run did below its folder and had not synced; gives how many files
    /// and names that concerns.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn cut_power(&self, remains: Remains) -> io::Result<usize> {
        let names = if remains == Remains::Nothing { self.names.cut()? } else { 0 };
        Ok(names + self.empty_unsynced(self.names.root(), remains)?)
    }

    fn empty_unsynced(&self, folder: &Path, remains: Remains) -> io::Result<usize> {
        let mut cut = 0;
        for entry in fs::read_dir(folder)? {
            let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type()))?;
            let kind = kind?;
            if kind.is_dir() {
                cut += self.empty_unsynced(&path, remains)?;
            }
            let metadata = path.symlink_metadata()?;
            let lost = self.unsynced.contains(&inode(&metadata)) && metadata.len() > 0;
            if kind.is_file() && lost {
                cut += 1;
                let file = fs::OpenOptions::new().write(true).open(&path)?;
                file.set_len(0)?;
                if remains == Remains::Length {
                    file.set_len(metadata.len())?;
                }
            }
        }
        Ok(cut)
    }
}

/// Runs a command that [`held`] made; kills it right after its `stop_after`th change, 0: never.
/// What it does below this folder a power cut can take away; beside it one is made for that.
///
/// # Errors
/// Where processes may not be traced, and those of starting it.
pub fn run(command: &mut Command, stop_after: u64, folder: &Path) -> io::Result<Run> {
    let names = Names::begin(folder)?;
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn()?;
    let ended = Trace::follow(&mut child, stop_after, names);
    if ended.is_err() {
        // Whatever it was, the process must not outlive the run.
        let _ = child.kill();
        let _ = child.wait();
    }
    let (trace, code) = ended?;
    let mut run = Run {
        code,
        stopped: trace.stopped,
        changes: trace.changes,
        stdout: String::new(),
        stderr: String::new(),
        unsynced: trace.unsynced,
        names: trace.names,
    };
    for (stream, text) in [
        (child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read>), &mut run.stdout),
        (child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read>), &mut run.stderr),
    ] {
        let mut bytes = Vec::new();
        stream.map_or(Ok(0), |mut stream| stream.read_to_end(&mut bytes))?;
        *text = String::from_utf8_lossy(&bytes).into_owned();
    }
    Ok(run)
}

type Inode = (u64, u64);

fn inode(metadata: &fs::Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

struct Trace {
    leader: Pid,
    stop_after: u64,
    changes: u64,
    stopped: bool,
    /// The call that each thread is in.
    calls: BTreeMap<Pid, Call>,
    unsynced: BTreeSet<Inode>,
    names: Names,
}

impl Trace {
    /// Follows a process to its end; gives its exit code.
    fn follow(child: &mut Child, stop_after: u64, names: Names) -> io::Result<(Self, Option<i32>)> {
        let leader = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(leader, options)?;
        let mut input = child.stdin.take().ok_or_else(|| io::Error::other("it has no input"))?;
        input.write_all(b"\n")?;
        drop(input);
        let (calls, unsynced) = (BTreeMap::new(), BTreeSet::new());
        let stopped = false;
        let mut trace = Self { leader, stop_after, changes: 0, stopped, calls, unsynced, names };
        let code = trace.wait_for_end()?;
        Ok((trace, code))
    }

    fn wait_for_end(&mut self) -> io::Result<Option<i32>> {
        // Only children of this thread: other tests have theirs.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            let (stopped, signal) = match waitpid(None, Some(flags))? {
                WaitStatus::Exited(pid, code) if pid == self.leader => return Ok(Some(code)),
                WaitStatus::Signaled(pid, ..) if pid == self.leader => return Ok(None),
                WaitStatus::PtraceSyscall(pid) => {
                    self.note(pid)?;
                    (pid, None)
                }
                WaitStatus::Stopped(pid, signal) => (pid, Some(signal)),
                WaitStatus::PtraceEvent(pid, ..) => (pid, None),
                _ => continue,
            };
            if self.stop_after != 0 && self.changes == self.stop_after && !self.stopped {
                self.stopped = true;
                kill(self.leader, Signal::SIGKILL)?;
            }
            if !self.stopped {
                let _ = ptrace::syscall(stopped, signal);
            }
        }
    }

    /// A thread is about to make a call, or has made it.
    fn note(&mut self, thread: Pid) -> io::Result<()> {
        const ENTRY: u8 = 1;
        let (Ok(registers), Ok(info)) = (ptrace::getregs(thread), ptrace::syscall_info(thread))
        else {
            // A thread that was killed has nothing to tell any more.
            return Ok(());
        };
        if info.op == ENTRY {
            self.calls.insert(thread, Call::of(&registers));
            return Ok(());
        }
        let Some(call) = self.calls.remove(&thread) else { return Ok(()) };
        // A kill ends the program at the first change after the last one that counts.
        if result(&registers) >= 0 && !self.stopped {
            self.made(thread, &call, result(&registers))?;
        }
        Ok(())
    }

    fn made(&mut self, thread: Pid, call: &Call, result: i64) -> io::Result<()> {
        let open = |descriptor: u64| format!("/proc/{thread}/fd/{}", descriptor as i32);
        let file = |descriptor: u64| {
            fs::metadata(open(descriptor))
                .ok()
                .filter(|metadata| metadata.is_file() || metadata.is_dir())
        };
        match call.effect() {
            Effect::None => {}
            Effect::Names => self.changes += 1,
            Effect::Opens if file(result as u64).is_some() => self.changes += 1,
            Effect::Writes(descriptor) => {
                if let Some(metadata) = file(descriptor) {
                    self.changes += 1;
                    self.unsynced.insert(inode(&metadata));
                }
            }
            Effect::Marks(descriptor) if file(descriptor).is_some() => self.changes += 1,
            Effect::Syncs(descriptor) => {
                if let Some(metadata) = file(descriptor) {
                    self.unsynced.remove(&inode(&metadata));
                    if metadata.is_dir() {
                        self.names.sync(&fs::read_link(open(descriptor))?)?;
                    }
                }
            }
            Effect::SyncsAll => {
                self.unsynced.clear();
                self.names.sync_all()?;
            }
            Effect::Opens | Effect::Marks(_) => {}
        }
        Ok(())
    }
}

/// A system call: its number and arguments.
struct Call {
    number: i64,
    arguments: [u64; 3],
}

/// What a call does to files.
enum Effect {
    None,
    /// To a name in a folder.
    Names,
    /// Makes or empties what it opens.
    Opens,
    /// To the content behind a descriptor.
    Writes(u64),
    /// To what is known of the file behind a descriptor.
    Marks(u64),
    Syncs(u64),
    SyncsAll,
}

impl Call {
    fn effect(&self) -> Effect {
        let [first, second, third] = self.arguments;
        let making = |flags: u64| match flags as i32 & (libc::O_CREAT | libc::O_TRUNC) {
            0 => Effect::None,
            _ => Effect::Opens,
        };
        match self.number {
            libc::SYS_write
            | libc::SYS_pwrite64
            | libc::SYS_writev
            | libc::SYS_pwritev
            | libc::SYS_pwritev2
            | libc::SYS_ftruncate
            | libc::SYS_fallocate
            | libc::SYS_sendfile => Effect::Writes(first),
            libc::SYS_copy_file_range => Effect::Writes(third),
            libc::SYS_fchmod | libc::SYS_fchown | libc::SYS_fsetxattr | libc::SYS_fremovexattr => {
                Effect::Marks(first)
            }
            libc::SYS_fsync | libc::SYS_fdatasync => Effect::Syncs(first),
            libc::SYS_sync | libc::SYS_syncfs => Effect::SyncsAll,
            libc::SYS_openat => making(third),
            libc::SYS_mkdirat
            | libc::SYS_mknodat
            | libc::SYS_unlinkat
            | libc::SYS_renameat2
            | libc::SYS_linkat
            | libc::SYS_symlinkat
            | libc::SYS_fchmodat
            | libc::SYS_fchownat
            | libc::SYS_utimensat
            | libc::SYS_truncate
            | libc::SYS_setxattr
            | libc::SYS_lsetxattr => Effect::Names,
            _ => self.older(making(second)),
        }
    }

    /// Calls that only older machines have.
    #[cfg(target_arch = "x86_64")]
    fn older(&self, opened: Effect) -> Effect {
        match self.number {
            libc::SYS_open => opened,
            libc::SYS_mkdir
            | libc::SYS_rmdir
            | libc::SYS_unlink
            | libc::SYS_rename
            | libc::SYS_renameat
            | libc::SYS_link
            | libc::SYS_symlink
            | libc::SYS_mknod
            | libc::SYS_chmod
            | libc::SYS_chown
            | libc::SYS_lchown => Effect::Names,
            _ => Effect::None,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn older(&self, _: Effect) -> Effect {
        Effect::None
    }

    #[cfg(target_arch = "x86_64")]
    fn of(registers: &libc::user_regs_struct) -> Self {
        let arguments = [registers.rdi, registers.rsi, registers.rdx];
        Self { number: registers.orig_rax as i64, arguments }
    }

    #[cfg(target_arch = "aarch64")]
    fn of(registers: &libc::user_regs_struct) -> Self {
        let arguments = [registers.regs[0], registers.regs[1], registers.regs[2]];
        Self { number: registers.regs[8] as i64, arguments }
    }
}

#[cfg(target_arch = "x86_64")]
fn result(registers: &libc::user_regs_struct) -> i64 {
    registers.rax as i64
}

#[cfg(target_arch = "aarch64")]
fn result(registers: &libc::user_regs_struct) -> i64 {
    registers.regs[0] as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str =
        "echo first >one; [ -z \"$1\" ] || sync one .; echo second >two; exec mv two three";

    fn shell(folder: &Path, synced: &str, stop_after: u64) -> Run {
        let mut command = held("sh");
        command.args(["-c", SCRIPT, "sh", synced]).current_dir(folder);
        run(&mut command, stop_after, folder).unwrap()
    }

    fn contents(folder: &Path) -> Vec<(&str, String)> {
        let content = |name| Some((name, fs::read_to_string(folder.join(name)).ok()?));
        ["one", "two", "three"].into_iter().filter_map(content).collect()
    }

    #[test]
    fn a_program_is_stopped_after_each_of_its_changes() {
        let (first, second) = (("one", "first\n"), ("two", "second\n"));
        let states: [&[(&str, &str)]; 5] = [
            &[("one", "")],
            &[first],
            &[first, ("two", "")],
            &[first, second],
            &[first, ("three", "second\n")],
        ];
        for (number, state) in (1..).zip(states) {
            let folder = folder();
            let run = shell(&folder, "", number);
            assert!(run.stopped && run.code.is_none() && run.changes == number, "{run:?}");
            let found = contents(&folder);
            assert!(found.iter().map(|(name, text)| (*name, &text[..])).eq(state.to_vec()));
        }
        for stop_after in [0, 6] {
            let folder = folder();
            let run = shell(&folder, "", stop_after);
            assert!(!run.stopped && run.code == Some(0) && run.changes == 5, "{run:?}");
        }
    }

    #[test]
    fn a_power_cut_takes_what_was_not_synced_and_nothing_else() {
        let zeros = "\0".repeat(7);
        for (synced, remains, count, left) in [
            ("", Remains::Name, 2, &[("one", ""), ("three", "")][..]),
            ("yes", Remains::Name, 1, &[("one", "first\n"), ("three", "")]),
            ("yes", Remains::Length, 1, &[("one", "first\n"), ("three", &zeros)]),
            ("", Remains::Nothing, 2, &[]),
            // Of the folder, only the name that was there when it was synced.
            ("yes", Remains::Nothing, 1, &[("one", "first\n")]),
        ] {
            let folder = folder();
            let run = shell(&folder, synced, 5);
            assert_eq!(run.cut_power(remains).unwrap(), count, "{synced:?} {remains:?}");
            let found = contents(&folder);
            assert!(found.iter().map(|(name, text)| (*name, &text[..])).eq(left.to_vec()));
        }
    }

    #[test]
    fn a_power_cut_brings_back_what_was_replaced_and_removed() {
        let folder = folder();
        fs::create_dir(folder.join("below")).unwrap();
        for file in ["one", "two", "below/three"] {
            fs::write(folder.join(file), file).unwrap();
        }
        let mut command = held("sh");
        command.args(["-c", "mv one two; rm -r below; mkdir new; sync new"]).current_dir(&*folder);
        let run = run(&mut command, 0, &folder).unwrap();
        assert_eq!(contents(&folder), [("two", "one".to_owned())]);
        run.cut_power(Remains::Nothing).unwrap();
        assert_eq!(contents(&folder), [("one", "one".to_owned()), ("two", "two".to_owned())]);
        assert_eq!(fs::read(folder.join("below/three")).unwrap(), b"below/three");
        assert!(!folder.join("new").exists());
    }

    /// A folder that may have another beside it, in one that is removed at the end.
    struct Folder(#[expect(dead_code, reason = "is held")] tempfile::TempDir, std::path::PathBuf);

    impl std::ops::Deref for Folder {
        type Target = Path;

        fn deref(&self) -> &Path {
            &self.1
        }
    }

    fn folder() -> Folder {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        Folder(outer, inner)
    }
}
