//! A proxy before an S3 server that does what networks and servers do on bad days.
//!
//! A plan looks at each request and says what happens to it: an [`Act`]. Without one all is passed
//! on as it came, and counted: requests by verb, bytes each way. The client's `Host` is left as it
//! is, for the request's signature covers it; where an act changes what is signed, the proxy signs
//! again as its administrator.
//! Plain threads, one per connection; nothing here knows what lies in the objects.

mod act;
mod clock;
mod passing;
mod pipes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::http::Headers;
use crate::signing::Credentials;
use crate::simulation::Dice;
pub use act::{Act, Refusal};

/// A running proxy; it ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

/// A request that goes through, as the plan sees it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number, from 0, over all connections.
    pub number: u64,
    /// The verb of HTTP.
    pub method: String,
    /// Path and query, encoded.
    pub target: String,
    /// The length of its body in bytes; none when it comes in chunks.
    pub length: Option<u64>,
    headers: Headers,
}

/// What went through so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests by verb of HTTP, whatever became of them.
    pub requests: BTreeMap<String, u64>,
    /// Bytes from clients, heads included.
    pub bytes_up: u64,
    /// Bytes to clients, heads included.
    pub bytes_down: u64,
}

/// What happens to which request.
type Plan = dyn Fn(&Request) -> Act + Send + Sync;

impl Proxy {
    /// A proxy before the server at this address that passes everything on.
    ///
    /// # Panics
    /// If loopback has no free port.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let plan: Arc<Plan> = Arc::new(|_: &Request| Act::Pass);
        let state = Arc::new(State {
            server,
            plan: Mutex::new(plan),
            signer: crate::seaweed::administrator(),
            number: AtomicU64::new(0),
            requests: Mutex::default(),
            bytes_up: AtomicU64::new(0),
            bytes_down: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let accepting = state.clone();
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { address, state }
    }

    /// From here on each request suffers what the plan says.
    pub fn plan(&self, plan: impl Fn(&Request) -> Act + Send + Sync + 'static) {
        *self.state.plan.lock().expect("plans are not called under it") = Arc::new(plan);
    }

    /// The same with dice: those of a request depend on the seed and its number alone.
    pub fn plan_with_dice(
        &self,
        seed: u64,
        plan: impl Fn(&Request, &mut Dice) -> Act + Send + Sync + 'static,
    ) {
        self.plan(move |request| {
            let mut dice = Dice::new(seed ^ request.number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            plan(request, &mut dice)
        });
    }

    /// From here on all is passed on.
    pub fn heal(&self) {
        self.plan(|_| Act::Pass);
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a prefix in a bucket behind the proxy.
    pub fn url(&self, bucket: &str, prefix: &str) -> String {
        crate::seaweed::s3_url(self.address, bucket, prefix)
    }

    /// What went through so far.
    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.state.requests.lock().expect("it is only counted in").clone(),
            bytes_up: self.state.bytes_up.load(Ordering::Relaxed),
            bytes_down: self.state.bytes_down.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts; it may be gone already.
        drop(TcpStream::connect(self.address));
    }
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// Whether the request asks for a list of names.
    pub fn is_list(&self) -> bool {
        self.method == "GET" && self.target.contains("list-type=2")
    }

    /// Whether the request puts an object, or a part of one.
    pub fn is_put(&self) -> bool {
        self.method == "PUT"
    }

    /// Whether the request is about a name that contains this.
    pub fn names(&self, part: &str) -> bool {
        self.target.split('?').next().is_some_and(|path| path.contains(part))
    }
}

impl Counts {
    /// Requests of all verbs.
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Requests of one verb.
    pub fn of(&self, verb: &str) -> u64 {
        self.requests.get(verb).copied().unwrap_or(0)
    }
}

/// What the threads of a proxy share.
struct State {
    server: SocketAddr,
    plan: Mutex<Arc<Plan>>,
    signer: Credentials,
    number: AtomicU64,
    requests: Mutex<BTreeMap<String, u64>>,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
    ended: AtomicBool,
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.ended.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let state = state.clone();
        std::thread::spawn(move || passing::serve(stream, &state));
    }
}
