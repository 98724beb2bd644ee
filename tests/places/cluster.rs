//! A bucket that many machines keep: one of them dies during a backup, another during a restore.
//!
//! Each object lies on two volume servers. Whoever dies, nothing acknowledged is lost, and the run
//! goes on with those that are left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use testkit::proxy::{Act, Request};
use testkit::seaweed::{Cluster, Machine};

use crate::troubled::{Troubled, puts_pack};

/// Kills a machine when so many requests of a kind have come.
fn kill_at(
    cluster: &Arc<Cluster>,
    troubled: &Troubled,
    machine: Machine,
    number: u32,
    counts: fn(&Request) -> bool,
) -> Arc<AtomicU32> {
    let (seen, cluster) = (Arc::new(AtomicU32::new(0)), cluster.clone());
    let counter = seen.clone();
    troubled.proxy.plan(move |request| {
        if counts(request) && seen.fetch_add(1, Ordering::Relaxed) + 1 == number {
            cluster.kill(machine);
        }
        Act::Pass
    });
    counter
}

#[test]
fn a_cluster_that_loses_a_volume_server_loses_nothing() {
    let cluster = Arc::new(Cluster::start());
    let troubled = Troubled::without_vault(cluster.gateway(0), cluster.credentials());
    troubled.begin();
    troubled.grow("large", 40_000_000);

    let seen = kill_at(&cluster, &troubled, Machine::Volume(0), 4, puts_pack);
    troubled.back_up().expect(0);
    assert!(seen.load(Ordering::Relaxed) >= 4, "it was killed in the midst");
    cluster.start_machine(Machine::Volume(0));
    troubled.check();

    let gets_pack = |request: &Request| request.method == "GET" && request.names("/packs/");
    let seen = kill_at(&cluster, &troubled, Machine::Volume(1), 3, gets_pack);
    let (ran, target) = troubled.restore();
    ran.expect(0);
    troubled.compare(&target);
    assert!(seen.load(Ordering::Relaxed) >= 3, "it was killed in the midst");
    troubled.check();
}
