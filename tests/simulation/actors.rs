//! Who acts. Each actor is one host: a process that opens the vault, does its work for a while, and
//! ends or dies; then another process of the same host begins. It finds the state and cache folder
//! of those before it, or none, when its host keeps none or lost them. A folder loses no write
//! here: a process dies between its calls of the place, and state files are replaced whole.

// Writes snapshots.
pub(crate) mod writer;

// Forgets, brings back and purges.
pub(crate) mod keeper;

// Frees space.
pub(crate) mod collector;

// Copies.
pub(crate) mod replicator;

// Restores.
pub(crate) mod reader;

// Says what is lost, and loses it.
pub(crate) mod inspector;

// Damages what lies in the place.
pub(crate) mod gremlin;

// Writes into another domain, and means harm.
pub(crate) mod stranger;

use std::sync::Arc;
use std::time::Duration;

use crypto::SeededEntropy;
use places::{Clock, Place, RetryPolicy, Retrying};
use tempfile::TempDir;
use testkit::simulation::{Bucket, Dice, SimulatedClock, SimulatedPlace, Turns, Weather};
use vault::{Components, Folders, Rules, Vault};

use crate::base::{Base, Key};
use crate::oracle::{Shared, check_acknowledged, lock};

/// What an actor does with a vault that is open.
pub(crate) trait Actor: Send {
    /// One piece of work.
    fn act(&mut self, host: &mut Host, vault: &mut Vault) -> vault::Result<()>;
}

/// Where an actor lives.
pub(crate) struct Host {
    pub(crate) number: usize,
    pub(crate) dice: Dice,
    pub(crate) register: Shared,
    pub(crate) turns: Arc<Turns>,
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rules: Rules,
    key: Key,
    weather: Weather,
    home: Home,
    process: Option<Arc<SimulatedPlace>>,
}

/// What all hosts of a play have in common.
pub(crate) struct Stage {
    pub(crate) turns: Arc<Turns>,
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) register: Shared,
    pub(crate) rules: Rules,
    pub(crate) weather: Weather,
    pub(crate) homes: Homes,
}

/// Which hosts have a state and a cache folder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Homes {
    /// No host.
    None,
    /// Drawn for each host.
    Any,
}

/// What is left of a process for the next one of its host.
enum Home {
    Nothing,
    /// Always the same folder.
    Kept(TempDir),
    /// A folder that is lost at times.
    Fragile(TempDir),
}

impl Home {
    fn drawn(dice: &mut Dice) -> Self {
        match dice.below(6) {
            0 => Self::Kept(folder()),
            1 => Self::Fragile(folder()),
            _ => Self::Nothing,
        }
    }

    /// The folders that a new process finds.
    fn folders(&mut self, dice: &mut Dice) -> Folders {
        if let Self::Fragile(kept) = self
            && dice.chance(1, 3)
        {
            *kept = folder();
        }
        let (Self::Kept(kept) | Self::Fragile(kept)) = self else { return Folders::default() };
        let below = |name| Some(kept.path().join(name));
        // A cache may be missing at any time.
        let cache = below("cache").filter(|_| dice.chance(2, 3));
        Folders { cache, state: below("state") }
    }
}

fn folder() -> TempDir {
    testkit::small_folder().expect("a test has a folder for what is temporary")
}

const HOUR: Duration = Duration::from_secs(3600);

impl Host {
    pub(crate) fn new(stage: &Stage, number: usize, key: Key, mut dice: Dice) -> Self {
        let wrong_by =
            if dice.chance(1, 4) { HOUR * dice.below(2000) as u32 } else { Duration::ZERO };
        let home = match stage.homes {
            Homes::None => Home::Nothing,
            Homes::Any => Home::drawn(&mut dice),
        };
        Self {
            number,
            dice,
            register: stage.register.clone(),
            turns: stage.turns.clone(),
            bucket: stage.bucket.clone(),
            clock: Arc::new(SimulatedClock::new(stage.turns.clone(), number, wrong_by)),
            rules: stage.rules,
            key,
            weather: stage.weather,
            home,
            process: None,
        }
    }

    /// Acts so often, in as many processes as it takes.
    pub(crate) fn live(&mut self, actor: &mut dyn Actor, rounds: u64) {
        let mut vault = None;
        for _ in 0..rounds {
            self.rest();
            if self.turns.is_stopped() {
                return;
            }
            if vault.is_none() {
                vault = self.begin().ok();
            }
            if let Some(open) = &mut vault {
                let ended = actor.act(self, open);
                let died = self.process.as_ref().is_some_and(|process| process.is_dead());
                if died && !self.turns.is_stopped() {
                    lock(&self.register).counts.crashes += 1;
                }
                if died || ended.is_err() || self.dice.chance(1, 4) {
                    vault = None;
                }
            }
        }
    }

    /// Lets time pass: none, a moment, hours, days.
    pub(crate) fn rest(&mut self) {
        let scale = *self.dice.pick(&[0, 0, 10, 3600, 86_400, 500_000]).unwrap_or(&0);
        let rest = Duration::from_secs(self.dice.below(scale + 1));
        self.turns.pass(self.number, rest);
    }

    /// A new process's handle on these objects.
    pub(crate) fn handle(&mut self, bucket: &Arc<Bucket>) -> Arc<SimulatedPlace> {
        let dice = self.dice.split();
        Arc::new(SimulatedPlace::new(bucket.clone(), self.number, self.weather, dice))
    }

    /// A new process of this host.
    pub(crate) fn begin(&mut self) -> vault::Result<Vault> {
        let process = self.handle(&self.bucket.clone());
        self.process = Some(process.clone());
        let place: Arc<dyn Place> = match self.dice.chance(1, 2) {
            true => {
                let seed = self.dice.draw();
                let policy = RetryPolicy { attempts: 4, ..RetryPolicy::default() };
                Arc::new(Retrying::new(process, policy, self.clock.clone(), seed))
            }
            false => process,
        };
        let components = Components {
            place,
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(self.dice.draw())),
        };
        let keyring = Base::get().keyring(self.key);
        let tampered = lock(&self.register).tampered.is_some();
        let folders = self.home.folders(&mut self.dice);
        let mut vault = Vault::open(components, &folders, keyring, "host")?;
        vault.set_rules(self.rules);
        if tampered && vault.ledger().standing().forbids_append().is_none() {
            // Who read the record in a bundle has it as it was.
            let known = check_acknowledged(vault.ledger().state(), &lock(&self.register));
            if let Err(lost) = known {
                self.turns.stop(format!("a changed record goes unnoticed: {lost}"));
            }
        }
        Ok(vault)
    }
}
