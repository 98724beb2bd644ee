//! Where the key comes from: a key file, a recovery kit, or a passphrase from one of four sources.
//!
//! Exactly one source is used. Two are a mistake, and so is none where nobody can be asked; both
//! are said at once, before any place is touched. DESIGN.md §15.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use strongroom::{
    Bundle, KIT_BYTES_MAX, KeyError, Keyring, Kit, KitError, PathText, Place, Seen, open_slot,
    read_config,
};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::environment::{FROM_PASSPHRASE_VARIABLE, KeyVariables, PASSPHRASE_VARIABLE};
use crate::exit::{Failure, Result, plain};

/// Where the key comes from.
pub(crate) enum KeySource {
    File(PathBuf),
    Kit(PathBuf),
    /// A kit that was read already.
    Read(Box<Kit>),
    Passphrase(PassphraseSource),
}

/// The keys of a vault, and what came with them.
pub(crate) struct Keys {
    pub(crate) keyring: Keyring,
    /// What a kit remembers of the ledger.
    pub(crate) seen: Seen,
}

/// Where a passphrase comes from.
pub(crate) struct PassphraseSource {
    origin: Origin,
    names: &'static Names,
}

enum Origin {
    File(PathBuf),
    Command(OsString),
    Environment(Zeroizing<Vec<u8>>),
    Terminal,
}

/// What the options and variables are called that lead to a key: each option, then its variable.
struct Names {
    key: (&'static str, &'static str),
    passphrase_file: (&'static str, &'static str),
    passphrase_command: &'static str,
    passphrase: &'static str,
    /// What the terminal asks.
    prompt: &'static str,
    /// What is said where there is no key.
    none: &'static str,
    /// What to do then.
    hint: &'static str,
}

/// Of the vault that every command works on.
const OWN: Names = Names {
    key: ("--key", "STRONGROOM_KEY"),
    passphrase_file: ("--passphrase-file", "STRONGROOM_PASSPHRASE_FILE"),
    passphrase_command: "--passphrase-command",
    passphrase: PASSPHRASE_VARIABLE,
    prompt: "passphrase: ",
    none: "no key is given, and there is no terminal to ask for a passphrase",
    hint: "give --key FILE, --passphrase-file FILE, --passphrase-command COMMAND or --kit FILE",
};

/// Of the vault that is copied from.
const FROM: Names = Names {
    key: ("--from-key", "STRONGROOM_FROM_KEY"),
    passphrase_file: ("--from-passphrase-file", "STRONGROOM_FROM_PASSPHRASE_FILE"),
    passphrase_command: "--from-passphrase-command",
    passphrase: FROM_PASSPHRASE_VARIABLE,
    prompt: "passphrase of the vault to copy from: ",
    none: "no key is given for --from, and there is no terminal to ask for a passphrase",
    hint: "give --from-key FILE, --from-passphrase-file FILE or --from-passphrase-command COMMAND",
};

/// What was typed of where a vault's key comes from.
pub(crate) struct TypedKeys<'a> {
    pub(crate) key: &'a Option<PathBuf>,
    pub(crate) passphrase_file: &'a Option<PathBuf>,
    pub(crate) passphrase_command: &'a Option<OsString>,
    pub(crate) kit: &'a Option<PathBuf>,
}

impl KeySource {
    /// The one source that options and environment name.
    pub(crate) fn choose(context: &Context) -> Result<Self> {
        let common = &context.common;
        let typed = TypedKeys {
            key: &common.key,
            passphrase_file: &common.passphrase_file,
            passphrase_command: &common.passphrase_command,
            kit: &common.kit,
        };
        Self::among(&OWN, &typed, &context.environment.keys)
    }

    /// The same for the vault that is copied from.
    pub(crate) fn choose_from(typed: &TypedKeys<'_>, context: &Context) -> Result<Self> {
        Self::among(&FROM, typed, &context.environment.from_keys)
    }

    fn among(names: &'static Names, typed: &TypedKeys<'_>, set: &KeyVariables) -> Result<Self> {
        let passphrase = |origin| Self::Passphrase(PassphraseSource { origin, names });
        let key = named(names.key, typed.key, &set.key);
        let file = named(names.passphrase_file, typed.passphrase_file, &set.passphrase_file);
        let mut named: Vec<(&str, Self)> = Vec::new();
        named.extend(key.map(|(name, path)| (name, Self::File(path))));
        named.extend(typed.kit.clone().map(|path| ("--kit", Self::Kit(path))));
        let file = file.map(|(name, path)| (name, Origin::File(path)));
        let command = typed.passphrase_command.clone();
        let command = command.map(|c| (names.passphrase_command, Origin::Command(c)));
        let value = set.passphrase.clone();
        let value = value.map(|value| (names.passphrase, Origin::Environment(value)));
        let passphrases = [file, command, value].into_iter().flatten();
        named.extend(passphrases.map(|(name, origin)| (name, passphrase(origin))));
        if let [(first, _), (second, _), ..] = &named[..] {
            return Err(Failure::usage(
                format!("both {first} and {second} say where the key comes from"),
                "give only one of them",
            ));
        }
        match named.pop() {
            Some((_, source)) => Ok(source),
            None if has_terminal() => Ok(passphrase(Origin::Terminal)),
            None => Err(Failure::usage(names.none, names.hint)),
        }
    }

    /// The keys of the vault at `place`.
    pub(crate) fn keys(self, context: &Context, place: &dyn Place) -> Result<Keys> {
        let without_kit =
            |bundle| Ok(Keys { keyring: Keyring::from_bundle(bundle), seen: Seen::default() });
        match self {
            Self::File(path) => without_kit(read_key_file(context, &path)?),
            Self::Kit(path) => Self::Read(Box::new(read_kit(context, &path)?)).keys(context, place),
            Self::Read(kit) => {
                // The words name no ciphers: the config does, which they vouch for.
                let (config, _) = read_config(place)?;
                let Kit { root, facts } = *kit;
                let seen = Seen { head: facts.head, recovered: facts.recovered };
                Ok(Keys { keyring: Keyring::owner(root, config.suite), seen })
            }
            Self::Passphrase(source) => {
                let (config, _) = read_config(place)?;
                let passphrase = source.read(context)?;
                without_kit(open_slot(place, config.vault, &passphrase)?)
            }
        }
    }
}

/// A typed option, else what the environment says.
fn named(
    (option, variable): (&'static str, &'static str),
    typed: &Option<PathBuf>,
    set: &Option<PathBuf>,
) -> Option<(&'static str, PathBuf)> {
    let typed = typed.clone().map(|path| (option, path));
    typed.or_else(|| set.clone().map(|path| (variable, path)))
}

impl PassphraseSource {
    /// The passphrase of a vault that exists.
    pub(crate) fn read(self, context: &Context) -> Result<Zeroizing<Vec<u8>>> {
        match self.origin {
            Origin::Terminal => ask(context, self.names.prompt),
            _ => self.read_silently(),
        }
    }

    /// The passphrase of a new vault: asked for twice where it is asked for at all.
    pub(crate) fn choose_new(self, context: &Context) -> Result<Zeroizing<Vec<u8>>> {
        let Origin::Terminal = self.origin else { return self.read_silently() };
        let first = ask(context, "new passphrase: ")?;
        let second = ask(context, "the same again: ")?;
        match first == second {
            true => Ok(first),
            false => Err(Failure::usage("the two passphrases differ", "run it again")),
        }
    }

    fn read_silently(self) -> Result<Zeroizing<Vec<u8>>> {
        let Self { origin, names } = self;
        let (passphrase, from) = match origin {
            Origin::File(path) => (read_small(&path)?, path.display().to_string()),
            Origin::Command(command) => (run(&command)?, names.passphrase_command.to_owned()),
            Origin::Environment(value) => return refuse_empty(value, names.passphrase),
            Origin::Terminal => (Zeroizing::default(), "the terminal".to_owned()),
        };
        refuse_empty(without_line_end(passphrase), &from)
    }
}

fn ask(context: &Context, prompt: &str) -> Result<Zeroizing<Vec<u8>>> {
    let typed = context.signals.while_waiting(|| rpassword::prompt_password(prompt));
    let typed = typed.map_err(|error| {
        let hint = "give --passphrase-file FILE or --key FILE instead";
        Failure::usage(format!("the terminal: {}", plain(&error)), hint)
    })?;
    refuse_empty(Zeroizing::new(typed.into_bytes()), "the terminal")
}

fn refuse_empty(passphrase: Zeroizing<Vec<u8>>, from: &str) -> Result<Zeroizing<Vec<u8>>> {
    if passphrase.is_empty() {
        let message = format!("the passphrase from {from} is empty");
        return Err(Failure::usage(
            message,
            "an empty passphrase protects nothing: choose another",
        ));
    }
    Ok(passphrase)
}

fn without_line_end(mut passphrase: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    if passphrase.ends_with(b"\n") {
        passphrase.pop();
        if passphrase.ends_with(b"\r") {
            passphrase.pop();
        }
    }
    passphrase
}

/// What a shell command prints. It does not see the passphrases that our environment may hold.
fn run(command: &OsString) -> Result<Zeroizing<Vec<u8>>> {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).env_remove(PASSPHRASE_VARIABLE);
    shell.env_remove(FROM_PASSPHRASE_VARIABLE);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let failed = |reason: String| {
        let message = format!("the passphrase command {command:?}: {reason}");
        Failure::failed(
            message,
            "run the command by hand: it prints the passphrase and ends with 0",
        )
    };
    let mut child = shell.spawn().map_err(|error| failed(plain(&error)))?;
    let mut printed = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX as usize));
    if let Some(stdout) = child.stdout.take() {
        let read = stdout.take(SECRET_BYTES_MAX).read_to_end(&mut printed);
        read.map_err(|error| failed(plain(&error)))?;
    }
    let status = child.wait().map_err(|error| failed(plain(&error)))?;
    match status.success() {
        true => Ok(printed),
        false => Err(failed(status.to_string())),
    }
}

/// Longer than any passphrase or key file needs to be.
const SECRET_BYTES_MAX: u64 = 2 << 20;

fn read_small(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error: std::io::Error| Failure::local(path, &error);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len().min(SECRET_BYTES_MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length as usize + 1));
    file.take(SECRET_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn read_key_file(context: &Context, path: &Path) -> Result<Bundle> {
    let bytes = read_small(path)?;
    let shown = PathText::new(path.as_os_str().as_encoded_bytes());
    warn_of_mode(context, "key file", path);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    Bundle::from_key_file(text).map_err(|error| {
        let hint = Failure::from(error.clone()).hint;
        Failure::denied(format!("{shown}: {error}"), hint)
    })
}

/// Says aloud when others may read a file that opens the vault.
fn warn_of_mode(context: &Context, what: &str, path: &Path) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.mode() & 0o7777);
    if mode & 0o077 != 0 {
        let shown = PathText::new(path.as_os_str().as_encoded_bytes());
        let text = format!("the {what} {shown} has mode {mode:04o}: others may read it");
        context.output.warning(&text);
    }
}

/// Reads a recovery kit, or its words alone, from a file; `-` is standard input.
pub(crate) fn read_kit(context: &Context, path: &Path) -> Result<Kit> {
    let (bytes, shown) = match path == Path::new("-") {
        true => (read_typed(context)?, "the kit that was typed".to_owned()),
        false => {
            let bytes = read_small(path)?;
            warn_of_mode(context, "kit", path);
            (bytes, PathText::new(path.as_os_str().as_encoded_bytes()).to_string())
        }
    };
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    Kit::from_text(&text).map_err(|error| {
        let hint = kit_hint(&error);
        Failure::denied(format!("{shown}: {error}"), hint)
    })
}

fn kit_hint(error: &KitError) -> String {
    match error {
        KitError::Words(KeyError::KitWord { near, .. }) if !near.is_empty() => {
            format!("did you mean {}? compare it with the paper", near.join(" or "))
        }
        KitError::Words(KeyError::KitWordCount { count: 0 }) => {
            "give the text that `strongroom kit create` printed, or its 24 words".to_owned()
        }
        KitError::Words(KeyError::KitWordsCheck) => {
            "every word is in the list, and one is another than on the paper, or two are \
             exchanged: compare them one by one"
                .to_owned()
        }
        KitError::Words(_) => "compare the words with the paper, one by one".to_owned(),
        KitError::Version { .. } | KitError::Share { .. } => "use a newer strongroom".to_owned(),
        KitError::Line { .. } | KitError::OtherVault { .. } => {
            "compare the line with the paper, or leave it out: the words alone open the vault"
                .to_owned()
        }
        KitError::Length { .. } => "give the text of one kit, and nothing else".to_owned(),
    }
}

/// What is typed or piped in, up to its end; at a terminal also up to an empty line.
fn read_typed(context: &Context) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(KIT_BYTES_MAX + 1));
    let input = std::io::stdin().lock();
    let failed = |error: std::io::Error| Failure::local(Path::new("standard input"), &error);
    if !input.is_terminal() {
        input.take(KIT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    context.output.note("type the kit or its 24 words; an empty line ends them");
    let mut input = input.take(KIT_BYTES_MAX as u64 + 1);
    loop {
        let before = bytes.len();
        let read = context.signals.while_waiting(|| input.read_until(b'\n', &mut bytes));
        let line = match read.map_err(failed)? {
            0 => return Ok(bytes),
            _ => &bytes[before..],
        };
        if line.trim_ascii().is_empty() && !bytes[..before].trim_ascii().is_empty() {
            return Ok(bytes);
        }
    }
}

/// A key file that is being made. It never replaces a file; dropped unfinished, it is gone again.
pub(crate) struct NewKeyFile {
    path: PathBuf,
    file: Option<File>,
}

impl NewKeyFile {
    /// Takes the name, before anything else is done.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| {
            let failure = Failure::local(path, &error);
            match error.kind() {
                std::io::ErrorKind::AlreadyExists => failure
                    .with_hint("choose another name: a file that holds a key is never overwritten"),
                _ => failure.with_hint("check that its folder exists and may be written to"),
            }
        })?;
        Ok(Self { path: path.to_owned(), file: Some(file) })
    }

    /// Writes the key, durably.
    pub(crate) fn finish(self, bundle: &Bundle) -> Result<()> {
        self.finish_with(&bundle.to_key_file())
    }

    /// Writes this text and the end of its last line, durably.
    pub(crate) fn finish_with(mut self, text: &str) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n"));
        let written = written.and_then(|()| file.sync_all()).and_then(|()| {
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        });
        written.map_err(|error| Failure::local(&self.path, &error))?;
        self.file = None;
        Ok(())
    }
}

impl Drop for NewKeyFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether somebody sits there who can be asked.
fn has_terminal() -> bool {
    let is_seen = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
    is_seen && OpenOptions::new().read(true).write(true).open("/dev/tty").is_ok()
}
