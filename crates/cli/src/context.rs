//! What the options and the environment mean on this machine: place, keys, folders.
//!
//! Usage errors come first, before any place is touched. What the ledger's standing says is heard
//! here once for all commands: reading goes on and ends with an exit code of its own, appending is
//! refused. DESIGN.md §9, §15.

use std::ffi::OsStr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use strongroom::{
    Alarm, Clock, Components, Elsewhere, Folders, Host, Kit, OsEntropy, Place, PlaceOptions,
    PlaceUrl, PlainHttp, Rates, RepairOptions, RepairStep, RequestCounts, SystemClock, Throttled,
    Vault, read_config, slots,
};

use crate::args::Common;
use crate::config::Config;
use crate::environment::Environment;
use crate::exit::{Exit, Failure, Result};
use crate::keys::{KeySource, Keys};
use crate::output::Output;
use crate::signals::{Signal, Signals};

/// What every command works with.
pub(crate) struct Context {
    pub(crate) common: Common,
    pub(crate) environment: Environment,
    pub(crate) config: Config,
    pub(crate) output: Output,
    pub(crate) signals: Signals,
    pub(crate) clock: Arc<dyn Clock>,
    /// What buckets were asked.
    pub(crate) requests: Arc<RequestCounts>,
    noted: Mutex<Exit>,
}

/// What a command does with a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Append,
}

impl Context {
    /// Looks around.
    pub(crate) fn new(
        common: Common,
        environment: Environment,
        config: Config,
        output: Output,
    ) -> Result<Self> {
        let signals = Signals::listen();
        let signals = signals.map_err(|error| Failure::local(Path::new("signals"), &error))?;
        Ok(Self {
            common,
            environment,
            config,
            output,
            signals,
            clock: Arc::new(SystemClock),
            requests: Arc::default(),
            noted: Mutex::new(Exit::Done),
        })
    }

    /// Opens the vault, with the keys that were named.
    pub(crate) fn open(&self, access: Access) -> Result<Vault> {
        self.open_limited(access, None)
    }

    /// The same, reading no more bytes than this in a second.
    pub(crate) fn open_limited(&self, access: Access, read: Option<NonZeroU64>) -> Result<Vault> {
        let url = self.place_url()?;
        let keys = KeySource::choose(self)?;
        self.open_at(&url, keys, access, read)
    }

    /// Opens another vault to read from, with keys of its own.
    pub(crate) fn open_other(&self, url: &OsStr, keys: KeySource) -> Result<Vault> {
        self.open_at(&parse_url(url)?, keys, Access::Read, None)
    }

    /// Opens the vault at this place with a kit that was read.
    pub(crate) fn open_with_kit(&self, url: &PlaceUrl, kit: Kit) -> Result<Vault> {
        self.open_at(url, KeySource::Read(Box::new(kit)), Access::Read, None)
    }

    fn open_at(
        &self,
        url: &PlaceUrl,
        keys: KeySource,
        access: Access,
        read: Option<NonZeroU64>,
    ) -> Result<Vault> {
        let components = self.limited(self.place_at(url)?, read);
        let Keys { keyring, seen } = keys.keys(self, components.place.as_ref())?;
        let (folders, host) = (self.folders()?, &self.environment.host);
        let vault = Vault::open_knowing(components, &folders, keyring, host, seen)?;
        self.hear_alarms(&vault, access)?;
        self.check_stopped()?;
        Ok(vault)
    }

    /// Opens a copy that is to be recovered from, whatever its ledger's standing; gives what this
    /// host gives to the vault that it makes of it.
    pub(crate) fn open_survivor(&self, place: Arc<dyn Place>) -> Result<(Vault, Host)> {
        let keys = KeySource::choose(self)?;
        let components = self.components(place);
        let Keys { keyring, seen } = keys.keys(self, components.place.as_ref())?;
        let host = Host { folders: self.folders()?, label: self.environment.host.clone(), seen };
        let Host { folders, label, .. } = &host;
        let vault = Vault::open_knowing(components, folders, keyring, label, seen)?;
        self.check_stopped()?;
        Ok((vault, host))
    }

    /// Opens a vault that may be damaged; gives what was put back for that.
    pub(crate) fn open_for_repair(
        &self,
        options: &RepairOptions,
        others: &[Arc<dyn Place>],
    ) -> Result<(Vault, Vec<RepairStep>)> {
        let url = self.place_url()?;
        let keys = KeySource::choose(self)?;
        let components = self.components(self.place_at(&url)?);
        // Config and key slots may be what is damaged: a copy of them opens as well.
        let mut places = std::iter::once(&components.place).chain(others);
        let has_keys = |place: &&Arc<dyn Place>| {
            read_config(place.as_ref()).is_ok()
                && slots(place.as_ref()).is_ok_and(|slots| !slots.is_empty())
        };
        let with_keys = places.clone().find(has_keys);
        let readable = || places.find(|place| read_config(place.as_ref()).is_ok());
        let with_keys = with_keys.or_else(readable).unwrap_or(&components.place);
        let Keys { keyring, .. } = keys.keys(self, with_keys.as_ref())?;
        let (folders, host) = (self.folders()?, &self.environment.host);
        let elsewhere = Elsewhere::new(others.to_vec());
        let opened =
            Vault::open_for_repair(components, &folders, keyring, host, options, &elsewhere)?;
        self.check_stopped()?;
        Ok(opened)
    }

    /// Opens the place alone, for what needs no key, reading no more bytes than this in a second.
    pub(crate) fn open_place_limited(&self, read: Option<NonZeroU64>) -> Result<Components> {
        self.open_place_at(&self.place_url()?, read)
    }

    /// Opens a place beside the vault's, reading no more bytes than this in a second.
    pub(crate) fn open_place_at(
        &self,
        url: &PlaceUrl,
        read: Option<NonZeroU64>,
    ) -> Result<Components> {
        Ok(self.limited(self.place_at(url)?, read))
    }

    /// Opens the place for a new vault; it is made when it is not there.
    pub(crate) fn create_place(&self) -> Result<Components> {
        let url = self.place_url()?;
        Ok(self.components(self.create_place_at(&url)?))
    }

    /// Opens a place; it is made when it is not there.
    pub(crate) fn create_place_at(&self, url: &PlaceUrl) -> Result<Arc<dyn Place>> {
        Ok(strongroom::create_place(url, &self.place_options()?, self.clock.clone())?)
    }

    /// Opens a place.
    pub(crate) fn place_at(&self, url: &PlaceUrl) -> Result<Arc<dyn Place>> {
        Ok(strongroom::open_place(url, &self.place_options()?, self.clock.clone())?)
    }

    /// How places are to be reached.
    pub(crate) fn place_options(&self) -> Result<PlaceOptions> {
        let Common { connections, limit_upload, limit_download, ca_file, plain_http, .. } =
            &self.common;
        let certificates = match ca_file {
            None => None,
            Some(path) => {
                let pem = std::fs::read(path).map_err(|error| Failure::local(path, &error))?;
                Some(pem.into())
            }
        };
        let usual = PlaceOptions::default();
        Ok(PlaceOptions {
            connections: NonZeroUsize::new((*connections).into()).unwrap_or(usual.connections),
            rates: Rates { upload: *limit_upload, download: *limit_download },
            certificates,
            plain_http: if *plain_http { PlainHttp::Anywhere } else { PlainHttp::Loopback },
            counts: self.requests.clone(),
            lock: self.common.lock()?,
            ..usual
        })
    }

    /// The host's folders. Those that were not named and cannot be made are gone without.
    pub(crate) fn folders(&self) -> Result<Folders> {
        let Environment { cache, state, .. } = &self.environment;
        let cache = self.folder("a cache", &self.common.cache_dir, cache)?;
        let state = self.folder("a memory of what was seen", &self.common.state_dir, state)?;
        Ok(Folders { cache, state })
    }

    /// Where the vault lies.
    pub(crate) fn place_url(&self) -> Result<PlaceUrl> {
        let named = self.common.vault.as_ref().or(self.environment.vault.as_ref());
        let Some(named) = named else {
            let hint = "give --vault URL or set STRONGROOM_VAULT, such as --vault /srv/vault";
            return Err(Failure::usage("no vault is named", hint));
        };
        parse_url(named)
    }

    /// The vault's folder, when it lies in one that exists: its real path.
    pub(crate) fn vault_folder(&self) -> Option<PathBuf> {
        match self.place_url() {
            Ok(PlaceUrl::Folder(path)) => path.canonicalize().ok(),
            _ => None,
        }
    }

    /// The folder of this host's cache, when it exists: its real path.
    pub(crate) fn cache_folder(&self) -> Option<PathBuf> {
        let folder = self.common.cache_dir.as_ref().or(self.environment.cache.as_ref());
        folder?.canonicalize().ok()
    }

    /// What no restore may delete: the vault, this host's folders, the key.
    pub(crate) fn own_paths(&self) -> Vec<PathBuf> {
        let Common { cache_dir, state_dir, key, kit, passphrase_file, .. } = &self.common;
        let Environment { cache, state, keys, .. } = &self.environment;
        let files = [key, kit, &keys.key, passphrase_file];
        let folders = [cache_dir, state_dir, cache, state].into_iter().chain(files);
        let vault = self.vault_folder();
        folders.flatten().cloned().chain(vault).collect()
    }

    /// What the source of a backup is called by default: as the host's member, else as the host.
    pub(crate) fn default_name(&self, vault: &Vault) -> String {
        let member = vault.keyring().member_id().ok();
        let ledger = vault.ledger();
        let label = member.and_then(|id| ledger.state().member(id)?.label.clone());
        label.unwrap_or_else(|| self.environment.host.clone())
    }

    /// An error when a signal asked to stop.
    pub(crate) fn check_stopped(&self) -> Result<()> {
        match self.signals.received() {
            Some(_) => Err(Failure::cancelled()),
            None => Ok(()),
        }
    }

    /// The signal that asked to stop.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.signals.received()
    }

    /// What the run must not end better than.
    pub(crate) fn noted(&self) -> Exit {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limited(&self, place: Arc<dyn Place>, read: Option<NonZeroU64>) -> Components {
        let rates = Rates { upload: None, download: read };
        self.components(match read {
            Some(_) => Arc::new(Throttled::new(place, rates, self.clock.clone())),
            None => place,
        })
    }

    pub(crate) fn components(&self, place: Arc<dyn Place>) -> Components {
        Components { place, clock: self.clock.clone(), entropy: Arc::new(OsEntropy) }
    }

    fn folder(
        &self,
        what: &str,
        typed: &Option<PathBuf>,
        usual: &Option<PathBuf>,
    ) -> Result<Option<PathBuf>> {
        if let Some(path) = typed {
            make_private(path).map_err(|error| Failure::local(path, &error))?;
            return Ok(Some(path.clone()));
        }
        let Some(path) = usual else {
            self.output.note(&format!("there is no home folder: going on without {what}"));
            return Ok(None);
        };
        match make_private(path) {
            Ok(()) => Ok(Some(path.clone())),
            Err(error) => {
                let (path, error) = (path.display(), crate::exit::plain(&error));
                self.output.note(&format!("{path}: {error}: going on without {what}"));
                Ok(None)
            }
        }
    }

    /// The break that was heard of is settled.
    pub(crate) fn forgive_break(&self) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if *noted == Exit::Conflict {
            *noted = Exit::Done;
        }
    }

    /// Says what of the vault could not be read and did not stop the work.
    pub(crate) fn hear_warnings(&self, vault: &Vault) {
        let warnings = vault.warnings();
        let Some((last, others)) = warnings.split_last() else { return };
        for text in others {
            self.output.warning(text);
        }
        let hint = "`strongroom verify` names the objects that are damaged";
        self.output.warning_with_hint(last, hint);
    }

    /// Something was found that the run must not end better than.
    pub(crate) fn note_exit(&self, exit: Exit) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        *noted = noted.and(exit);
    }

    /// Refuses to append where the standing forbids it; else says what is wrong and notes it.
    pub(crate) fn hear_alarms(&self, vault: &Vault, access: Access) -> Result<()> {
        let ledger = vault.ledger();
        let standing = ledger.standing();
        if access == Access::Append
            && let Some(error) = standing.forbids_append()
        {
            return Err(error.into());
        }
        for alarm in &standing.alarms {
            let exit = match alarm {
                Alarm::Break(_) => Exit::Conflict,
                Alarm::RolledBack { .. } | Alarm::Forked { .. } => Exit::Tampered,
                Alarm::NewerFormat { .. } => Exit::Done,
                Alarm::Replica { .. } | Alarm::HeadForgotten { .. } => {
                    self.output.note(&alarm.to_string());
                    continue;
                }
            };
            match crate::exit::alarm_hint(alarm) {
                Some(hint) => self.output.warning_with_hint(&alarm.to_string(), hint),
                None => self.output.warning(&alarm.to_string()),
            }
            self.note_exit(exit);
        }
        Ok(())
    }
}

/// A place as it was typed; a folder's name need not be text.
pub(crate) fn parse_url(typed: &OsStr) -> Result<PlaceUrl> {
    match typed.to_str() {
        Some(text) => Ok(text.parse::<PlaceUrl>()?),
        None => Ok(PlaceUrl::Folder(PathBuf::from(typed))),
    }
}

fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
