//! SeaweedFS on many machines: three masters, four volume servers, one filer, two gateways, and
//! two copies of each object on different volume servers.
//!
//! Every machine is a process that can be killed and brought back by itself. One filer, because
//! several with stores of their own agree only after a while. It takes 1.2 GB of memory.

use std::net::SocketAddr;
use std::sync::Mutex;

use super::ports::Ports;
use super::warden::{Warden, log_file};
use super::{IDENTITIES_FILE, s3_url, sockets_of, wait_for_put, weed, write_identities};
use crate::signing::Credentials;

/// A running cluster.
pub struct Cluster {
    folder: tempfile::TempDir,
    ports: Ports,
    machines: Vec<(Machine, Mutex<Option<Warden>>)>,
}

/// One of the cluster's processes, with its number from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Of three that elect a leader.
    Master(u16),
    /// Of four that hold the bytes.
    Volume(u16),
    /// The one that knows names.
    Filer,
    /// Of two that speak S3.
    Gateway(u16),
}

impl Cluster {
    /// Starts all machines.
    ///
    /// # Panics
    /// If there is no server program, or the cluster takes no PUT for a long time.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        write_identities(&folder.path().join(IDENTITIES_FILE), &[]);
        let all = (0..3).map(Machine::Master).chain((0..4).map(Machine::Volume));
        let all = all.chain([Machine::Filer]).chain((0..2).map(Machine::Gateway));
        let machines = all.map(|machine| (machine, Mutex::new(None))).collect();
        let cluster = Self { folder, ports: Ports::reserve(), machines };
        cluster.machines.iter().for_each(|(machine, _)| cluster.start_machine(*machine));
        let log = log_file(&cluster.folder_of(Machine::Gateway(0)));
        for gateway in 0..2 {
            wait_for_put(cluster.gateway(gateway), || true, &log);
        }
        cluster
    }

    /// Kills a machine in the middle of whatever it does.
    pub fn kill(&self, machine: Machine) {
        *self.slot(machine).lock().expect("nothing panics with it") = None;
    }

    /// Starts a machine on what it held, if it does not run.
    pub fn start_machine(&self, machine: Machine) {
        let mut slot = self.slot(machine).lock().expect("nothing panics with it");
        if slot.as_ref().is_some_and(Warden::runs) {
            return;
        }
        let folder = self.folder_of(machine);
        std::fs::create_dir_all(&folder).expect("it is our folder");
        let litter = [sockets_of(machine.verb(), self.ports.grpc(machine.port()))];
        *slot = Some(Warden::start(&weed(), &self.arguments(machine), &folder, &litter));
    }

    /// The address of gateway 0 or 1.
    pub fn gateway(&self, number: u16) -> SocketAddr {
        self.address(Machine::Gateway(number))
    }

    /// The URL of a prefix in [`super::BUCKET`], through gateway 0 or 1.
    pub fn url(&self, gateway: u16, prefix: &str) -> String {
        s3_url(self.gateway(gateway), super::BUCKET, prefix)
    }

    /// The administrator's credentials.
    pub fn credentials(&self) -> Credentials {
        super::administrator()
    }

    fn slot(&self, machine: Machine) -> &Mutex<Option<Warden>> {
        let found = self.machines.iter().find(|(each, _)| *each == machine);
        &found.unwrap_or_else(|| panic!("the cluster has no {machine:?}")).1
    }

    fn address(&self, machine: Machine) -> SocketAddr {
        ([127, 0, 0, 1], self.ports.port(machine.port())).into()
    }

    fn folder_of(&self, machine: Machine) -> std::path::PathBuf {
        self.folder.path().join(machine.port().to_string())
    }

    fn arguments(&self, machine: Machine) -> Vec<String> {
        let masters = (0..3).map(|n| self.address(Machine::Master(n)).to_string());
        let masters = masters.collect::<Vec<_>>().join(",");
        let folder = self.folder_of(machine);
        let mut arguments = vec!["-logtostderr".to_owned(), machine.verb().to_owned()];
        arguments.push("-ip.bind=127.0.0.1".to_owned());
        arguments.push(format!("-port={}", self.ports.port(machine.port())));
        arguments.push(format!("-port.grpc={}", self.ports.grpc(machine.port())));
        let mut say = |text: String| arguments.extend(text.split(' ').map(str::to_owned));
        let folder = folder.display();
        match machine {
            Machine::Master(_) => say(format!(
                "-ip=127.0.0.1 -mdir={folder} -peers={masters} -defaultReplication=001 \
                 -volumeSizeLimitMB=64 -telemetry=false"
            )),
            Machine::Volume(_) => say(format!(
                "-ip=127.0.0.1 -dir={folder} -master={masters} -max=200 -rack=r1 -dataCenter=dc1 \
                 -preStopSeconds=1"
            )),
            Machine::Filer => say(format!(
                "-ip=127.0.0.1 -master={masters} -defaultReplicaPlacement=001 \
                 -defaultStoreDir={folder} -localSocket={folder}/filer.sock"
            )),
            Machine::Gateway(_) => say(format!(
                "-filer={} -config={}/{IDENTITIES_FILE} -localSocket={folder}/s3.sock \
                 -port.iceberg=0 -port.lance=0 -autoCreateBucket=false",
                self.address(Machine::Filer),
                self.folder.path().display(),
            )),
        }
        arguments
    }
}

impl Machine {
    /// What the program is told to be.
    fn verb(self) -> &'static str {
        match self {
            Self::Master(_) => "master",
            Self::Volume(_) => "volume",
            Self::Filer => "filer",
            Self::Gateway(_) => "s3",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Master(number) => 1 + number,
            Self::Volume(number) => 4 + number,
            Self::Filer => 8,
            Self::Gateway(number) => 9 + number,
        }
    }
}
