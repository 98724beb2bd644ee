//! What the environment says, read once and in one place.
//!
//! An empty variable is as good as none, but for the passphrase, where it is a mistake worth
//! hearing of. DESIGN.md §7, §15.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// The variable that holds a passphrase; no child inherits it.
pub(crate) const PASSPHRASE_VARIABLE: &str = "STRONGROOM_PASSPHRASE";

/// The same of the vault that is copied from.
pub(crate) const FROM_PASSPHRASE_VARIABLE: &str = "STRONGROOM_FROM_PASSPHRASE";

/// Which variables lead to a key; commands that work around a backup do not inherit them.
const KEY_VARIABLES: [&str; 6] = [
    PASSPHRASE_VARIABLE,
    "STRONGROOM_PASSPHRASE_FILE",
    "STRONGROOM_KEY",
    FROM_PASSPHRASE_VARIABLE,
    "STRONGROOM_FROM_PASSPHRASE_FILE",
    "STRONGROOM_FROM_KEY",
];

/// Takes what leads to a key out of a child's environment.
pub(crate) fn without_keys(command: &mut std::process::Command) -> &mut std::process::Command {
    KEY_VARIABLES.iter().fold(command, |command, name| command.env_remove(name))
}

/// Which variable says the same as which option, by the option's id. A passphrase says where the
/// key comes from, as the options for its other sources do.
const OPTION_VARIABLES: [(&str, &str); 7] = [
    ("STRONGROOM_VAULT", "vault"),
    ("STRONGROOM_KEY", "key"),
    ("STRONGROOM_PASSPHRASE_FILE", "passphrase_file"),
    (PASSPHRASE_VARIABLE, "passphrase_file"),
    ("STRONGROOM_FROM_KEY", "from_key"),
    ("STRONGROOM_FROM_PASSPHRASE_FILE", "from_passphrase_file"),
    (FROM_PASSPHRASE_VARIABLE, "from_passphrase_file"),
];

/// What the environment says of where a vault's key comes from.
pub(crate) struct KeyVariables {
    pub(crate) key: Option<PathBuf>,
    pub(crate) passphrase_file: Option<PathBuf>,
    pub(crate) passphrase: Option<Zeroizing<Vec<u8>>>,
}

impl KeyVariables {
    fn read(key: &str, passphrase_file: &str, passphrase: &str) -> Self {
        Self {
            key: variable(key).map(PathBuf::from),
            passphrase_file: variable(passphrase_file).map(PathBuf::from),
            passphrase: std::env::var_os(passphrase).map(|value| Zeroizing::new(value.into_vec())),
        }
    }
}

/// What the environment says.
pub(crate) struct Environment {
    /// Which options it sets: the variable and the option's id.
    pub(crate) options: Vec<(&'static str, &'static str)>,
    /// The file of settings to read instead of the usual ones.
    pub(crate) config: Option<PathBuf>,
    /// The profile of it to use.
    pub(crate) profile: Option<String>,
    /// The user's own file of settings.
    pub(crate) user_config: Option<PathBuf>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) vault: Option<OsString>,
    pub(crate) keys: KeyVariables,
    /// Of the vault that is copied from.
    pub(crate) from_keys: KeyVariables,
    /// Where caches go by default.
    pub(crate) cache: Option<PathBuf>,
    /// Where state goes by default.
    pub(crate) state: Option<PathBuf>,
    /// What this host is called, as far as a label may be.
    pub(crate) host: String,
}

impl Environment {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let path = |name| variable(name).map(PathBuf::from);
        let home = path("HOME");
        let is_root = rustix::process::geteuid().is_root();
        let folder = |xdg, of_root: &str, of_home: &str| {
            let xdg = path(xdg).filter(|path| path.is_absolute());
            let xdg = xdg.map(|path| path.join("strongroom"));
            let of_root = is_root.then(|| PathBuf::from(of_root));
            xdg.or(of_root).or_else(|| Some(home.as_ref()?.join(of_home).join("strongroom")))
        };
        let xdg_config = path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let config_home = xdg_config.or_else(|| Some(home.as_ref()?.join(".config")));
        let is_set = |(name, _): &(&str, &str)| match *name {
            PASSPHRASE_VARIABLE | FROM_PASSPHRASE_VARIABLE => std::env::var_os(name).is_some(),
            name => variable(name).is_some(),
        };
        Self {
            options: OPTION_VARIABLES.into_iter().filter(is_set).collect(),
            config: path("STRONGROOM_CONFIG"),
            profile: variable("STRONGROOM_PROFILE").map(|name| name.display().to_string()),
            user_config: config_home.map(|folder| folder.join("strongroom/config.toml")),
            vault: variable("STRONGROOM_VAULT"),
            keys: KeyVariables::read(
                "STRONGROOM_KEY",
                "STRONGROOM_PASSPHRASE_FILE",
                PASSPHRASE_VARIABLE,
            ),
            from_keys: KeyVariables::read(
                "STRONGROOM_FROM_KEY",
                "STRONGROOM_FROM_PASSPHRASE_FILE",
                FROM_PASSPHRASE_VARIABLE,
            ),
            cache: folder("XDG_CACHE_HOME", "/var/cache/strongroom", ".cache"),
            state: folder("XDG_STATE_HOME", "/var/lib/strongroom", ".local/state"),
            home,
            host: host_label(&rustix::system::uname().nodename().to_string_lossy()),
        }
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A host's name as a label: a label has none of `: / @` and no control characters.
fn host_label(name: &str) -> String {
    let wrong = |c: char| matches!(c, ':' | '/' | '@') || c.is_control();
    let label = name.replace(wrong, "-");
    if label.is_empty() { "host".to_owned() } else { label }
}
