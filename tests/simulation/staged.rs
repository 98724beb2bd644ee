//! Plays whose order is written down, for what chance meets too rarely: a collector stands still
//! right after its suspicion while others act. The vaults, their place and the oracle are the same
//! as in any play; a seed decides the contents, the names, and where the collector is interrupted.
//!
//! One part runs the script, as several hosts one after another; the other is the collector. The
//! script lets it go, looks on until its suspicion stands, holds it, and lets it go again. When it
//! was too fast to be held, the play ends without a finding, and another seed is tried.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crypto::{Digest, SessionId};
use format::{ChunkId, ChunkKind, ChunkRef, Kind, VaultNames};
use ledger::Draft;
use testkit::simulation::{Bucket, Dice, Part, Turns, Weather};
use vault::{CommitOutcome, Compression, Error, Result, Rules, Vault, WriteOptions, Writer};

use crate::actors::collector::{Collector, Packs, Patience};
use crate::actors::gremlin::{flip, heal};
use crate::actors::writer::draft;
use crate::actors::{Actor, Homes, Host, Stage, inspector, keeper};
use crate::base::{Base, Key, START};
use crate::oracle::{Oracle, Shared, judge_end, lock, look};
use crate::trees::{self, Files, Tree};

/// What happens to the collection, or while it stands still.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// What it suspects is stored anew, and another collection looks at the new copy.
    Restored,
    /// What it suspects has one other copy, and that is lost: the ledger says so before the
    /// collection begins, or after its suspicion.
    Bereaved,
    /// No pause: a session's base is purged and a collection runs before the session inherits.
    Undermined,
    /// No pause: a collection runs while the metadata of a snapshot is damaged.
    Damaged,
}

const SCRIPT: usize = 0;
const COLLECTOR: usize = 1;
const TURNS_MAX: u64 = 5_000;
/// How often the script looks whether the collector suspects something.
const LOOKS_MAX: usize = 100;
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Plays a scene. Gives the rule that was seen broken.
pub(crate) fn play_scene(seed: u64, rules: Rules, scene: Scene) -> Option<String> {
    let mut dice = Dice::new(seed);
    let turns = Arc::new(Turns::new(dice.split(), START, 2, TURNS_MAX));
    let bucket = Arc::new(Bucket::new(turns.clone(), &Base::get().objects));
    let register = Shared::default();
    bucket.watch(Box::new(Oracle::new(bucket.objects().clone(), register.clone())));
    let stage = Stage {
        turns: turns.clone(),
        bucket: bucket.clone(),
        register: register.clone(),
        rules,
        weather: Weather::default(),
        homes: Homes::None,
    };
    let mut collector = Host::new(&stage, COLLECTOR, Key::Collector(0), dice.split());
    let mut script = Script { stage: &stage, dice };
    turns.hold(COLLECTOR, FOREVER);
    let parts: Vec<Part<'_>> = vec![
        Box::new(move || script.run(scene)),
        Box::new(move || {
            let ended = collect(&mut collector);
            expect_done(&collector.turns, ended);
        }),
    ];
    let played = turns.play(parts);
    played.and_then(|()| judge_end(bucket.objects(), &lock(&register))).err()
}

/// In fair weather every call succeeds, until somebody sees a rule broken and stops the play. A
/// record that the ledger itself keeps void, without the rule that is off, does no harm.
fn expect_done(turns: &Turns, ended: Result<()>) {
    match ended {
        Ok(()) | Err(Error::Ledger(ledger::Error::Void { .. })) => {}
        Err(error) => turns.stop(error.to_string()),
    }
}

fn collect(host: &mut Host) -> Result<()> {
    let mut vault = host.begin()?;
    Collector { patience: Patience::None, packs: Packs::Stay }.act(host, &mut vault)
}

struct Script<'a> {
    stage: &'a Stage,
    dice: Dice,
}

impl Script<'_> {
    fn run(&mut self, scene: Scene) {
        let contents = 1 + self.dice.below(20);
        let files = trees::changed(&Files::new(), contents, &mut self.dice);
        let ended = match scene {
            Scene::Restored => self.restored(&files),
            Scene::Bereaved => self.bereaved(&files),
            Scene::Undermined => self.undermined(&files),
            Scene::Damaged => self.damaged(&files),
        };
        self.stage.turns.hold(COLLECTOR, Duration::ZERO);
        expect_done(&self.stage.turns, ended);
    }

    fn restored(&mut self, files: &Files) -> Result<()> {
        let first = self.back_up(0, files)?;
        self.purge(first)?;
        if self.suspects()?.is_empty() {
            return Ok(());
        }
        self.back_up(1, files)?;
        self.collect()
    }

    fn bereaved(&mut self, files: &Files) -> Result<()> {
        let copies = self.back_up_twice(files)?;
        let (inspector, mut vault) = self.host(Key::Reader)?;
        let mut lost = self.dice.pick(&copies).copied().filter(|_| self.dice.chance(1, 2));
        if let Some(lost) = lost {
            vault.ledger().append_one(Draft::on_packs(Kind::Lost, [lost]))?;
        }
        let suspects = self.suspects()?;
        vault.refresh()?;
        if lost.is_none() {
            lost = copies.iter().find(|copy| !suspects.contains(copy)).copied();
            let Some(lost) = lost.filter(|_| !suspects.is_empty()) else { return Ok(()) };
            vault.ledger().append_one(Draft::on_packs(Kind::Lost, [lost]))?;
        }
        if let Some(lost) = lost {
            inspector::destroy_spare(&inspector, &lost);
        }
        Ok(())
    }

    fn undermined(&mut self, files: &Files) -> Result<()> {
        let base = self.back_up(0, files)?;
        let (host, mut vault) = self.host(Key::Writer(1))?;
        let mut writer = vault.write(WriteOptions { base: Some(base), ..options() })?;
        self.purge(base)?;
        self.collect()?;
        let tree = lock(&host.register).trees.get(&base).cloned();
        let root = store(&host, &writer, files, tree.as_ref())?;
        commit(&host, &mut writer, root).map(drop)
    }

    fn damaged(&mut self, files: &Files) -> Result<()> {
        let snapshot = self.back_up(0, files)?;
        let objects = self.stage.bucket.objects();
        let tree = lock(&self.stage.register).trees.get(&snapshot).cloned();
        let Some(tree) = tree else { return Ok(()) };
        let root = ChunkRef { kind: ChunkKind::Node, id: tree.root };
        let packs = look(objects)?.reader()?.packs_of(tree.domain, root)?;
        let names: Vec<_> = packs.iter().map(VaultNames::pack).collect();
        names.iter().for_each(|name| flip(objects, name));
        let ended = self.collect();
        names.iter().for_each(|name| heal(self.stage.bucket.objects(), name));
        ended
    }

    fn purge(&mut self, snapshot: SessionId) -> Result<()> {
        let (_, mut owner) = self.host(Key::Owner)?;
        owner.forget(&[snapshot])?;
        keeper::purge(&owner, &[snapshot])
    }

    /// Another collection than the one that is held, from its beginning to its end.
    fn collect(&mut self) -> Result<()> {
        let (mut other, mut vault) = self.host(Key::Collector(1))?;
        Collector { patience: Patience::None, packs: Packs::Stay }.act(&mut other, &mut vault)
    }

    fn host(&mut self, key: Key) -> Result<(Host, Vault)> {
        let mut host = Host::new(self.stage, SCRIPT, key, self.dice.split());
        let vault = host.begin()?;
        Ok((host, vault))
    }

    /// Lets the collector go until packs lie under its suspicion, and holds it there. Gives them;
    /// none when it was too fast.
    fn suspects(&mut self) -> Result<BTreeSet<Digest>> {
        let Stage { turns, bucket, .. } = self.stage;
        turns.hold(COLLECTOR, Duration::ZERO);
        for _ in 0..LOOKS_MAX {
            turns.pass(SCRIPT, Duration::ZERO);
            let vault = look(bucket.objects())?;
            let ledger = vault.ledger();
            let suspects: BTreeSet<_> =
                ledger.state().suspicions().flat_map(|(_, packs)| packs).copied().collect();
            if !suspects.is_empty() {
                turns.hold(COLLECTOR, FOREVER);
                return Ok(suspects);
            }
        }
        Ok(BTreeSet::new())
    }

    fn back_up(&mut self, writer: usize, files: &Files) -> Result<SessionId> {
        let (host, mut vault) = self.host(Key::Writer(writer))?;
        let mut writer = vault.write(options())?;
        let root = store(&host, &writer, files, None)?;
        commit(&host, &mut writer, root)
    }

    /// Two writers store the same at once. Gives the packs that hold the same content.
    fn back_up_twice(&mut self, files: &Files) -> Result<Vec<Digest>> {
        let (one, mut vault) = self.host(Key::Writer(0))?;
        let (other, mut second_vault) = self.host(Key::Writer(1))?;
        let mut writer = vault.write(options())?;
        let mut second_writer = second_vault.write(options())?;
        let domain = writer.domain();
        let root = store(&one, &writer, files, None)?;
        let second_root = store(&other, &second_writer, files, None)?;
        commit(&one, &mut writer, root)?;
        commit(&other, &mut second_writer, second_root)?;
        let reader = look(self.stage.bucket.objects())?.reader()?;
        let chunks = trees::chunks(&reader, domain, root)?;
        let content = chunks.into_iter().find(|chunk| chunk.kind == ChunkKind::Content);
        content.map_or(Ok(Vec::new()), |chunk| reader.packs_of(domain, chunk))
    }
}

fn options() -> WriteOptions {
    WriteOptions { compression: Compression::None, ..WriteOptions::default() }
}

fn store(host: &Host, writer: &Writer, files: &Files, base: Option<&Tree>) -> Result<ChunkId> {
    let tree = trees::write(writer, files, base, || {})?;
    let root = tree.root;
    lock(&host.register).trees.insert(writer.session(), tree);
    Ok(root)
}

fn commit(host: &Host, writer: &mut Writer, root: ChunkId) -> Result<SessionId> {
    let CommitOutcome::Committed(committed) = writer.commit(draft(host, root))? else {
        panic!("nothing that a session of the script relies on comes under suspicion")
    };
    lock(&host.register).acknowledged.insert(committed.snapshot, committed.seq);
    Ok(committed.snapshot)
}
