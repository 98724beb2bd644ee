//! A vault in a bucket behind a proxy that a test can spoil, and the program on it.
//!
//! Packs are small, so that a few megabytes are many requests. [`Troubled::check`] is what must
//! hold after whatever happened: the vault verifies and the last backup comes back as it was.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use testkit::proxy::{Proxy, Request};
use testkit::seaweed::{BUCKET, SeaweedFs};
use testkit::{Credentials, Forest, look};

/// A vault behind a proxy, and a folder to back up.
pub(crate) struct Troubled {
    pub(crate) proxy: Proxy,
    pub(crate) url: String,
    folder: tempfile::TempDir,
    keys: Credentials,
    restored: AtomicU32,
}

/// What a run printed, and how it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Troubled {
    /// No vault yet, in a bucket of this server.
    pub(crate) fn without_vault(server: std::net::SocketAddr, keys: Credentials) -> Self {
        let proxy = Proxy::start(server);
        let url = proxy.url(BUCKET, &super::bucket::prefix());
        let folder = tempfile::tempdir().unwrap();
        Self { proxy, url, folder, keys, restored: AtomicU32::new(0) }
    }

    /// A vault with one backup of a small file.
    pub(crate) fn new(server: &SeaweedFs) -> Self {
        let troubled = Self::without_vault(server.address(), server.credentials());
        troubled.begin();
        troubled
    }

    /// Makes the vault, and one backup.
    pub(crate) fn begin(&self) {
        std::fs::create_dir(self.source()).unwrap();
        std::fs::write(self.source().join("first"), "some text\n".repeat(100)).unwrap();
        self.run(&["init", "--pack-size", "4MiB"]).expect(0);
        self.back_up().expect(0);
    }

    /// Puts a file of noise into what is backed up.
    pub(crate) fn grow(&self, name: &str, bytes: usize) {
        let seed =
            name.bytes().fold(bytes as u64, |seed, byte| seed.rotate_left(7) ^ u64::from(byte));
        std::fs::write(self.source().join(name), Forest::new(seed).noise(bytes)).unwrap();
    }

    pub(crate) fn back_up(&self) -> Ran {
        self.run(&["backup", self.source().to_str().unwrap(), "--name", "here"])
    }

    /// Restores the newest backup into a new folder, which is returned.
    pub(crate) fn restore(&self) -> (Ran, PathBuf) {
        let number = self.restored.fetch_add(1, Ordering::Relaxed);
        let target = self.folder.path().join(format!("target-{number}"));
        (self.restore_into(&target), target)
    }

    /// Restores the newest backup into this folder.
    pub(crate) fn restore_into(&self, target: &std::path::Path) -> Ran {
        let selector = format!("latest:here:{}", self.source().display());
        self.run(&["restore", &selector, "--to", target.to_str().unwrap()])
    }

    /// What must hold when all is well again: the vault is whole, and the source comes back.
    #[track_caller]
    pub(crate) fn check(&self) {
        self.proxy.heal();
        self.run(&["verify", "--data"]).expect(0);
        let (ran, target) = self.restore();
        ran.expect(0);
        self.compare(&target);
    }

    /// What was restored is what lies at the source.
    #[track_caller]
    pub(crate) fn compare(&self, target: &std::path::Path) {
        let [source, target] = [&self.source(), target].map(|folder| look(folder).unwrap());
        assert!(source == target, "{:?} and {:?} differ", source.keys(), target.keys());
    }

    /// Runs the program on the vault with the owner's key.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_on("host", arguments)
    }

    /// The same on a host with a home of its own.
    pub(crate) fn run_on(&self, host: &str, arguments: &[&str]) -> Ran {
        let path = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.args(arguments).env_clear().stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("AWS_ACCESS_KEY_ID", &self.keys.access_key);
        command.env("AWS_SECRET_ACCESS_KEY", &self.keys.secret_key);
        command.arg("--vault").arg(&self.url).arg("--key").arg(path("key"));
        command.arg("--cache-dir").arg(path(host).join("cache"));
        command.arg("--state-dir").arg(path(host).join("state"));
        Ran::of(&mut command)
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }
}

impl Ran {
    /// Runs a command to its end.
    fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Self { code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The same, when it ended so.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// The same, when its error and its hint say this.
    #[track_caller]
    pub(crate) fn says(self, error: &str, hint: &str) -> Self {
        let line = |begin: &str| self.err.lines().find(|line| line.starts_with(begin));
        let (said, advised) = (line("error:").unwrap_or(""), line("hint:").unwrap_or(""));
        assert!(said.contains(error) && advised.contains(hint), "{}", self.err);
        self
    }
}

/// Whether the request stores a pack.
pub(crate) fn puts_pack(request: &Request) -> bool {
    request.is_put() && request.names("/packs/")
}
