//! Repair: puts back what can be had from elsewhere in the vault, and destroys nothing.
//!
//! The config comes from its copy in the first record; records from bundles and from what this
//! host kept; bundles from the records; index runs from the packs' own directories; metadata packs
//! from this host's copies; and all but what is dropped from another copy of the vault, where one
//! is named. What is damaged is copied to a quarantine folder, and the copy read
//! back, before the right bytes take its place; without right bytes in hand nothing is touched.
//! Packs that nothing can give back are appended as `lost`; of a snapshot that they hurt, what is
//! readable goes into a new one that is marked incomplete. Each step stands on its own, so a
//! repair that was interrupted is simply run again. DESIGN §9, P3.

mod elsewhere;
mod quarantine;
mod records;
mod runs;
mod salvage;
mod versions;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use crypto::{Digest, Keyring, SessionId};
use format::{NamedObject, VaultNames};
use ledger::Components;
use places::ObjectName;

use crate::home::Folders;
use crate::pack_source::PackSource;
use crate::vault::Vault;
use crate::verify::{Reading, Reporting, UNLISTED, Verification, VerifyOptions, VerifyProgress};
use crate::{Error, Result};

pub use elsewhere::Elsewhere;
pub use salvage::{INCOMPLETE_TAG, is_incomplete};
pub use versions::repair_versions;

/// Whether a repair changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RepairMode {
    /// It does.
    #[default]
    Make,
    /// It says what it would do.
    Plan,
}

/// How to repair.
#[derive(Clone, Debug, Default)]
pub struct RepairOptions {
    /// How much is read to find damage: at least all but the packs.
    pub reading: Reading,
    /// Whether anything is changed.
    pub mode: RepairMode,
    /// Where damaged objects are kept; `None` for a folder beside the host's state.
    pub quarantine: Option<PathBuf>,
}

/// What a repair did.
#[derive(Clone, Debug, Default)]
pub struct Repair {
    /// Each thing that was wrong, in the order of the work.
    pub steps: Vec<Step>,
    /// Snapshots that still cannot be restored whole.
    pub hurt: Vec<SessionId>,
    /// What was found after the work; when nothing may be changed, what it would leave.
    pub verification: Verification,
}

/// One thing that was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The object's name, or what it is.
    pub object: String,
    /// What was wrong with it.
    pub wrong: String,
    /// What was done, would be done, or is left to do.
    pub action: String,
    /// How it ended.
    pub outcome: StepOutcome,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It is done.
    Done,
    /// It would be done.
    Planned,
    /// It is left: the action says what else may help.
    Left,
}

/// A repair under way.
struct Work<'a> {
    options: &'a RepairOptions,
    elsewhere: &'a Elsewhere,
    cancel: &'a AtomicBool,
    steps: Vec<Step>,
    /// Packs that were found damaged.
    bad_packs: HashSet<Digest>,
}

impl Vault {
    /// Opens a vault that may be damaged: when the first record is missing or damaged and this
    /// host kept it, or it lies elsewhere, that is put back first. Gives the steps that this took.
    ///
    /// # Errors
    /// As [`Vault::open`]; [`Error::OtherVault`] when another vault lies elsewhere.
    pub fn open_for_repair(
        components: Components,
        folders: &Folders,
        keyring: Keyring,
        label: &str,
        options: &RepairOptions,
        elsewhere: &Elsewhere,
    ) -> Result<(Self, Vec<Step>)> {
        elsewhere.check(keyring.vault_id())?;
        let mended = records::mend_genesis(&components, folders, &keyring, options, elsewhere)?;
        match (Self::open(components, folders, keyring, label), &mended[..]) {
            (Ok(vault), _) => Ok((vault, mended)),
            // What is only planned is not there to be opened.
            (Err(_), [step]) if step.outcome == StepOutcome::Planned => {
                let wrong = format!(
                    "{}; it would be {}; what else is wrong is known after that",
                    step.wrong, step.action
                );
                Err(Error::object(&step.object, wrong))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Repairs what can be repaired, with the keys at hand and what lies elsewhere. What a record
    /// dropped is not looked for.
    ///
    /// # Errors
    /// Errors of the place and the host's folders; [`Error::Stopped`] when it is cancelled. What
    /// cannot be repaired is no error but a step that is left.
    pub fn repair(
        &mut self,
        options: &RepairOptions,
        elsewhere: &Elsewhere,
        progress: &dyn VerifyProgress,
        cancel: &AtomicBool,
    ) -> Result<Repair> {
        let (steps, bad_packs) = (Vec::new(), HashSet::new());
        let mut work = Work { options, elsewhere, cancel, steps, bad_packs };
        self.repair_records(&mut work)?;
        if options.mode == RepairMode::Make {
            self.drop_caches()?;
        }
        self.repair_config(&mut work)?;
        self.repair_bundles(&mut work)?;
        self.fetch_slots(&mut work)?;
        self.fetch_missing_packs(&mut work)?;
        let reporting = match options.mode {
            RepairMode::Make => Reporting::Append,
            RepairMode::Plan => Reporting::Never,
        };
        // Runs first: what no run lists cannot be judged.
        self.rebuild_runs(&mut work)?;
        let verify = VerifyOptions { reading: options.reading, reporting };
        let mut check = self.inspect(&verify, progress, cancel)?;
        loop {
            let damaged: Vec<String> = check.damage.keys().cloned().collect();
            let any = self.restore_packs(&mut work, &damaged)?;
            if !any || options.mode != RepairMode::Make {
                break;
            }
            check = self.inspect(&verify, progress, cancel)?;
        }
        let mut found = self.conclude(check, reporting)?;
        if options.mode == RepairMode::Plan {
            work.take_planned(&mut found);
        }
        work.bad_packs = salvage::bad_packs(&found);
        work.say_what_is_left(&found);
        for snapshot in found.hurt.clone() {
            self.salvage(&mut work, snapshot)?;
        }
        Ok(Repair { steps: work.steps, hurt: found.hurt.clone(), verification: found })
    }

    /// Forgets what this host keeps of the index and the ledger's state.
    fn drop_caches(&mut self) -> Result<()> {
        self.home().drop_index_cache()?;
        self.forget_index();
        self.reopen_ledger()
    }

    fn repair_config(&mut self, work: &mut Work<'_>) -> Result<()> {
        let right = Bytes::copy_from_slice(self.ledger().state().config_bytes());
        let name = VaultNames::config();
        self.put_right(work, &name, right, "written from its copy in the first record")?;
        Ok(())
    }

    fn repair_bundles(&mut self, work: &mut Work<'_>) -> Result<()> {
        let damaged = self.ledger().damaged_bundles()?;
        for (name, right) in damaged {
            self.put_right(work, &name, right.into(), "made again from the records")?;
        }
        Ok(())
    }

    /// Puts back packs that this host kept whole, or that lie elsewhere.
    fn restore_packs(&mut self, work: &mut Work<'_>, damaged: &[String]) -> Result<bool> {
        let kept_in = PackSource::copies(self.home())?;
        let (mut any, mut wanted) = (false, Vec::new());
        for object in damaged {
            let Ok(name) = object.parse::<ObjectName>() else { continue };
            let Some(NamedObject::Pack(pack)) = NamedObject::parse(&name) else { continue };
            if work.is_planned(object) {
                continue;
            }
            let kept = kept_in.as_ref().and_then(|folder| kept_pack(folder, &pack));
            match kept {
                Some(right) => {
                    any |= self.put_right(work, &name, right, "put back from this host's copy")?;
                }
                None => wanted.push(pack),
            }
        }
        Ok(self.fetch_packs(work, &wanted)? || any)
    }

    /// Puts the right bytes under a name, whatever lies there. Says whether that changed anything,
    /// or would.
    fn put_right(
        &self,
        work: &mut Work<'_>,
        name: &ObjectName,
        right: Bytes,
        action: &str,
    ) -> Result<bool> {
        let place = self.components().place.as_ref();
        let folder = work.options.quarantine.clone().or_else(|| self.home().quarantine());
        let step = quarantine::replace(place, name, right, folder, work.options.mode)?;
        let step = step.map(|step| step.named(name, action));
        let is_changed = step.as_ref().is_some_and(|step| step.outcome != StepOutcome::Left);
        work.steps.extend(step);
        Ok(is_changed)
    }
}

/// A metadata pack of which this host kept a copy that is whole.
fn kept_pack(folder: &Path, pack: &Digest) -> Option<Bytes> {
    let kept = std::fs::read(folder.join(pack.to_string())).ok()?;
    let object = kept.get(crypto::KEPT_KEY_BYTES..)?;
    (Digest::of(object) == *pack).then(|| Bytes::copy_from_slice(object))
}

impl Work<'_> {
    fn step(&mut self, object: &str, wrong: impl Into<String>, done: impl Into<String>) {
        let outcome = match self.options.mode {
            RepairMode::Make => StepOutcome::Done,
            RepairMode::Plan => StepOutcome::Planned,
        };
        self.push(object, wrong.into(), done.into(), outcome);
    }

    fn left(&mut self, object: &str, wrong: impl Into<String>, action: impl Into<String>) {
        self.push(object, wrong.into(), action.into(), StepOutcome::Left);
    }

    fn push(&mut self, object: &str, wrong: String, action: String, outcome: StepOutcome) {
        self.steps.push(Step { object: object.to_owned(), wrong, action, outcome });
    }

    /// Whether an object would be put right by a step before.
    fn is_planned(&self, object: &str) -> bool {
        let is_of = |step: &&Step| step.object == object && step.outcome == StepOutcome::Planned;
        self.steps.iter().any(|step| is_of(&step))
    }

    /// Takes what would be put right out of what was found.
    fn take_planned(&self, found: &mut Verification) {
        found.damage.retain(|damage| !self.is_planned(&damage.object));
        let damage = &found.damage;
        found.hurt.retain(|hurt| damage.iter().any(|damage| damage.snapshots.contains(hurt)));
    }

    /// Names what is still wrong, and what else may help.
    fn say_what_is_left(&mut self, found: &Verification) {
        // What only a missing run lists is told of with the run.
        for damage in found.damage.iter().filter(|damage| damage.reason != UNLISTED) {
            let object = damage.object.parse::<ObjectName>().ok();
            let action = match object.as_ref().and_then(NamedObject::parse) {
                Some(NamedObject::Pack(_)) if damage.snapshots.is_empty() => {
                    // Nothing needs it, and the ledger says that it is lost.
                    self.step(&damage.object, &damage.reason, "noted as lost; no snapshot is hurt");
                    continue;
                }
                Some(NamedObject::Pack(_)) if self.elsewhere.is_empty() => {
                    "lost: the next backup stores again what the source still has; a copy of the \
                     vault may have it: --from URL"
                }
                Some(NamedObject::Pack(_)) => {
                    "lost, and no place of --from has it whole: the next backup stores again what \
                     the source still has"
                }
                Some(NamedObject::Slot(_)) => {
                    "another slot, key file or the kit opens the vault; make a new slot with it"
                }
                Some(NamedObject::Config | NamedObject::Run(_)) => {
                    "use the owner's key, which can rebuild it"
                }
                _ => "bring it back from a copy of the vault: --from URL",
            };
            if !self.steps.iter().any(|step| step.object == damage.object) {
                self.left(&damage.object, &damage.reason, action);
            }
        }
    }

    fn go_on(&self) -> Result<()> {
        match self.cancel.load(std::sync::atomic::Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Error::Stopped {
                reason: "the repair was cancelled".into(),
                kind: crate::ErrorKind::Unavailable,
            }),
        }
    }
}
