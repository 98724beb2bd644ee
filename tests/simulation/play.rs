//! One play: a seed decides the actors, the weather and the schedule. The same seed under the same
//! rules makes the same calls in the same order and leaves the same objects.

use std::sync::Arc;

use places::{MemoryPlace, MemorySnapshot};
use testkit::simulation::{Bucket, Dice, Part, Turns, Weather};
use vault::Rules;

use crate::actors::collector::{Collector, Packs, Patience};
use crate::actors::gremlin::{Gremlin, Vandal};
use crate::actors::inspector::Inspector;
use crate::actors::keeper::Keeper;
use crate::actors::reader::Restorer;
use crate::actors::replicator::Copyist;
use crate::actors::stranger::Stranger;
use crate::actors::writer::BackupHost;
use crate::actors::{Actor, Homes, Host, Stage};
use crate::base::{Base, COLLECTORS, Key, START, WRITERS};
use crate::oracle::{Counts, Oracle, Shared, judge_end, judge_replica, lock};

/// How a play ended.
pub(crate) struct Ended {
    /// The rule that was broken, when one was.
    pub(crate) broken: Option<String>,
    pub(crate) counts: Counts,
    /// Every call and how it ended.
    pub(crate) history: u64,
    pub(crate) objects: MemorySnapshot,
    pub(crate) turns: u64,
}

/// A play is stopped after so many turns: a livelock ends.
const TURNS_MAX: u64 = 20_000;

/// Plays a seed under these rules.
pub(crate) fn play(seed: u64, rules: Rules, cast: Cast) -> Ended {
    let base = Base::get();
    let mut dice = Dice::new(seed);
    let drawn = cast == Cast::Drawn;
    let mut roles = match cast {
        Cast::Drawn => drawn_cast(&mut dice),
        Cast::Crowded => crowded_cast(&mut dice),
        Cast::Compacting => compacting_cast(&mut dice),
    };
    let turns = Arc::new(Turns::new(dice.split(), START, roles.len() + 1, TURNS_MAX));
    let bucket = Arc::new(Bucket::new(turns.clone(), &base.objects));
    let replica = Arc::new(Bucket::new(turns.clone(), &MemoryPlace::new().snapshot()));
    if drawn && dice.chance(1, 4) {
        roles.push((Key::Reader, Box::new(Copyist { target: replica.clone() })));
    }
    let register = Shared::default();
    let oracle = Oracle::new(bucket.objects().clone(), register.clone());
    bucket.watch(Box::new(oracle));
    let (weather, homes) = match cast {
        Cast::Drawn => (weather(&mut dice), Homes::Any),
        Cast::Crowded | Cast::Compacting => {
            (Weather { pause: 150, ..Weather::default() }, Homes::None)
        }
    };
    let (turns_of, bucket_of, register_of) = (turns.clone(), bucket.clone(), register.clone());
    let stage =
        Stage { turns: turns_of, bucket: bucket_of, register: register_of, rules, weather, homes };
    let rounds = if drawn { 3 + dice.below(6) } else { 10 };
    let parts = roles.into_iter().enumerate().map(|(number, (key, mut actor))| -> Part<'_> {
        let mut host = Host::new(&stage, number, key, dice.split());
        Box::new(move || host.live(actor.as_mut(), rounds))
    });
    let played = turns.play(parts.collect());
    let register = lock(&register);
    let judged = played
        .and_then(|()| judge_end(bucket.objects(), &register))
        .and_then(|()| judge_replica(replica.objects(), bucket.objects(), &register));
    Ended {
        broken: judged.err(),
        counts: register.counts,
        history: bucket.history(),
        objects: bucket.objects().snapshot(),
        turns: turns.turns(),
    }
}

type Role = (Key, Box<dyn Actor>);

/// Who plays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cast {
    /// The seed decides.
    Drawn,
    /// Writers of few contents beside hasty collectors: where most meets most.
    Crowded,
    /// The same, and one of the collectors compacts.
    Compacting,
}

fn crowded_cast(dice: &mut Dice) -> Vec<Role> {
    let contents = 3 + dice.below(3);
    let mut cast: Vec<Role> = Vec::new();
    for number in 0..WRITERS {
        cast.push((Key::Writer(number), Box::new(BackupHost { contents })));
    }
    for number in 0..COLLECTORS {
        let collector = Collector { patience: Patience::None, packs: Packs::Stay };
        cast.push((Key::Collector(number), Box::new(collector)));
    }
    cast.push((Key::Owner, Box::new(Keeper)));
    match dice.below(3) {
        0 => cast.push((Key::Reader, Box::new(Inspector))),
        1 => cast.push((Key::Reader, Box::new(Gremlin))),
        _ => {}
    }
    cast
}

fn compacting_cast(dice: &mut Dice) -> Vec<Role> {
    let mut cast = crowded_cast(dice);
    let collector = Collector { patience: Patience::None, packs: Packs::Compact };
    cast.push((Key::Owner, Box::new(collector)));
    cast
}

fn drawn_cast(dice: &mut Dice) -> Vec<Role> {
    let contents = 4 + dice.below(20);
    let writer = || Box::new(BackupHost { contents });
    let mut cast: Vec<Role> = Vec::new();
    for number in 0..1 + dice.below(WRITERS as u64) as usize {
        cast.push((Key::Writer(number), writer()));
    }
    if dice.chance(1, 3) {
        cast.push((Key::Owner, writer()));
    }
    for number in 0..1 + dice.below(COLLECTORS as u64) as usize {
        let collector = Collector { patience: Patience::Any, packs: Packs::Stay };
        cast.push((Key::Collector(number), Box::new(collector)));
    }
    if dice.chance(1, 3) {
        let collector = Collector { patience: Patience::Any, packs: Packs::Compact };
        cast.push((Key::Owner, Box::new(collector)));
    }
    cast.push((Key::Owner, Box::new(Keeper)));
    if dice.chance(1, 2) {
        cast.push((Key::Reader, Box::new(Restorer)));
    }
    if dice.chance(1, 3) {
        cast.push((Key::Reader, Box::new(Inspector)));
    }
    if dice.chance(1, 4) {
        cast.push((Key::Reader, Box::new(Gremlin)));
    }
    if dice.chance(1, 4) {
        cast.push((Key::Stranger, Box::new(Stranger { honest: *writer() })));
    }
    if dice.chance(1, 16) {
        cast.push((Key::Reader, Box::new(Vandal::default())));
    }
    cast
}

fn weather(dice: &mut Dice) -> Weather {
    let mut often = |most| if dice.chance(1, 2) { dice.below(most) } else { 0 };
    Weather {
        request_lost: often(300),
        answer_lost: often(300),
        late: often(300),
        twice: often(300),
        crash: often(60),
        pause: often(60),
    }
}
