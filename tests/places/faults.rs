//! Requests that fail in every way there is: each costs time, and none costs data.
//!
//! The faults are drawn by dice from a seed, request by request, while real backups and restores
//! run. Retried forever, a fault at every request would end nothing; so each leaves most requests
//! alone.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use testkit::proxy::Act;
use testkit::seaweed::SeaweedFs;

use crate::troubled::{Troubled, puts_pack};

#[test]
fn refusals_and_broken_connections_cost_time_only() {
    let troubled = Troubled::new(SeaweedFs::shared());
    for seed in 1..=3 {
        troubled.grow(&format!("seed-{seed}"), 9_000_000);
        troubled.proxy.plan_with_dice(seed, |_, dice| {
            let at = dice.below(5_000_000);
            match dice.below(30) {
                0 => Act::slow_down(),
                1 => Act::refuse(500, "InternalError"),
                2 => Act::refuse(429, "TooManyRequests"),
                3 => Act::LoseAnswer,
                4 => Act::CutRequest(at),
                5 => Act::CutAnswer(at),
                6 => Act::CutRequest(at % 700),
                7 => Act::CutAnswer(at % 700),
                8 => Act::later(Duration::from_millis(50), Act::Hang(Duration::from_millis(500))),
                9 => Act::later(Duration::from_millis(50), Act::Pass),
                _ => Act::Pass,
            }
        });
        troubled.back_up().expect(0);
        let (ran, target) = troubled.restore();
        ran.expect(0);
        troubled.compare(&target);
    }
    troubled.check();
}

#[test]
fn a_storm_of_refusals_and_slow_answers_are_sat_out() {
    let troubled = Troubled::new(SeaweedFs::shared());
    troubled.grow("large", 9_000_000);

    // Half of all requests are refused until forty were.
    let refused = AtomicU32::new(0);
    troubled.proxy.plan_with_dice(5, move |_, dice| {
        let refuses = refused.load(Ordering::Relaxed) < 40 && dice.chance(1, 2);
        refused.fetch_add(refuses.into(), Ordering::Relaxed);
        if refuses { Act::slow_down() } else { Act::Pass }
    });
    troubled.back_up().expect(0);

    troubled.proxy.plan(|_| Act::Trickle(100_000, Duration::from_millis(5)));
    let (ran, target) = troubled.restore();
    ran.expect(0);
    troubled.compare(&target);
    troubled.check();
}

#[test]
fn bytes_changed_under_way_never_reach_a_vault_or_a_file() {
    let troubled = Troubled::new(SeaweedFs::shared());
    troubled.grow("large", 9_000_000);

    // Half of the packs go up with one bit changed: the checksum beside it tells the server.
    troubled.proxy.plan_with_dice(6, |request, dice| {
        match puts_pack(request) && dice.chance(1, 2) {
            true => Act::CorruptRequest(dice.below(4_000_000)),
            false => Act::Pass,
        }
    });
    troubled.back_up().expect(0);

    // An answer that is too short is asked for again.
    troubled.proxy.plan_with_dice(7, |request, dice| {
        match request.names("/packs/") && dice.chance(1, 3) {
            true => Act::ShortenAnswer(1 + dice.below(1000)),
            false => Act::Pass,
        }
    });
    let (ran, target) = troubled.restore();
    ran.expect(0);
    troubled.compare(&target);

    // What always comes back wrong is damage, whoever did it.
    troubled.proxy.plan(|request| match request.names("/packs/") {
        true => Act::CorruptAnswer(2_000),
        false => Act::Pass,
    });
    let (ran, target) = troubled.restore();
    ran.expect(4);
    assert!(!target.join("large").exists(), "no wrong byte is given a name");
    troubled.check();
}

#[test]
fn small_pages_hide_nothing() {
    let troubled = Troubled::new(SeaweedFs::shared());
    troubled.grow("large", 30_000_000);
    troubled.proxy.plan(|_| Act::SmallPages(3));

    troubled.back_up().expect(0);
    troubled.run(&["verify", "--data"]).expect(0);
    troubled.run(&["collect"]).expect(0);

    let lists = troubled.proxy.counts().of("GET");
    assert!(lists > 3, "the packs are more than a page");
    troubled.check();
}

#[test]
fn the_dates_of_a_server_a_day_off_decide_nothing() {
    let troubled = Troubled::new(SeaweedFs::shared());
    for seconds in [-86_400, 86_400] {
        // One that refuses what is not signed at its own time, then one that takes it.
        for act in [Act::ShiftClock(seconds), Act::ShiftTimes(seconds)] {
            troubled.proxy.plan(move |_| act.clone());
            troubled.grow("shifted", 3_000_000 + seconds.unsigned_abs() as usize);
            troubled.back_up().expect(0);
        }
        troubled.run(&["forget", "--keep-last", "2"]).expect(0);
        troubled.run(&["collect"]).expect(0);
        troubled.run(&["verify", "--data"]).expect(0);
    }
    troubled.check();
}
