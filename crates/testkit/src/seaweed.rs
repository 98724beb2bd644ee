//! A real S3 server for tests: SeaweedFS in a folder of its own, on free ports of loopback.
//!
//! It is ready when a real PUT has succeeded, and gone when the test's process is, however that
//! ended. [`SeaweedFs::kill`] is a power cut, [`SeaweedFs::restart`] brings the same objects back.
//! A start costs one to three seconds and 200 MB: use [`SeaweedFs::shared`] with a prefix per
//! check where a server of one's own is not the point. [`Cluster`] is one of many machines.
//! What a test asks of the server itself is signed and sent by [`SeaweedFs::ask`], without the
//! code under test.

mod asking;
mod cluster;
mod ports;
#[cfg(test)]
mod tests;
mod warden;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use places::S3Url;

use crate::signing::{Credentials, REGION};
pub use asking::{Answer, S3Client};
pub use cluster::{Cluster, Machine};
use ports::Ports;
use warden::{Warden, log_file};

/// One server with one bucket, [`BUCKET`].
pub struct SeaweedFs {
    folder: tempfile::TempDir,
    ports: Ports,
    running: Mutex<Option<Warden>>,
}

/// The bucket that every server has: plain, without versions.
pub const BUCKET: &str = "strongroom";

/// Someone who may do what a policy says, beside the administrator who may do all.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What the identity is called: letters and digits.
    pub name: String,
    /// How it signs.
    pub credentials: Credentials,
    /// A bucket policy in JSON, as S3's own IAM reads it.
    pub policy: String,
}

/// What a bucket keeps of what is overwritten and deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketKind {
    /// The newest content alone.
    Plain,
    /// Every version.
    Versioned,
    /// Every version, and objects may be locked (Object Lock).
    Locked,
}

impl SeaweedFs {
    /// Starts a server.
    ///
    /// # Panics
    /// If there is no server program (`scripts/setup` installs it), or it does not get ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server that knows these identities besides the administrator.
    ///
    /// # Panics
    /// As [`SeaweedFs::start`].
    pub fn start_with(identities: &[Identity]) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        write_identities(&folder.path().join(IDENTITIES_FILE), identities);
        let server = Self { folder, ports: Ports::reserve(), running: Mutex::new(None) };
        server.restart();
        server
    }

    /// The server that all tests of this process share, started by the first who asks.
    ///
    /// # Panics
    /// As [`SeaweedFs::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<SeaweedFs> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Kills the server in the middle of whatever it does.
    pub fn kill(&self) {
        *self.running() = None;
    }

    /// Starts the server on what it held, if it does not run; returns when it takes a PUT.
    ///
    /// # Panics
    /// As [`SeaweedFs::start`].
    pub fn restart(&self) {
        let mut running = self.running();
        if !running.as_ref().is_some_and(Warden::runs) {
            let (folder, litter) = (self.folder.path(), self.litter());
            *running = Some(Warden::start(&weed(), &self.arguments(), folder, &litter));
        }
        let runs = || running.as_ref().is_some_and(Warden::runs);
        wait_for_put(self.address(), runs, &log_file(self.folder.path()));
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ports.port(S3_PORT)).into()
    }

    /// The URL of a prefix in [`BUCKET`].
    pub fn url(&self, prefix: &str) -> String {
        s3_url(self.address(), BUCKET, prefix)
    }

    /// The administrator's credentials.
    pub fn credentials(&self) -> Credentials {
        administrator()
    }

    /// Makes a bucket.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn create_bucket(&self, name: &str, kind: BucketKind) {
        let lock: &[_] = match kind {
            BucketKind::Locked => &[("x-amz-bucket-object-lock-enabled", "true")],
            BucketKind::Plain | BucketKind::Versioned => &[],
        };
        self.ask("PUT", &format!("/{name}"), lock, b"").expect("a bucket");
        if kind == BucketKind::Versioned {
            let target = format!("/{name}?versioning=");
            self.ask("PUT", &target, &[], VERSIONING.as_bytes()).expect("versioning");
        }
    }

    /// Sends a request, signed by the administrator. `target` is a path, encoded, and a query.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn ask(&self, verb: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let client = S3Client { address: self.address(), credentials: self.credentials() };
        let answer = client.ask(verb, target, headers, body);
        answer.unwrap_or_else(|error| panic!("{verb} {target}: no answer: {error}"))
    }

    fn running(&self) -> MutexGuard<'_, Option<Warden>> {
        self.running.lock().expect("no test panics while it starts or kills a server")
    }

    fn arguments(&self) -> Vec<String> {
        let folder = self.folder.path().display();
        let mut arguments = vec!["-logtostderr".to_owned(), "mini".to_owned()];
        arguments.push(format!("-dir={folder}"));
        arguments.push(format!("-s3.config={folder}/{IDENTITIES_FILE}"));
        arguments.push(format!("-filer.localSocket={folder}/filer.sock"));
        arguments.push(format!("-s3.localSocket={folder}/s3.sock"));
        for (number, name) in (S3_PORT..).zip(["s3", "master", "volume", "filer", "admin"]) {
            arguments.push(format!("-{name}.port={}", self.ports.port(number)));
            arguments.push(format!("-{name}.port.grpc={}", self.ports.grpc(number)));
        }
        arguments.extend(MINI_ARGUMENTS.iter().map(|&argument| argument.to_owned()));
        arguments
    }

    /// The sockets that the server leaves outside its folder.
    fn litter(&self) -> Vec<String> {
        let servers = (S3_PORT..).zip(["s3", "master", "volume", "filer", "admin"]);
        let socket = |(number, name)| sockets_of(name, self.ports.grpc(number));
        servers.map(socket).collect()
    }
}

/// The URL of a prefix in a bucket of a server, or of a proxy before it.
pub fn s3_url(address: SocketAddr, bucket: &str, prefix: &str) -> String {
    let url = S3Url {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        endpoint: Some(format!("http://{address}")),
        region: Some(REGION.to_owned()),
        options: vec![],
    };
    url.to_string()
}

/// Who may do everything at every server here.
pub(crate) fn administrator() -> Credentials {
    Credentials { access_key: "admin".into(), secret_key: "adminsecret123".into() }
}

/// Writes who may do what, as the server reads it.
fn write_identities(path: &Path, identities: &[Identity]) {
    let keys = |of: &Credentials| {
        let (access, secret) = (&of.access_key, &of.secret_key);
        serde_json::json!([{ "accessKey": access, "secretKey": secret }])
    };
    let mut listed = vec![serde_json::json!({
        "name": "admin",
        "credentials": keys(&administrator()),
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    })];
    listed.extend(identities.iter().map(|identity| {
        serde_json::json!({
            "name": identity.name,
            "credentials": keys(&identity.credentials),
            "policyNames": [identity.name],
        })
    }));
    let policies = identities
        .iter()
        .map(|identity| serde_json::json!({ "name": identity.name, "content": identity.policy }));
    let policies: Vec<_> = policies.collect();
    let text = serde_json::json!({ "identities": listed, "policies": policies }).to_string();
    std::fs::write(path, text).expect("it is our folder");
}

/// The server program, from the environment or beside the tests' Python.
fn weed() -> PathBuf {
    let given = std::env::var_os("STRONGROOM_WEED").map(PathBuf::from);
    let python = std::env::var_os("STRONGROOM_PYTHON").map(PathBuf::from);
    let beside = python.map(|python| python.with_file_name("weed"));
    let tools = std::env::var_os("HOME").map(|home| Path::new(&home).join(TOOLS_WEED));
    let found = given.or(beside).or(tools).unwrap_or_default();
    assert!(
        found.is_file(),
        "there is no SeaweedFS at {found:?}: run scripts/setup, or name its program `weed` in \
         STRONGROOM_WEED"
    );
    found
}

/// Waits until the server at this address keeps what is put into [`BUCKET`], and gives what was
/// put before it was killed.
fn wait_for_put(address: SocketAddr, runs: impl Fn() -> bool, log: &Path) {
    let begin = Instant::now();
    let client = S3Client { address, credentials: administrator() };
    let object = |name: &str| format!("/{BUCKET}/ready/{name}");
    let steps: [(&str, String, &[u16]); 5] = [
        ("PUT", format!("/{BUCKET}"), &[200, 409]),
        // Puts come first: who asks too early where an object lies is told so for 20 seconds.
        ("PUT", object("new"), &[200]),
        ("GET", object("new"), &[200]),
        ("GET", object("old"), &[200, 404]),
        ("PUT", object("old"), &[200]),
    ];
    for (verb, target, wanted) in steps {
        loop {
            let answer = client.ask(verb, &target, &[], b"it keeps this");
            if answer.as_ref().is_ok_and(|answer| wanted.contains(&answer.status)) {
                break;
            }
            if !runs() || begin.elapsed() > START_MAX {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let state = if runs() { "takes no" } else { "ended before a" };
                panic!("the server at {address} {state} {verb} ({answer:?}); it said:\n{said}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The socket of one part of a server.
fn sockets_of(name: &str, grpc: u16) -> String {
    format!("/tmp/seaweedfs-{name}-grpc-{grpc}.sock")
}

const START_MAX: Duration = Duration::from_secs(120);
const S3_PORT: u16 = 1;
const IDENTITIES_FILE: &str = "identities.json";
const TOOLS_WEED: &str = ".cache/strongroom/venv/bin/weed";
const VERSIONING: &str = "<VersioningConfiguration><Status>Enabled</Status>\
                          </VersioningConfiguration>";

/// Loopback only, nothing sent to anyone, small volumes, and no bucket made by a mere PUT.
const MINI_ARGUMENTS: &[&str] = &[
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-master.telemetry=false",
    "-master.resumeState=false",
    "-master.volumeSizeLimitMB=64",
    "-volume.max=0",
    "-s3.autoCreateBucket=false",
    "-s3.iam.readOnly=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-webdav=false",
    "-admin.ui=false",
];
