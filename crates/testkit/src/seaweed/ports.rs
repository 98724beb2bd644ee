//! Blocks of free ports, each for one server at a time.
//!
//! A server killed and started again needs its old ports, so they lie below those that the kernel
//! hands to outgoing connections. The first port of a block is held open for as long as the block
//! is ours: tests that run at the same time never share one.

use std::net::{Ipv4Addr, TcpListener};

/// Ports that no other test of ours uses while this lives.
pub(crate) struct Ports {
    /// Held, never given away.
    guard: TcpListener,
}

impl Ports {
    /// A block whose ports are all free now.
    pub(crate) fn reserve() -> Self {
        let begin = std::process::id() as u16 % BLOCKS;
        let blocks = (0..BLOCKS).map(|step| FIRST + (begin + step) % BLOCKS * BLOCK_PORTS);
        for first in blocks {
            let Some(guard) = bind(first) else { continue };
            let mut others = (1..BLOCK_PORTS).flat_map(|port| [first + port, first + port + GRPC]);
            if others.all(|port| bind(port).is_some()) {
                return Self { guard };
            }
        }
        panic!("no {BLOCK_PORTS} free ports in a row from {FIRST} on");
    }

    /// Port `number`, from 1, below 32.
    pub(crate) fn port(&self, number: u16) -> u16 {
        assert!((1..BLOCK_PORTS).contains(&number), "a block has ports 1 to {BLOCK_PORTS}");
        let first = self.guard.local_addr().expect("it is bound").port();
        first + number
    }

    /// The port that goes with port `number` for calls between servers.
    pub(crate) fn grpc(&self, number: u16) -> u16 {
        self.port(number) + GRPC
    }
}

const FIRST: u16 = 20_000;
const BLOCK_PORTS: u16 = 32;
const BLOCKS: u16 = 80;
/// SeaweedFS looks for a server's second port here when it knows the first alone.
const GRPC: u16 = 10_000;

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}
