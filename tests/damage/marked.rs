//! A place that is marked as a replica, and whose mark is harmed.
//!
//! Nobody appends there, whatever the mark holds: that it lies there is enough. What can be read
//! stays readable. Only where the mark is gone the place is like any other. DESIGN §12.

use std::collections::BTreeSet;

use format::VaultNames;
use places::{ObjectName, Place, Put, PutOptions};

use crate::every_command::{self, Command, HARMS, Harm};
use crate::past::Past;

fn records(past: &Past) -> BTreeSet<ObjectName> {
    let names = past.world.place.names().into_iter();
    names.filter(|name| name.starts_with(&VaultNames::records())).collect()
}

/// What a harmed mark is, with none for a mark that is whole.
fn each_harm(seed: u64, command: Command, refused: bool) {
    let past = Past::new(seed);
    let expected = past.expected(None);
    let before = records(&past);
    let name = VaultNames::replica();
    for harm in [None].into_iter().chain(HARMS.map(Some)) {
        let what = format!("a mark, {harm:?}");
        let home = format!("{harm:?}");
        past.copy_home(&home);
        past.world.place.restore(&past.whole);
        let mark = vec![3; 16].into();
        let put = past.world.place.put(&name, mark, &PutOptions::default()).unwrap();
        assert_eq!(put, Put::Created);
        if let Some(harm) = harm {
            harm.strike(&past, &name);
        }

        let said = command(&past, &home);

        let marked = !matches!(harm, Some(Harm::Removed));
        if marked {
            assert_eq!(records(&past), before, "{what}: something was appended");
            assert_eq!(said.is_err(), refused, "{what}: {said:?}");
        }
        let reading = past.world.read(&format!("new-{home}")).unwrap();
        let gone = expected.iter().find(|(key, value)| reading.contents.get(key) != Some(*value));
        assert!(gone.is_none(), "{what}: {:?} is lost", gone.map(|(key, _)| key));
    }
}

macro_rules! each_command {
    ($($test:ident: $command:ident, $refused:literal);+ $(;)?) => {$(
        #[test]
        fn $test() {
            each_harm(43, every_command::$command, $refused);
        }
    )+};
}

each_command! {
    a_place_with_a_harmed_mark_of_a_replica_is_read: read_all, false;
    a_place_with_a_harmed_mark_of_a_replica_restores: restore_all, false;
    a_place_with_a_harmed_mark_of_a_replica_verifies_and_notes_nothing: verify_data, false;
    a_place_with_a_harmed_mark_of_a_replica_takes_no_backup: back_up_again, true;
    a_place_with_a_harmed_mark_of_a_replica_forgets_nothing: forget, true;
    a_place_with_a_harmed_mark_of_a_replica_is_not_collected: collect_all, true;
}
