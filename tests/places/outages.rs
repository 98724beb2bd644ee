//! A server that dies, a bucket that is gone, credentials that end, a store that lies.
//!
//! Each is told clearly, with the exit code for it, and what was stored before is not stored again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use testkit::proxy::{Act, Request};
use testkit::seaweed::{BUCKET, SeaweedFs};

use crate::troubled::{Troubled, puts_pack};

/// Kills the server when so many requests of a kind have come, and starts it again a little later.
fn kill_at(
    server: &Arc<SeaweedFs>,
    troubled: &Troubled,
    number: u32,
    counts: fn(&Request) -> bool,
) -> mpsc::Receiver<()> {
    let (seen, server) = (AtomicU32::new(0), server.clone());
    let (done, restarted) = mpsc::channel();
    troubled.proxy.plan(move |request| {
        if counts(request) && seen.fetch_add(1, Ordering::Relaxed) + 1 == number {
            server.kill();
            let (server, done) = (server.clone(), done.clone());
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                server.restart();
                let _nobody_waits_any_more = done.send(());
            });
        }
        Act::Pass
    });
    restarted
}

#[test]
fn a_server_killed_in_the_midst_of_uploads_and_of_a_restore_loses_nothing() {
    let server = Arc::new(SeaweedFs::start());
    let troubled = Troubled::new(&server);
    troubled.grow("large", 40_000_000);

    let restarted = kill_at(&server, &troubled, 4, puts_pack);
    troubled.back_up().expect(0);
    restarted.recv_timeout(Duration::from_secs(120)).expect("it was killed");

    let gets_pack = |request: &Request| request.method == "GET" && request.names("/packs/");
    let restarted = kill_at(&server, &troubled, 3, gets_pack);
    let (ran, target) = troubled.restore();
    ran.expect(0);
    troubled.compare(&target);
    restarted.recv_timeout(Duration::from_secs(120)).expect("it was killed again");
    troubled.check();
}

#[test]
fn credentials_that_end_in_mid_run_are_said_and_the_next_run_stores_the_rest() {
    let troubled = Troubled::new(SeaweedFs::shared());
    troubled.grow("large", 100_000_000);
    let seen = AtomicU32::new(0);
    troubled.proxy.plan(move |request| {
        if puts_pack(request) {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        if seen.load(Ordering::Relaxed) > 20 { Act::deny("ExpiredToken") } else { Act::Pass }
    });

    let before = troubled.proxy.counts().bytes_up;
    troubled.back_up().expect(5).says("ExpiredToken", "credentials");
    let first = troubled.proxy.counts().bytes_up - before;
    troubled.proxy.heal();
    troubled.back_up().expect(0);
    let second = troubled.proxy.counts().bytes_up - before - first;

    assert!(second < 60_000_000, "{first} bytes went up, then {second}: too many came twice");
    troubled.check();
}

#[test]
fn a_bucket_that_is_not_there_is_said_at_once() {
    let server = SeaweedFs::shared();
    let mut troubled = Troubled::without_vault(server.address(), server.credentials());
    let url = troubled.url.clone();
    troubled.url = url.replace(BUCKET, "nowhere");
    troubled.run(&["init"]).expect(6).says("no bucket nowhere", "make the bucket");
    troubled.url = url;
    troubled.begin();

    // A bucket that goes away under a client that knows it.
    troubled.proxy.plan(|_| Act::refuse(404, "NoSuchBucket"));
    troubled.back_up().expect(6).says("no bucket", "make the bucket");
    troubled.run(&["snapshots"]).expect(6).says("no bucket", "make the bucket");
    troubled.check();
}

#[test]
fn a_vault_that_moves_to_a_store_that_ignores_conditions_gets_no_second_writer() {
    let troubled = Troubled::new(SeaweedFs::shared());
    troubled.proxy.plan(|_| Act::StripConditions);

    // A host that has not written here before asks the store first.
    let backup = ["backup", "/etc/hostname", "--name", "there"];
    troubled.run_on("another", &backup).expect(7).says("second writer", "");
    troubled.check();
}
