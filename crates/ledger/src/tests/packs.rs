//! A pack's life: good, under suspicion, condemned or clear again, lost and found.
//!
//! Each rule is shown by the record that it makes void.

use crypto::Role;
use format::{Kind, Seq};

use super::world::{Host, World, pack, packs, runs};
use crate::{Draft, Ledger, PackStanding, VoidReason};

fn standings(ledger: &Ledger) -> [PackStanding; 3] {
    [1, 2, 3].map(|number| ledger.state().pack_standing(&pack(number)))
}

fn suspect(numbers: &[u8]) -> Draft {
    Draft::on_packs(Kind::Suspect, numbers.iter().map(|number| pack(*number)))
}

#[test]
fn a_condemn_takes_some_of_its_suspicion_and_clears_the_rest() {
    use PackStanding::{Condemned, Good, Suspect};
    let world = World::new();
    let mut owner = world.member(Role::Owner);
    owner.snapshot(&world, &[1, 2, 3]);
    let suspicion = owner.add(suspect(&[1, 2])).at.seq;
    assert_eq!(standings(&owner), [Suspect, Suspect, Good]);
    assert_eq!(owner.state().troubled().count(), 2);

    let excess = Draft::condemn(suspicion, [pack(1), pack(3)]);
    assert_eq!(owner.refused(excess), VoidReason::NotSuspected);
    let run = Draft { drops: runs(&[1]), ..Draft::condemn(suspicion, []) };
    assert_eq!(owner.refused(run), VoidReason::NotSuspected);
    owner.add(Draft::condemn(suspicion, [pack(1)]));
    assert_eq!(standings(&owner), [Condemned, Good, Good]);
    let again = Draft::condemn(suspicion, [pack(2)]);
    assert_eq!(owner.refused(again), VoidReason::SuspicionUnknown);
    assert_eq!(owner.refused(Draft::clear(suspicion)), VoidReason::SuspicionUnknown);

    owner.add(Draft::on_packs(Kind::Swept, [pack(1)]));
    owner.snapshot(&world, &[1]);
    assert_eq!(standings(&owner), [Condemned, Good, Good], "a condemned name is never good again");
}

#[test]
fn a_cleared_suspicion_condemns_nothing() {
    let world = World::new();
    let mut owner = world.member(Role::Owner);
    let mut other = world.member(Role::Collector);
    owner.snapshot(&world, &[1, 2]);
    let suspicion = owner.add(suspect(&[1])).at.seq;
    other.add(Draft::clear(suspicion));
    let late = Draft::condemn(suspicion, [pack(1)]);
    assert_eq!(owner.refused(late), VoidReason::SuspicionUnknown);
    assert_eq!(owner.refused(Draft::condemn(Seq(77), [])), VoidReason::SuspicionUnknown);
}

#[test]
fn only_known_packs_of_closed_sessions_come_under_one_suspicion_at_a_time() {
    let world = World::new();
    let mut owner = world.member(Role::Owner);
    owner.snapshot(&world, &[1]);
    let open = owner.begin(&world);
    owner.add(Draft::packs(open, packs(&[2])));
    let first = owner.add(suspect(&[1, 2, 99])).at.seq;
    let second = owner.add(suspect(&[1])).at.seq;
    let of = |seq| owner.state().suspicion(seq).unwrap().iter().copied().collect::<Vec<_>>();
    assert_eq!(of(first), [pack(1)]);
    assert_eq!(of(second), []);
}

#[test]
fn a_loss_after_the_suspicion_makes_its_condemn_void() {
    use PackStanding::{Good, Lost, Suspect};
    let world = World::new();
    let mut owner = world.member(Role::Owner);
    let mut reader = world.member(Role::Reader);
    owner.snapshot(&world, &[1, 2, 3]);
    let suspicion = owner.add(suspect(&[1])).at.seq;
    let trouble = owner.state().newest_trouble();
    reader.add(Draft::on_packs(Kind::Lost, [pack(3), pack(99)]));
    owner.refresh().unwrap();
    assert_eq!(standings(&owner), [Suspect, Good, Lost]);
    assert!(owner.state().newest_trouble() > trouble);
    assert_eq!(owner.state().lost().count(), 1);

    let condemn = Draft::condemn(suspicion, [pack(1)]);
    assert_eq!(owner.refused(condemn), VoidReason::LostSince);
    owner.add(Draft::clear(suspicion));
    reader.add(Draft::on_packs(Kind::Found, [pack(3)]));
    let suspicion = owner.add(suspect(&[1])).at.seq;
    owner.add(Draft::condemn(suspicion, [pack(1)]));
    assert_eq!(standings(&owner)[2], Good);
}

#[test]
fn a_checkpoint_drops_nothing() {
    let world = World::new();
    let mut owner = world.member(Role::Owner);
    owner.snapshot(&world, &[1]);
    let sample = super::world::sample(Kind::Checkpoint, vec![]);
    let dropping = Draft { drops: packs(&[1]), ..sample.clone() };
    assert_eq!(owner.refused(dropping), VoidReason::Drops);
    owner.add(sample);
    assert!(owner.state().checkpoint().is_some());
}
