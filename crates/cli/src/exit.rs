//! How a run ends: exit codes, and errors with the next step.
//!
//! This is the one place where kinds of errors become exit codes and hints. A hint names only
//! commands that this version has. DESIGN.md §15.

use std::io::ErrorKind::AlreadyExists;
use std::process::ExitCode;

use strongroom::{
    Alarm, Error, ErrorKind, FilesError, KeyError, LedgerError, Obstacle, PathText, PlaceError,
    PlaceErrorKind, PlaceUrl, ReplicaError, VaultError, VaultErrorKind,
};

use crate::signals::Signal;

/// The result of a command, or of a part of it.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    Usage,
    Incomplete,
    Tampered,
    Denied,
    Unavailable,
    Conflict,
    Stopped(Signal),
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Tampered => 4,
            Self::Denied => 5,
            Self::Unavailable => 6,
            Self::Conflict => 7,
            Self::Stopped(Signal::Interrupt) => 130,
            Self::Stopped(Signal::Terminate) => 143,
        }
    }

    /// Where several hold, the one that counts: signals, then 4, 5, 6, 7, then 2, 1, 3.
    pub(crate) fn and(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Stopped(_) => 0,
            Self::Tampered => 1,
            Self::Denied => 2,
            Self::Unavailable => 3,
            Self::Conflict => 4,
            Self::Usage => 5,
            Self::Failed => 6,
            Self::Incomplete => 7,
            Self::Done => 8,
        };
        if rank(other) < rank(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command did not do what was asked, and what to do next.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// For programs: a word.
    pub(crate) kind: &'static str,
    /// The thing and the numbers.
    pub(crate) message: String,
    /// The next step.
    pub(crate) hint: String,
    /// The exit code.
    pub(crate) exit: Exit,
}

impl Failure {
    /// Something that was typed makes no sense.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("usage", Exit::Usage, message, hint)
    }

    /// Something on this machine did not work.
    pub(crate) fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("local", Exit::Failed, message, hint)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("not-found", Exit::Failed, message, hint)
    }

    /// A place does not answer.
    pub(crate) fn unavailable(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("unavailable", Exit::Unavailable, message, hint)
    }

    /// Something in the vault is damaged.
    pub(crate) fn damaged(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("corrupt", Exit::Tampered, message, hint)
    }

    /// The key does not allow it.
    pub(crate) fn denied(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("denied", Exit::Denied, message, hint)
    }

    /// A file of this machine.
    pub(crate) fn local(path: &std::path::Path, error: &std::io::Error) -> Self {
        let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
        let message = format!("{}: {}", PathText::new(bytes), plain(error));
        Self::new("local", Exit::Failed, message, "check that it exists and what its mode allows")
    }

    /// Standard output took no more.
    pub(crate) fn output(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::BrokenPipe => CLOSED_OUTPUT,
            _ => "local",
        };
        let message = format!("standard output: {}", plain(&error));
        Self::new(kind, Exit::Failed, message, "check where the output goes")
    }

    /// What clap says of `command`, in our words.
    pub(crate) fn usage_of_clap(error: &clap::Error, command: &str) -> Self {
        let text = error.render().to_string();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let mut message = Vec::new();
        for line in lines.iter().take_while(|line| !line.is_empty()) {
            message.push(line.strip_prefix("error: ").unwrap_or(line));
        }
        let tip = lines.iter().find_map(|line| line.strip_prefix("tip: "));
        let help = format!("`{command} --help` lists what it takes");
        let hint = tip.map_or_else(|| help.clone(), |tip| format!("{tip}; {help}"));
        let (message, hint) = match error.kind() {
            clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | clap::error::ErrorKind::MissingSubcommand => {
                let message = format!("`{command}` needs a command");
                (message, format!("`{command} --help` lists the commands"))
            }
            _ => (message.join(" "), hint),
        };
        Self::usage(message, hint)
    }

    /// The same, with another next step.
    #[must_use]
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same when the work was stopped, with what was kept.
    #[must_use]
    pub(crate) fn when_stopped(self, kept: &str) -> Self {
        if self.kind == CANCELLED { self.with_hint(kept) } else { self }
    }

    /// The work was stopped by a signal.
    pub(crate) fn stopped_by(self, signal: Signal) -> Self {
        if self.kind != CANCELLED {
            return self;
        }
        let name = match signal {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
        };
        Self { message: format!("stopped by {name}"), exit: Exit::Stopped(signal), ..self }
    }

    /// The work was stopped.
    pub(crate) fn cancelled() -> Self {
        Self::new(CANCELLED, Exit::Failed, "stopped on request", "run the command again")
    }

    /// Whether nobody reads what we print any more.
    pub(crate) fn is_closed_output(&self) -> bool {
        self.kind == CLOSED_OUTPUT
    }

    fn new(
        kind: &'static str,
        exit: Exit,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { kind, message: without_numbers(&message.into()), hint: hint.into(), exit }
    }
}

const CANCELLED: &str = "cancelled";
const CLOSED_OUTPUT: &str = "closed-output";

/// What the system says, without its number.
pub(crate) fn plain(error: &std::io::Error) -> String {
    without_numbers(&error.to_string())
}

/// A text without the numbers of the system's errors, whose words stand before them.
fn without_numbers(text: &str) -> String {
    const BEGIN: &str = " (os error ";
    let Some(at) = text.find(BEGIN) else { return text.to_owned() };
    let rest = &text[at + BEGIN.len()..];
    let end = rest.find(')').map_or("", |end| &rest[end + 1..]);
    format!("{}{}", &text[..at], without_numbers(end))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (kind, exit) = match error.kind() {
            ErrorKind::NotFound => ("not-found", Exit::Failed),
            ErrorKind::Conflict => ("conflict", Exit::Conflict),
            ErrorKind::Corrupt => ("corrupt", Exit::Tampered),
            ErrorKind::Denied => ("denied", Exit::Denied),
            ErrorKind::Unavailable => ("unavailable", Exit::Unavailable),
            ErrorKind::Full => ("full", Exit::Unavailable),
            ErrorKind::Invalid => ("invalid", Exit::Usage),
            ErrorKind::Cancelled => (CANCELLED, Exit::Failed),
            _ => ("local", Exit::Failed),
        };
        let exit = match &error {
            // Nothing was typed wrong: things just are not so.
            Error::Files(FilesError::WrongKind { .. })
            | Error::Ledger(LedgerError::NotBroken | LedgerError::NothingLost) => Exit::Failed,
            // A disk that is not mounted looks so.
            Error::Place(PlaceError::Folder { kind: PlaceErrorKind::NotFound, .. })
            | Error::Replica(ReplicaError::Place(PlaceError::Folder {
                kind: PlaceErrorKind::NotFound,
                ..
            })) => Exit::Unavailable,
            _ => exit,
        };
        Self::new(kind, exit, error.to_string(), hint(&error))
    }
}

macro_rules! failures_of {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Error::from(error).into()
            }
        })*
    };
}

failures_of!(FilesError, KeyError, LedgerError, PlaceError, ReplicaError, VaultError);

/// The next step after an error.
fn hint(error: &Error) -> &'static str {
    let special = match error {
        Error::Vault(error) => vault_hint(error),
        Error::Files(FilesError::Vault(error)) => vault_hint(error),
        Error::Files(error) => files_hint(error),
        Error::Place(error) => place_hint(error),
        Error::Ledger(error) => ledger_hint(error),
        Error::Keys(error) => key_hint(error),
        Error::Loss { .. } => Some(LOSS),
        Error::Replica(error) => replica_hint(error),
        Error::NotBuilt { .. } => Some("name a folder, such as --vault /srv/vault"),
        _ => None,
    };
    special.unwrap_or(match error.kind() {
        ErrorKind::NotFound => "check the name; `strongroom snapshots` lists what the vault holds",
        ErrorKind::Conflict => "run the command again; `strongroom ledger log` shows what happened",
        ErrorKind::Corrupt => "run `strongroom verify --data` to see which files it hurts",
        ErrorKind::Denied => {
            "use a key whose role allows it; `strongroom key list` shows the roles"
        }
        ErrorKind::Unavailable => "check the place, then run it again: what was stored is kept",
        ErrorKind::Full => "make room at the place, then run it again: what was stored is kept",
        ErrorKind::Invalid => "check what was typed against the command's --help",
        ErrorKind::Cancelled => "run the command again",
        _ => "check the path, its mode and the space on its disk",
    })
}

const NO_VAULT: &str = "check how it is spelled and that its disk is mounted; `strongroom init` \
    makes a new vault";

fn vault_hint(error: &VaultError) -> Option<&'static str> {
    Some(match error {
        VaultError::NoVault { .. } => NO_VAULT,
        VaultError::VaultExists { .. } => {
            "use it as it is (`strongroom snapshots`), or name another place with --vault"
        }
        VaultError::Unfinished { .. } => {
            "run `strongroom init` with the passphrase of the first try, or name an empty place"
        }
        VaultError::NoSlot { .. } => "give the owner's key file with --key",
        VaultError::OtherVault { .. } => {
            "give the key of this vault with --key, or the key's own vault with --vault"
        }
        VaultError::NoConditions { .. } => {
            "choose a place that keeps the first of two objects of one name, or, where only one \
             program at a time ever writes, `strongroom init --single-writer`"
        }
        VaultError::OutOfLimits { .. } => "choose a value between them, such as 64MiB",
        VaultError::Name { .. } => "choose another name, of up to 255 bytes without : / and @",
        VaultError::Held { .. } => {
            "`strongroom release ID` ends a hold, with the owner's key; `strongroom snapshots` \
             shows what is held"
        }
        VaultError::NoRules => {
            "give rules such as --keep-daily 7 --keep-weekly 5, or name the snapshots to forget"
        }
        VaultError::RoleMayNot { .. } => {
            "use the owner's key or a collector's (`strongroom key export --role collector`)"
        }
        VaultError::MayNotCompact { .. } => {
            "use the owner's key, or leave --compact out: a collector's key deletes whole packs"
        }
        VaultError::Stopped { kind: VaultErrorKind::Denied, .. } => {
            "check the place's credentials and what they allow, then run it again: what was \
             stored is kept"
        }
        VaultError::Closed { .. } => "run the command again: what was stored is kept",
        VaultError::Config { .. } => {
            "bring the object `config` back from a copy of the vault, then run it again"
        }
        VaultError::Place(error) => return place_hint(error),
        VaultError::Ledger(error) => return ledger_hint(error),
        VaultError::Crypto(error) => return key_hint(error),
        _ => return None,
    })
}

fn files_hint(error: &FilesError) -> Option<&'static str> {
    Some(match error {
        FilesError::NotFound { .. } => "`strongroom ls SNAPSHOT` lists what the snapshot holds",
        FilesError::SameDomain { .. } => {
            "name another vault with --from or --vault; a key of another domain copies within one"
        }
        FilesError::NoSource { .. } => "check the paths to back up",
        FilesError::NotEmpty { .. } => {
            "name an empty folder with --to, or give --overwrite changed (or always)"
        }
        FilesError::NoFuse { .. } => {
            "install fuse3, load its module (`modprobe fuse`), and give a container /dev/fuse; \
             `strongroom restore` works without it"
        }
        FilesError::MountTarget { .. } => "name an empty folder on which nothing is mounted",
        FilesError::Full { .. } => "make room there, or name another folder with --to",
        FilesError::NoFiles { .. } => {
            "use a key that can read file trees: the owner's, or its passphrase"
        }
        FilesError::WrongKind { .. } => "`strongroom ls -l SNAPSHOT:/PATH` shows what it is",
        FilesError::Pattern { .. } => {
            "a pattern has *, **, ?, [a-z] and {a,b}; quote it for the shell"
        }
        FilesError::Restless { .. } => {
            "wait until other work on the vault is done, then run it again"
        }
        FilesError::System { source, .. } if source.kind() == AlreadyExists => {
            "there is a file of that name: name a folder"
        }
        FilesError::System { .. } => "check that it exists and what its mode allows",
        _ => return None,
    })
}

const LOSS: &str = "look for another copy that has them; if they are lost for good, \
    --accept-loss goes on without them";

fn place_hint(error: &PlaceError) -> Option<&'static str> {
    Some(match error {
        PlaceError::Folder { .. } if error.kind() == PlaceErrorKind::NotFound => NO_VAULT,
        PlaceError::Unusable { obstacle, .. } => obstacle_hint(obstacle),
        PlaceError::Unsupported { .. } => {
            "only a bucket made with Object Lock locks objects, and only one that keeps versions \
             gives them back: leave the option out here"
        }
        PlaceError::Setting { .. } => {
            "write it as s3://BUCKET/PREFIX?endpoint=https://HOST&region=NAME"
        }
        PlaceError::Denied { place, .. } if is_bucket(place) => {
            "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and what they \
             allow in the bucket"
        }
        PlaceError::Folder { .. } => "name a folder that this user may use, with --vault",
        PlaceError::Denied { .. } => "check the mode and owner of the vault's folder",
        PlaceError::Url { .. } => "name the vault as a folder, such as --vault /srv/vault",
        _ => return None,
    })
}

fn is_bucket(place: &str) -> bool {
    matches!(place.parse(), Ok(PlaceUrl::S3(_)))
}

fn obstacle_hint(obstacle: &Obstacle) -> &'static str {
    match obstacle {
        Obstacle::NoBucket { .. } => {
            "make the bucket with its service's own tools, or check how it is spelled"
        }
        Obstacle::Region { .. } => "name the bucket's region in the URL: s3://BUCKET?region=NAME",
        Obstacle::Certificate { .. } => "name the file of the authority to trust with --ca-file",
        Obstacle::Answer { .. } => "check the URL's endpoint, and that it speaks S3",
    }
}

/// The next step after an alarm while reading.
pub(crate) fn alarm_hint(alarm: &Alarm) -> Option<&'static str> {
    match alarm {
        Alarm::RolledBack { .. } | Alarm::Forked { .. } => Some(ROLLED_BACK),
        Alarm::Break(_) => Some(BROKEN),
        Alarm::NewerFormat { .. } => Some("use a newer strongroom"),
        Alarm::Replica { .. } | Alarm::HeadForgotten { .. } => None,
    }
}

const ROLLED_BACK: &str = "bring the newest records back from a copy of the vault, with \
    `strongroom repair --from URL`; until then nothing is added, and reading works; if they are \
    lost for good, the owner's `strongroom recover --in-place --accept-loss` lets all hosts go on";

const BROKEN: &str =
    "`strongroom ledger mend --dry-run` shows the owner what to do; reading still works";

fn ledger_hint(error: &LedgerError) -> Option<&'static str> {
    Some(match error {
        LedgerError::History(_) => ROLLED_BACK,
        LedgerError::Broken(_) => BROKEN,
        LedgerError::Unmendable(_) => "bring the object back from a copy of the vault",
        LedgerError::Empty => "run `strongroom init` again with the same passphrase to finish it",
        LedgerError::NewerFormat { .. } => "use a newer strongroom; reading still works",
        LedgerError::Replica => {
            "name the original place with --vault; reading works here too; if that place is lost, \
             the owner's `strongroom recover` makes a vault of this copy"
        }
        LedgerError::NothingLost => "back up to it as it is; nothing keeps anybody from it",
        LedgerError::NotBroken => "`strongroom ledger verify` checks the ledger",
        LedgerError::Memory { .. } => "check the folder of --state-dir",
        LedgerError::Place(error) => return place_hint(error),
        LedgerError::Crypto(error) => return key_hint(error),
        _ => return None,
    })
}

fn replica_hint(error: &ReplicaError) -> Option<&'static str> {
    Some(match error {
        ReplicaError::Place(error) => return place_hint(error),
        ReplicaError::Ledger(error) => return ledger_hint(error),
        ReplicaError::NoVault { .. } => NO_VAULT,
        ReplicaError::NoReplica { .. } => {
            "name an empty place, or one that `strongroom replicate` made of this vault; nothing \
             was written there"
        }
        ReplicaError::Behind { .. } => {
            "add nothing to the source before its records are back: the target still has them; \
             nothing was written there"
        }
        ReplicaError::Fork { .. } => {
            "`strongroom ledger log` with --vault shows either history; keep both places as they \
             are until you know which is yours; nothing was written"
        }
        ReplicaError::Broken { .. } => {
            "remove the records from that number on there; `strongroom replicate` copies them again"
        }
        ReplicaError::Cancelled => return None,
    })
}

fn key_hint(error: &KeyError) -> Option<&'static str> {
    Some(match error {
        KeyError::WrongPassphrase => {
            "type it again, check that --vault is the right one, or give a key file with --key"
        }
        KeyError::SlotDamaged => {
            "give a key file with --key, or bring the slot back from a copy of the vault"
        }
        KeyError::EmptyPassphrase => "choose a passphrase that is hard to guess",
        KeyError::KdfLimits { .. } => "choose a --kdf-memory from 32KiB to 4GiB, such as 256MiB",
        KeyError::KdfMemory { .. } => "free some memory: a passphrase needs as much as at `init`",
        KeyError::NotAKeyFile | KeyError::KeyFileDamaged { .. } => {
            "give a file that `strongroom key export` or `strongroom init --key` made"
        }
        KeyError::KeyFileVersion { .. } => "use a newer strongroom",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_exit_counts() {
        let order = [
            Exit::Stopped(Signal::Interrupt),
            Exit::Tampered,
            Exit::Denied,
            Exit::Unavailable,
            Exit::Conflict,
            Exit::Incomplete,
            Exit::Done,
        ];
        for (index, graver) in order.iter().enumerate() {
            for lighter in &order[index..] {
                assert_eq!(graver.and(*lighter), *graver);
                assert_eq!(lighter.and(*graver), *graver);
            }
        }
    }
}
