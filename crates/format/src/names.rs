//! Where each object of a vault lies in its place.
//!
//! Nothing in a name tells a host, a path, a table or a time: names are digests, numbers and random
//! hex. Parsing is the inverse of making. FORMAT.md §3.

use places::{NamePrefix, ObjectName};

use crate::{Digest, Seq, SessionId};

/// Makes the names of a vault's objects.
pub struct VaultNames;

impl VaultNames {
    /// The vault's config.
    pub fn config() -> ObjectName {
        name("config".into())
    }

    /// The mark of a replica.
    pub fn replica() -> ObjectName {
        name("replica".into())
    }

    /// The key slot with this id.
    pub fn slot(id: &[u8; 16]) -> ObjectName {
        name(format!("keys/{}", Hex(id)))
    }

    /// A pack.
    pub fn pack(digest: &Digest) -> ObjectName {
        name(format!("packs/{:02x}/{digest}", digest.as_bytes()[0]))
    }

    /// An index run.
    pub fn run(digest: &Digest) -> ObjectName {
        name(format!("index/{digest}"))
    }

    /// The ledger record with this number.
    pub fn record(seq: Seq) -> ObjectName {
        name(format!("ledger/{:016x}", seq.0))
    }

    /// The bundle of the records `first..=last`.
    pub fn bundle(first: Seq, last: Seq) -> ObjectName {
        name(format!("bundles/{:016x}-{:016x}", first.0, last.0))
    }

    /// The checkpoint of the state after this record.
    pub fn checkpoint(seq: Seq) -> ObjectName {
        name(format!("checkpoints/{:016x}", seq.0))
    }

    /// A long list of a record.
    pub fn list(digest: &Digest) -> ObjectName {
        name(format!("lists/{digest}"))
    }

    /// What a probe puts for a moment.
    pub fn probe(id: &[u8; 16]) -> ObjectName {
        name(format!("probe/{}", Hex(id)))
    }

    /// All key slots.
    pub fn slots() -> NamePrefix {
        prefix("keys/")
    }

    /// All packs.
    pub fn packs() -> NamePrefix {
        prefix("packs/")
    }

    /// All index runs.
    pub fn runs() -> NamePrefix {
        prefix("index/")
    }

    /// All records.
    pub fn records() -> NamePrefix {
        prefix("ledger/")
    }

    /// All bundles.
    pub fn bundles() -> NamePrefix {
        prefix("bundles/")
    }

    /// All checkpoints.
    pub fn checkpoints() -> NamePrefix {
        prefix("checkpoints/")
    }

    /// All long lists.
    pub fn lists() -> NamePrefix {
        prefix("lists/")
    }
}

/// What an object is, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamedObject {
    /// The vault's config.
    Config,
    /// The mark of a replica.
    Replica,
    /// A key slot.
    Slot([u8; 16]),
    /// A pack.
    Pack(Digest),
    /// An index run.
    Run(Digest),
    /// A ledger record.
    Record(LedgerName),
    /// A bundle of records.
    Bundle(Seq, Seq),
    /// A checkpoint.
    Checkpoint(Seq),
    /// A long list of a record.
    List(Digest),
    /// What a probe left behind.
    Probe([u8; 16]),
    /// A slot of a store's stream.
    Stream {
        /// The stream's id.
        id: [u8; 16],
        /// The epoch of its author.
        epoch: u64,
        /// The slot's number.
        slot: u64,
    },
}

/// The name of a record: its number, and its digest in a vault for a single writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerName {
    /// The record's number.
    pub seq: Seq,
    /// The record's hash, where the place cannot refuse a second one under the same number.
    pub digest: Option<Digest>,
}

impl NamedObject {
    /// What lies under this name; `None` when the format has no such name.
    pub fn parse(name: &ObjectName) -> Option<Self> {
        let text = name.as_str();
        match text {
            "config" => return Some(Self::Config),
            "replica" => return Some(Self::Replica),
            _ => {}
        }
        let (folder, rest) = text.split_once('/')?;
        match folder {
            "keys" => Some(Self::Slot(random_name(rest)?)),
            "packs" => {
                let (fan, digest) = rest.split_once('/')?;
                (digest.get(..2) == Some(fan)).then_some(())?;
                Some(Self::Pack(digest.parse().ok()?))
            }
            "index" => Some(Self::Run(rest.parse().ok()?)),
            "ledger" => match rest.split_once('-') {
                None => Some(Self::Record(LedgerName { seq: number(rest)?, digest: None })),
                Some((seq, digest)) => Some(Self::Record(LedgerName {
                    seq: number(seq)?,
                    digest: Some(digest.parse().ok()?),
                })),
            },
            "bundles" => {
                let (first, last) = rest.split_once('-')?;
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Bundle(first, last))
            }
            "checkpoints" => Some(Self::Checkpoint(number(rest)?)),
            "lists" => Some(Self::List(rest.parse().ok()?)),
            "probe" => Some(Self::Probe(random_name(rest)?)),
            "streams" => {
                let (id, rest) = rest.split_once('/')?;
                let (epoch, slot) = rest.split_once('/')?;
                let (epoch, slot) = (number(epoch)?.0, number(slot)?.0);
                Some(Self::Stream { id: random_name(id)?, epoch, slot })
            }
            _ => None,
        }
    }
}

/// 32 hex digits.
fn random_name(text: &str) -> Option<[u8; 16]> {
    Some(*text.parse::<SessionId>().ok()?.as_bytes())
}

fn number(text: &str) -> Option<Seq> {
    let canonical =
        text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    canonical.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(Seq)
}

fn name(text: String) -> ObjectName {
    text.parse().expect("every name made here is short lower-case hex and slashes")
}

fn prefix(text: &str) -> NamePrefix {
    text.parse().expect("every prefix made here is a folder's name and a slash")
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_parses_back_to_what_it_names() {
        let digest = Digest::of(b"x");
        let cases = [
            (VaultNames::config(), NamedObject::Config),
            (VaultNames::replica(), NamedObject::Replica),
            (VaultNames::slot(&[7; 16]), NamedObject::Slot([7; 16])),
            (VaultNames::pack(&digest), NamedObject::Pack(digest)),
            (VaultNames::run(&digest), NamedObject::Run(digest)),
            (
                VaultNames::record(Seq(258)),
                NamedObject::Record(LedgerName { seq: Seq(258), digest: None }),
            ),
            (VaultNames::bundle(Seq(0), Seq(1023)), NamedObject::Bundle(Seq(0), Seq(1023))),
            (VaultNames::checkpoint(Seq(9)), NamedObject::Checkpoint(Seq(9))),
            (VaultNames::list(&digest), NamedObject::List(digest)),
        ];
        for (name, object) in cases {
            assert_eq!(NamedObject::parse(&name), Some(object), "{name}");
        }
        let digits = "07".repeat(16);
        let parse = |text: String| NamedObject::parse(&text.parse().unwrap());
        assert_eq!(parse(format!("probe/{digits}")), Some(NamedObject::Probe([7; 16])));
        let stream = NamedObject::Stream { id: [7; 16], epoch: 3, slot: 255 };
        let name = format!("streams/{digits}/0000000000000003/00000000000000ff");
        assert_eq!(parse(name), Some(stream));
    }

    #[test]
    fn a_name_that_the_format_does_not_make_names_nothing() {
        let number = "0000000000000001";
        let random = "00112233445566778899aabbccddeeff";
        let longer = format!("{random}0");
        for text in [
            "packs/00/11",
            "ledger/1",
            "ledger/+000000000000001",
            "other/thing",
            "keys/",
            "probe/1",
            &format!("probe/{longer}"),
            &format!("probe/{random}/0"),
            &format!("bundles/{number}-0000000000000000"),
            "streams/1",
            &format!("streams/{random}"),
            &format!("streams/{random}/{number}"),
            &format!("streams/{random}/{number}/1"),
            &format!("streams/{random}/1/{number}"),
            &format!("streams/{longer}/{number}/{number}"),
            &format!("streams/{random}/{number}/{number}/{number}"),
        ] {
            let Ok(name) = text.parse::<ObjectName>() else { continue };
            assert_eq!(NamedObject::parse(&name), None, "{text}");
        }
    }
}
