//! A place is lost and a replica survived: the owner goes on, and every other host follows.
//!
//! What survived is everything, or not quite everything; hosts have seen more than survived, as
//! much, or less. Nobody loses what they were told is safe without the owner saying so.

use std::sync::Arc;

use format::{Kind, Seq, VaultNames};
use ledger::{Draft, SessionStatus};
use places::{Clock, Fault, Faulty, Operation, Place};
use replica::ReplicaOptions;
use strongroom::{Error, ErrorKind, Host, Loss, RecoverOptions, recover_in_place};
use vault::WriteOptions;

use crate::hosts::{Hosts, assert_holds, back_up, head, seen_of};

fn accepting() -> RecoverOptions {
    let copy = ReplicaOptions { connections: 1, ..ReplicaOptions::default() };
    RecoverOptions { loss: Loss::Accept, copy }
}

fn refusing() -> RecoverOptions {
    RecoverOptions { loss: Loss::Refuse, ..accepting() }
}

#[test]
fn a_recovery_killed_at_any_request_leaves_nothing_to_append_to_and_the_next_ends_it() {
    let hosts = Hosts::new(1);
    let owner = hosts.nobody();
    let mut vault = hosts.open(&hosts.vault, &owner);
    let made = [back_up(&mut vault, b"one"), back_up(&mut vault, &[7; 5000])];
    hosts.replicate();
    let (mut at, mut ended) = (0, false);
    while !ended {
        let target = hosts.empty_place();
        let clock: Arc<dyn Clock> = hosts.clock.clone();
        let crashing = Faulty::crashing_after(target.clone(), clock, at);
        ended = hosts.recover_to(crashing, &owner, &refusing()).is_ok();
        let done = hosts.recover_to(target.clone(), &owner, &refusing()).unwrap();
        assert_eq!(done.survived, head(&vault), "request {at}");
        assert_eq!(done.by.map(|by| by.seq), Some(done.survived.seq.next()));
        let mut recovered = hosts.open(&target, &owner);
        assert_eq!(recovered.ledger().state().recovers().len(), 1, "request {at}");
        let more = back_up(&mut recovered, b"more");
        assert_holds(&mut recovered, &[&made[0], &made[1], &more]);
        at += 1;
    }
    assert!(at > 20, "{at} requests");
}

#[test]
fn before_its_last_record_a_recovered_place_takes_nothing() {
    let hosts = Hosts::new(2);
    let owner = hosts.nobody();
    back_up(&mut hosts.open(&hosts.vault, &owner), b"one");
    hosts.replicate();
    let target = hosts.empty_place();
    let clock: Arc<dyn Clock> = hosts.clock.clone();
    let name = VaultNames::record(head(&hosts.open(&hosts.vault, &owner)).seq.next());
    let script = move |operation: &Operation<'_>| match operation.subject == name.as_str() {
        true => Fault::CrashBefore,
        false => Fault::None,
    };
    let crashing = Faulty::scripted(target.clone(), clock, script);
    hosts.recover_to(crashing, &owner, &refusing()).unwrap_err();

    let copy = hosts.open(&target, &owner);
    let refused = copy.ledger().append_one(Draft::on_snapshots(Kind::Forget, []));
    assert!(matches!(refused, Err(ledger::Error::Replica)), "{refused:?}");
}

#[test]
fn hosts_that_saw_more_as_much_or_less_than_survived_all_go_on_at_the_recovered_place() {
    let hosts = Hosts::new(3);
    let [less, as_much, more] = ["less", "as-much", "more"].map(|name| hosts.host(name));
    let first = back_up(&mut hosts.open(&hosts.vault, &less), b"first");
    let second = back_up(&mut hosts.open(&hosts.vault, &as_much), b"second");
    hosts.replicate();
    let lost = back_up(&mut hosts.open(&hosts.vault, &more), b"lost with the place");

    let new = hosts.empty_place();
    let done = hosts.recover_to(new.clone(), &hosts.nobody(), &refusing()).unwrap();
    assert_eq!((done.seen, done.lost_after), (None, done.survived.seq));

    let mut all = vec![first, second];
    for host in [&less, &as_much, &more] {
        let mut vault = hosts.open(&new, host);
        assert_eq!(vault.ledger().standing().alarms, [], "{}", host.label);
        all.push(back_up(&mut vault, host.label.as_bytes()));
    }
    // What was lost is stored again by whoever still has it.
    all.push(back_up(&mut hosts.open(&new, &more), b"lost with the place"));
    assert_holds(&mut hosts.open(&new, &less), &all.iter().collect::<Vec<_>>());
    assert!(all.iter().all(|made| made.id != lost.id));
    let alarms = hosts.open(&hosts.vault, &more).ledger().standing().forbids_append();
    assert!(alarms.is_some(), "the lost place is not gone on at when it comes back");
}

#[test]
fn a_session_that_was_open_is_closed_by_the_recovery_and_its_commit_is_refused() {
    let hosts = Hosts::new(4);
    let host = hosts.host("writer");
    let mut vault = hosts.open(&hosts.vault, &host);
    let writer = vault.write(WriteOptions::default()).unwrap();
    let session = writer.session();
    hosts.replicate();
    let mut survivor = hosts.open(&hosts.replica, &hosts.nobody());
    recover_in_place(&mut survivor, &refusing()).unwrap();
    drop(survivor);

    let recovered = hosts.open(&hosts.replica, &hosts.nobody());
    let status = recovered.ledger().state().session(session).map(|session| session.status);
    assert_eq!(status, Some(SessionStatus::Recovered));
}

#[test]
fn records_that_did_not_survive_stop_a_recovery_until_the_owner_gives_them_up() {
    let hosts = Hosts::new(5);
    let mut vault = hosts.open(&hosts.vault, &hosts.nobody());
    let kept = back_up(&mut vault, b"kept");
    hosts.replicate();
    let survived = head(&vault);
    back_up(&mut vault, b"gone");
    let with_kit = Host { seen: seen_of(&vault), ..hosts.nobody() };
    let seen = head(&vault).seq;

    let target = hosts.empty_place();
    let error = hosts.recover_to(target.clone(), &with_kit, &refusing()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    match error {
        Error::Loss { survived: to, seen: from, .. } => {
            assert_eq!((to, from), (survived.seq, seen));
        }
        other => panic!("{other}"),
    }
    assert!(target.names().is_empty(), "nothing was written");

    let done = hosts.recover_to(target.clone(), &with_kit, &accepting()).unwrap();
    assert_eq!(done.lost_after, survived.seq);
    assert_eq!(done.seen.map(|at| at.seq), Some(seen));
    let mut recovered = hosts.open(&target, &with_kit);
    assert_eq!(recovered.ledger().standing().forbids_append().map(|e| e.to_string()), None);
    let more = back_up(&mut recovered, b"more");
    assert_holds(&mut recovered, &[&kept, &more]);
}

#[test]
fn another_history_than_the_kits_stops_a_recovery() {
    let hosts = Hosts::new(6);
    let mut vault = hosts.open(&hosts.vault, &hosts.nobody());
    back_up(&mut vault, b"one");
    let before = hosts.vault.snapshot();
    back_up(&mut vault, b"two");
    let with_kit = Host { seen: seen_of(&vault), ..hosts.nobody() };
    hosts.vault.restore(&before);
    let mut other = hosts.open(&hosts.vault, &hosts.host("other"));
    (0..3).for_each(|number| drop(back_up(&mut other, &[number])));
    hosts.replicate();

    let target = hosts.empty_place();
    let error = hosts.recover_to(target.clone(), &with_kit, &refusing()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("forked"), "{error}");
    assert!(target.names().is_empty());
    let done = hosts.recover_to(target.clone(), &with_kit, &accepting()).unwrap();
    let kit_head = with_kit.seen.head.unwrap().seq;
    assert_eq!(done.lost_after.next(), kit_head, "the two part at the kit's head at the latest");
    back_up(&mut hosts.open(&target, &with_kit), b"more");
}

#[test]
fn a_place_put_back_to_an_old_recovery_does_not_pass_for_a_recovered_one() {
    let hosts = Hosts::new(7);
    back_up(&mut hosts.open(&hosts.vault, &hosts.nobody()), b"one");
    hosts.replicate();
    let new = hosts.empty_place();
    hosts.recover_to(new.clone(), &hosts.nobody(), &refusing()).unwrap();
    let recovered = new.snapshot();
    let mut vault = hosts.open(&new, &hosts.nobody());
    back_up(&mut vault, b"two");
    let kit = seen_of(&vault);
    assert_eq!(kit.recovered.map(|at| at.seq), Some(vault.ledger().state().recovers()[0].at.seq));
    let host = hosts.host("with-a-home");
    drop(hosts.open(&new, &Host { seen: kit, ..host.clone() }));
    new.restore(&recovered);

    // Who used the kit while all was well knows as much without it.
    for host in [Host { seen: kit, ..hosts.nobody() }, host] {
        let alarm = hosts.open(&new, &host).ledger().standing().forbids_append();
        let kind = alarm.map(|error| error.kind());
        assert_eq!(kind, Some(ledger::ErrorKind::Tampering), "{}", host.label);
    }
}

#[test]
fn a_kit_of_before_a_recovery_is_no_alarm_to_who_followed_it() {
    let hosts = Hosts::new(8);
    let mut vault = hosts.open(&hosts.vault, &hosts.nobody());
    back_up(&mut vault, b"one");
    hosts.replicate();
    (0..4).for_each(|number| drop(back_up(&mut vault, &[number])));
    let old_kit = Host { seen: seen_of(&vault), ..hosts.host("owner") };
    let new = hosts.empty_place();
    hosts.recover_to(new.clone(), &old_kit, &accepting()).unwrap();

    for content in [b"a", b"b"] {
        let mut vault = hosts.open(&new, &old_kit);
        assert_eq!(vault.ledger().standing().alarms, []);
        back_up(&mut vault, content);
    }
}

#[test]
fn a_replica_is_recovered_where_it_lies_once() {
    let hosts = Hosts::new(9);
    let kept = back_up(&mut hosts.open(&hosts.vault, &hosts.nobody()), b"one");
    hosts.replicate();
    let mut survivor = hosts.open(&hosts.replica, &hosts.nobody());
    let done = recover_in_place(&mut survivor, &refusing()).unwrap();
    assert_eq!(done.by.map(|by| by.seq), Some(done.survived.seq.next()));
    let more = back_up(&mut survivor, b"more");
    assert_holds(&mut survivor, &[&kept, &more]);
    let again = recover_in_place(&mut survivor, &refusing()).unwrap_err();
    assert!(matches!(again, Error::Ledger(ledger::Error::NothingLost)), "{again}");
    let mut whole = hosts.open(&hosts.vault, &hosts.nobody());
    let whole = recover_in_place(&mut whole, &accepting()).unwrap_err();
    assert!(matches!(whole, Error::Ledger(ledger::Error::NothingLost)), "{whole}");
}

#[test]
fn a_place_that_lost_its_newest_records_goes_on_when_the_owner_says_so() {
    let hosts = Hosts::new(10);
    let host = hosts.host("host");
    let mut vault = hosts.open(&hosts.vault, &host);
    let kept = back_up(&mut vault, b"kept");
    let survived = head(&vault);
    back_up(&mut vault, b"gone");
    for seq in survived.seq.0 + 1..=head(&vault).seq.0 {
        hosts.vault.delete(&VaultNames::record(Seq(seq))).unwrap();
    }
    drop(vault);
    let mut vault = hosts.open(&hosts.vault, &host);
    let error = recover_in_place(&mut vault, &refusing()).unwrap_err();
    assert!(matches!(error, Error::Loss { .. }), "{error}");
    recover_in_place(&mut vault, &accepting()).unwrap();
    let mut later = hosts.open(&hosts.vault, &host);
    let more = back_up(&mut later, b"more");
    assert_holds(&mut later, &[&kept, &more]);
}

#[test]
fn who_is_not_the_owner_recovers_nothing() {
    let hosts = Hosts::new(11);
    let mut vault = hosts.open(&hosts.vault, &hosts.nobody());
    let reader =
        vault.issue_bundle(crypto::Role::Reader, vault::DomainChoice::Default, "reader").unwrap();
    hosts.replicate();
    let components = hosts.components(hosts.replica.clone());
    let keyring = crypto::Keyring::from_bundle(reader);
    let mut survivor =
        vault::Vault::open(components, &Default::default(), keyring, "reader").unwrap();
    let error = recover_in_place(&mut survivor, &accepting()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}
