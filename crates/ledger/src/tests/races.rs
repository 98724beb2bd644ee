//! Races: many appenders, one winner per number, drafts made anew for each try.
//!
//! Threads share one place; each has a ledger of its own.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crypto::Role;
use format::{Kind, Seq};

use super::world::{Host, World, pack};
use crate::{Draft, Error, PackStanding};

#[test]
fn many_threads_append_at_once_and_each_record_has_a_number_of_its_own() {
    let world = World::new();
    let members: Vec<_> = (0..6).map(|_| world.member(Role::Writer)).collect();
    let first = world.root().state().next();
    let numbers = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for mut member in members {
            let (world, numbers) = (&world, &numbers);
            scope.spawn(move || {
                for _ in 0..5 {
                    let session = world.session();
                    let domain = member.keyring().unwrap().domain();
                    let appended = member.add(Draft::open(session, domain, None));
                    assert!(numbers.lock().unwrap().insert(appended.at.seq), "a number twice");
                    assert!(member.state().session(session).is_some());
                }
            });
        }
    });
    let numbers = numbers.into_inner().unwrap();
    assert_eq!(numbers, (first.0..first.0 + 30).map(Seq).collect());
    let root = world.root();
    assert_eq!(root.state().open_sessions().count(), 30);
    assert_eq!(root.state().voids().count, 0);
}

#[test]
fn who_loses_the_race_is_asked_again_with_the_newer_state() {
    let world = World::new();
    let (mut slow, mut fast) = (world.member(Role::Owner), world.member(Role::Owner));
    slow.snapshot(&world, &[1]);
    let mut seen = Vec::new();
    let appended = slow.append(|state| {
        seen.push(state.pack_standing(&pack(1)));
        if seen.len() == 1 {
            fast.add(Draft::on_packs(Kind::Suspect, [pack(1)]));
        }
        Ok::<_, Error>(Some(Draft::new(Kind::Report)))
    });
    let at = appended.unwrap().expect("it was appended").at;
    assert_eq!(seen, [PackStanding::Good, PackStanding::Suspect]);
    assert_eq!(at, slow.state().head());
    assert_eq!(at.seq, fast.state().head().seq.next());
}

#[test]
fn a_draft_may_give_up_or_fail_and_nothing_is_appended() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let head = writer.state().head();
    assert_eq!(writer.append(|_| Ok::<_, Error>(None)).unwrap(), None);
    let failed = writer.append(|_| Err::<Option<Draft>, _>(Error::NotBroken));
    assert!(matches!(failed, Err(Error::NotBroken)));
    assert_eq!(world.root().state().head(), head);
}

#[test]
fn two_inits_make_one_genesis() {
    let world = World::uninitialised(3);
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| world.init().unwrap())));
    });
    assert_eq!(world.init().unwrap().state().next(), Seq(1));
}
