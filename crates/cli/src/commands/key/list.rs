//! `key list`: the slots that a passphrase opens, and the members.
//!
//! Members are listed as the ledger certified them, revoked ones too.

use std::io::{self, Write};

use serde_json::json;
use strongroom::{DomainId, Member, MemberId, slots};

use crate::context::{Access, Context};
use crate::exit::Result;
use crate::output::{Fields, Report, fields, short};
use crate::sizes;
use crate::table::{Align, Table};

/// Lists the passphrase slots and the members of the vault.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Lists them.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<Keys> {
    let vault = context.open(Access::Read)?;
    let own = vault.keyring().member_id().ok();
    let found = slots(vault.components().place.as_ref())?;
    let found = found.into_iter().filter(|(_, slot)| slot.vault_id() == vault.config().vault);
    let slots = found
        .map(|(name, slot)| {
            let memory = u64::from(slot.parameters().memory_kib) << 10;
            PassphraseSlot { name: name.to_string(), memory }
        })
        .collect();
    let mut members: Vec<_> = {
        let ledger = vault.ledger();
        ledger.state().members().map(|(id, member)| (id, member.clone())).collect()
    };
    members.sort_by_key(|(_, member)| member.certified);
    Ok(Keys { slots, members, own })
}

/// What can open a vault.
pub(crate) struct Keys {
    slots: Vec<PassphraseSlot>,
    members: Vec<(MemberId, Member)>,
    own: Option<MemberId>,
}

struct PassphraseSlot {
    name: String,
    /// In bytes.
    memory: u64,
}

impl Report for Keys {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for slot in &self.slots {
            let memory = sizes::show(slot.memory);
            writeln!(out, "passphrase of the owner: {} ({memory} a guess)", slot.name)?;
        }
        if self.slots.is_empty() {
            writeln!(out, "no passphrase: only key files open this vault")?;
        }
        if self.members.is_empty() {
            return writeln!(out, "no members yet: the first backup makes one");
        }
        let columns = ["MEMBER", "ROLE", "LABEL", "DOMAIN", ""].map(|name| (name, Align::Left));
        let mut table = Table::new(&columns);
        for (id, member) in &self.members {
            let remark = match (member.revoked, self.own == Some(*id)) {
                (Some(seq), _) => format!("revoked by record {seq}"),
                (None, true) => "this host".to_owned(),
                (None, false) => String::new(),
            };
            table.row([
                short(id),
                member.role.to_string(),
                member.label.clone().unwrap_or_else(|| "?".to_owned()),
                domain(*id, member.domain),
                remark,
            ]);
        }
        table.write(out)
    }

    fn is_answer(&self) -> bool {
        true
    }

    fn fields(&self) -> Fields {
        let slot = |slot: &PassphraseSlot| json!({ "name": slot.name, "kdf_memory": slot.memory });
        let member = |(id, member): &(MemberId, Member)| {
            json!({
                "id": id.to_string(),
                "role": member.role.to_string(),
                "label": member.label,
                "domain": member.domain.to_string(),
                "certified": member.certified.0,
                "revoked": member.revoked.map(|seq| seq.0),
                "this_host": self.own == Some(*id),
            })
        };
        let slots: Vec<_> = self.slots.iter().map(slot).collect();
        let members: Vec<_> = self.members.iter().map(member).collect();
        fields(json!({ "slots": slots, "members": members }))
    }
}

fn domain(member: MemberId, domain: DomainId) -> String {
    match domain {
        DomainId::DEFAULT => "default".to_owned(),
        own if own == member.own_domain() => "own".to_owned(),
        other => short(other),
    }
}
