//! The rules of layout on small workspaces that keep or break them.
//! The workspace here has `crypto`, `vault`, `testkit` and the program.

use super::{Manifests, check};

const ROOT: &str = r#"[workspace]
members = [
    "crates/crypto",
    "crates/vault",
    "crates/testkit", # for tests
]
default-members = [".", "crates/crypto", "crates/vault", "crates/testkit"]

[workspace.dependencies]
crypto = { package = "strongroom-crypto", path = "crates/crypto" }
blake3 = { version = "1", features = [] }

[dependencies]
vault.workspace = true
"#;

const LINTS: &str = "\n[lints]\nworkspace = true\n";

fn messages(root: &str, crypto: &str, vault: &str) -> Vec<String> {
    let member = |name: &str, text: &str| (name.to_owned(), Some(format!("{text}{LINTS}")));
    let members = vec![
        ("cli".to_owned(), None),
        member("crypto", crypto),
        member("testkit", "[dependencies]\ncrypto.workspace = true\n"),
        member("vault", vault),
    ];
    let findings = check(&Manifests { root: root.to_owned(), members });
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn members_that_use_only_lower_floors_pass() {
    let vault = "[dependencies]\ncrypto.workspace = true\n[dev-dependencies]\n\
                 testkit.workspace = true\n";
    assert_eq!(messages(ROOT, "[dependencies]\nblake3.workspace = true\n", vault), [""; 0]);
}

#[test]
fn a_dependency_upwards_is_found() {
    for crypto in ["[dependencies]\nvault.workspace = true", "[dependencies.strongroom-vault]\n"] {
        let found = messages(ROOT, crypto, "");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/crypto/Cargo.toml:"), "{found:?}");
        assert!(found[0].contains("crypto uses vault"), "{found:?}");
    }
}

#[test]
fn a_dependency_on_the_same_floor_is_found() {
    let found = messages(ROOT, "[target.'cfg(unix)'.dependencies]\nplaces.workspace = true", "");
    assert_eq!(
        found,
        ["crates/crypto/Cargo.toml:2: crypto uses places, \
         which does not lie on a floor below its own"]
    );
}

#[test]
fn tools_are_for_tests() {
    assert_eq!(
        messages(ROOT, "", "[dependencies]\ntestkit = { path = \"../testkit\" }\n"),
        ["crates/vault/Cargo.toml:2: vault uses testkit, which is for tests only"]
    );
}

#[test]
fn ciphers_stay_in_crypto() {
    assert_eq!(
        messages(ROOT, "", "[dev-dependencies]\nblake3.workspace = true\n"),
        ["crates/vault/Cargo.toml:2: blake3: only crates/crypto names a cipher crate"]
    );
}

#[test]
fn lists_agree_with_folders_and_floors() {
    let swapped = ROOT.replace(
        "    \"crates/crypto\",\n    \"crates/vault\",\n",
        "    \"crates/vault\",\n    \"crates/crypto\",\n",
    );
    let found = messages(&swapped, "", "");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("Cargo.toml:2: members are crates/vault crates/crypto"));

    let short = ROOT.replace("[\".\", ", "[");
    let found = messages(&short, "", "");
    assert!(found[0].starts_with("Cargo.toml:7: default-members are"), "{found:?}");
}

#[test]
fn a_folder_outside_the_list_is_found() {
    let members = vec![("attic".to_owned(), None), ("cellar".to_owned(), Some(LINTS.to_owned()))];
    let root = "[workspace]\nmembers = []\ndefault-members = [\".\"]\n".to_owned();
    let findings = check(&Manifests { root, members });
    let messages: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "Cargo.toml:1: crates/cellar stands on no floor of the list in xtask",
            "crates/attic/Cargo.toml:1: the folder has no manifest",
        ]
    );
}

#[test]
fn members_take_the_workspace_lints() {
    let members = vec![("crypto".to_owned(), Some("[package]\n".to_owned()))];
    let root = "[workspace]\nmembers = [\"crates/crypto\"]\n\
                default-members = [\".\", \"crates/crypto\"]\n"
        .to_owned();
    let findings = check(&Manifests { root, members });
    assert_eq!(findings.len(), 1, "{findings:?}");
}
