//! A snapshot's life: live, in the trash and back, held, purged, tagged, written off.
//!
//! Each rule is shown by the record that it makes void.

use crypto::Role;
use format::{Kind, TagsBody};

use super::world::{Host, World};
use crate::{Draft, SnapshotStanding, VoidReason};

#[test]
fn the_trash_gives_back_until_it_is_purged() {
    let world = World::new();
    let mut owner = world.member(Role::Owner);
    let id = owner.snapshot(&world, &[1]);
    let on = |kind| Draft::on_snapshots(kind, [id]);

    assert_eq!(owner.refused(on(Kind::Purge)), VoidReason::SnapshotStanding);
    owner.add(on(Kind::Forget));
    assert_eq!(owner.refused(on(Kind::Forget)), VoidReason::SnapshotStanding);
    owner.add(on(Kind::Undo));
    assert_eq!(owner.state().snapshot(id).unwrap().standing, SnapshotStanding::Live);
    owner.add(on(Kind::Forget));
    owner.add(on(Kind::Purge));
    assert_eq!(owner.refused(on(Kind::Undo)), VoidReason::SnapshotStanding);
    let unknown = Draft::on_snapshots(Kind::Forget, [world.session()]);
    assert_eq!(owner.refused(unknown), VoidReason::SnapshotUnknown);
}

#[test]
fn what_is_held_is_neither_forgotten_nor_purged_until_the_owner_releases_it() {
    let world = World::new();
    let (mut owner, mut root) = (world.member(Role::Owner), world.root());
    let mut reader = world.member(Role::Reader);
    let [kept, other] = [1, 2].map(|number| owner.snapshot(&world, &[number]));
    owner.add(Draft::on_snapshots(Kind::Forget, [other]));
    reader.add(Draft::on_snapshots(Kind::Hold, [kept, other]));

    let forget = Draft::on_snapshots(Kind::Forget, [kept]);
    assert_eq!(owner.refused(forget.clone()), VoidReason::Held);
    let purge = Draft::on_snapshots(Kind::Purge, [other]);
    assert_eq!(owner.refused(purge), VoidReason::Held);
    root.add(Draft::on_snapshots(Kind::Release, [kept]));
    owner.add(forget);
}

#[test]
fn tags_and_write_offs_are_kept_and_many_at_once_go_through_a_list_object() {
    let world = World::new();
    let (mut owner, mut root) = (world.member(Role::Owner), world.root());
    let id = owner.snapshot(&world, &[1]);
    let tags = vec!["nightly".to_string(), "weekly".to_string()];
    let payload = TagsBody { tags: tags.clone() }.encode();
    root.add(Draft { payload, ..Draft::on_snapshots(Kind::Tag, [id]) });
    root.add(Draft::on_snapshots(Kind::WriteOff, [id]));
    let snapshot = root.state().snapshot(id).unwrap();
    assert_eq!(snapshot.tags, Some(tags));
    assert!(snapshot.written_off);

    let many = Draft::on_snapshots(Kind::Forget, std::iter::repeat_n(id, 5000));
    owner.add(many);
    let lists = format::VaultNames::lists();
    let found = world.place.names().into_iter().filter(|name| name.starts_with(&lists)).count();
    assert_eq!(found, 1);
    assert_eq!(world.stranger().state().snapshot(id).unwrap().standing, SnapshotStanding::Trashed);
}
