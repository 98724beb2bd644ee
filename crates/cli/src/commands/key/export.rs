//! `key export`: a key file for an unattended host, which needs no passphrase.
//!
//! The new member's certificate stands in the ledger before the file is written, so the file works
//! from its first moment.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;
use strongroom::{DomainChoice, DomainId, Role};

use crate::context::{Access, Context};
use crate::exit::{Failure, Result};
use crate::keys::NewKeyFile;
use crate::output::{Fields, Report, fields};

/// Makes a key file for a role.
///
/// Whoever reads the file holds the role. A writer adds backups and can read nothing, not even its
/// own. The owner's key file opens all, as the passphrase does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the key allows
    #[arg(long, value_name = "ROLE")]
    role: RoleChoice,
    /// What the host that gets it is called [default: its file's name, without an ending]
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Whose data it shares chunks with: own, default, or a domain's 32 digits
    #[arg(long, value_name = "DOMAIN", default_value = "default", value_parser = parse_domain)]
    domain: DomainChoice,
    /// The file to make; it must not exist, and only its owner can read it
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// The roles that a key file can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RoleChoice {
    /// Everything
    Owner,
    /// Restore and verify, hold snapshots, bring them back from the trash
    Reader,
    /// Add backups, read nothing
    Writer,
    /// List snapshots and paths, read no content
    Browser,
    /// Forget snapshots and free space, read no content
    Collector,
    /// Check the ledger, read nothing
    Auditor,
}

fn parse_domain(text: &str) -> Result<DomainChoice, String> {
    match text {
        "own" => Ok(DomainChoice::Own),
        "default" => Ok(DomainChoice::Default),
        hex => match hex.parse::<DomainId>() {
            Ok(domain) => Ok(DomainChoice::Given(domain)),
            Err(_) => Err("a domain is own, default, or 32 hexadecimal digits".to_owned()),
        },
    }
}

/// Makes a key file.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Exported> {
    let (role, access) = match args.role {
        RoleChoice::Owner => (Role::Owner, Access::Read),
        RoleChoice::Reader => (Role::Reader, Access::Append),
        RoleChoice::Writer => (Role::Writer, Access::Append),
        RoleChoice::Browser => (Role::Browser, Access::Append),
        RoleChoice::Collector => (Role::Collector, Access::Append),
        RoleChoice::Auditor => (Role::Auditor, Access::Append),
    };
    let stem = || args.output.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let label = args.label.clone().or_else(stem).unwrap_or_default();
    strongroom::check_label("the label", &label)?;
    let mut vault = context.open(access)?;
    if vault.keyring().role() != Role::Owner {
        let held = vault.keyring().role();
        return Err(Failure::denied(
            format!("the key is a {held}'s: only an owner's makes key files"),
            "use the owner's passphrase or key file",
        ));
    }
    let file = NewKeyFile::create(&args.output)?;
    let bundle = vault.issue_bundle(role, args.domain, &label)?;
    file.finish(&bundle)?;
    let member = bundle.member().map(|member| member.member_id());
    Ok(Exported {
        role,
        label: member.map(|_| label),
        member: member.map(|id| id.to_string()),
        domain: bundle.domain(),
        output: args.output.display().to_string(),
    })
}

/// The key file that was made.
pub(crate) struct Exported {
    role: Role,
    member: Option<String>,
    label: Option<String>,
    domain: DomainId,
    output: String,
}

impl Report for Exported {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { role, label, output, .. } = self;
        match label {
            Some(label) => writeln!(out, "made a key file for the {role} {label}: {output}"),
            None => writeln!(out, "made a key file for the {role}: {output}"),
        }
    }

    fn fields(&self) -> Fields {
        let Self { role, member, label, domain, output } = self;
        fields(json!({
            "role": role.to_string(), "member": member, "label": label,
            "domain": domain.to_string(), "output": output,
        }))
    }
}
