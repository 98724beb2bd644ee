//! `key policy`: what a bucket must allow the holder of a role, as a policy in JSON.
//!
//! Cryptography stops nobody from deleting; credentials do. Each role may do at the bucket what its
//! commands need and no more: nobody but the owner and a replicator's source reads key slots, only
//! who collects deletes, and nobody destroys a version. It is made from the URL alone: no key is
//! needed and nothing is asked. DESIGN.md §6.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::{Value, json};
use strongroom::{PlaceUrl, S3Url};

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::{Fields, Report, fields};

/// Prints what a bucket must allow the holder of a role.
///
/// Attach it to the identity whose credentials the role's host has: one identity for each role. It
/// is printed from --vault s3://… alone; no key is needed. With --lock-mode and --lock-days it also
/// allows to lock. For Amazon S3 (a URL without an endpoint) it refuses to write over objects;
/// other services do not know that condition.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose policy
    #[arg(long, value_name = "ROLE")]
    role: Holder,
    /// Add what only Amazon S3 knows, also where the URL names an endpoint
    #[arg(long)]
    deny_overwrite: bool,
}

/// Who holds the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Holder {
    /// Backs up
    Writer,
    /// Restores, verifies, reports damage
    Reader,
    /// Forgets, collects, extends locks
    Collector,
    /// Checks the ledger
    Auditor,
    /// Lists and finds
    Browser,
    /// Everything
    Owner,
    /// Replicates to this vault
    Replica,
    /// Replicates from this vault
    ReplicaSource,
}

/// Below a vault's prefix: the folders and objects that are no key slots.
const SEALED: [&str; 10] = [
    "config",
    "replica",
    "ledger/*",
    "lists/*",
    "bundles/*",
    "checkpoints/*",
    "index/*",
    "packs/*",
    "streams/*",
    "probe/*",
];
const EVERYTHING: [&str; 1] = ["*"];
/// What whoever appends to the ledger puts.
const APPENDING: [&str; 4] = ["ledger/*", "lists/*", "bundles/*", "probe/*"];
/// What a collection deletes. Nobody deletes records, keys or the config.
const COLLECTED: [&str; 4] = ["packs/*", "index/*", "streams/*", "probe/*"];

/// What a role does at a bucket, below the vault's prefix.
struct Rights {
    reads: Vec<&'static str>,
    puts: Vec<&'static str>,
    deletes: Vec<&'static str>,
    /// Locks beside those of what it puts.
    extends_locks: bool,
}

impl Rights {
    fn of(holder: Holder) -> Self {
        let more = |more: &[&'static str]| [&APPENDING[..], more].concat();
        let (reads, puts, deletes) = match holder {
            Holder::Writer => (&SEALED[..], more(&["index/*", "packs/*", "streams/*"]), &[][..]),
            Holder::Reader => (&SEALED[..], more(&[]), &[][..]),
            Holder::Collector => (&SEALED[..], more(&["checkpoints/*", "index/*"]), &COLLECTED[..]),
            Holder::Auditor => (&SEALED[..], more(&["checkpoints/*"]), &[][..]),
            Holder::Browser => (&SEALED[..], Vec::new(), &[][..]),
            Holder::Owner => (&EVERYTHING[..], EVERYTHING.to_vec(), &EVERYTHING[..]),
            Holder::Replica => (&EVERYTHING[..], EVERYTHING.to_vec(), &COLLECTED[..]),
            Holder::ReplicaSource => (&EVERYTHING[..], Vec::new(), &[][..]),
        };
        let extends_locks = matches!(holder, Holder::Collector | Holder::Owner | Holder::Replica);
        Self { reads: reads.to_vec(), puts, deletes: deletes.to_vec(), extends_locks }
    }
}

/// Makes a policy.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Policy> {
    let url = match context.place_url()? {
        PlaceUrl::S3(url) => url,
        other => {
            return Err(Failure::usage(
                format!("{other} is no bucket: only buckets have policies"),
                "name the bucket and the prefix, such as --vault s3://BUCKET/PREFIX; below a \
                 folder, owners and modes of files do the same",
            ));
        }
    };
    let conditions = match url.endpoint.is_none() || args.deny_overwrite {
        true => Conditions::Amazon,
        false => Conditions::Common,
    };
    let locking = match context.common.lock()? {
        Some(_) => Locking::Yes,
        None => Locking::No,
    };
    let rights = Rights::of(args.role);
    let statements = statements(&url, &rights, conditions, locking);
    let notes = notes(&url, &rights, conditions, locking);
    notes.iter().for_each(|note| context.output.note(note));
    Ok(Policy { statements, notes })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Conditions {
    /// What every service with policies knows.
    Common,
    Amazon,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Locking {
    Yes,
    No,
}

fn statements(
    url: &S3Url,
    rights: &Rights,
    conditions: Conditions,
    locking: Locking,
) -> Vec<Value> {
    let bucket = format!("arn:aws:s3:::{}", url.bucket);
    let resources = |parts: &[&str]| -> Vec<String> {
        let prefix = match url.prefix.is_empty() {
            true => String::new(),
            false => format!("{}/", url.prefix),
        };
        parts.iter().map(|part| format!("{bucket}/{prefix}{part}")).collect()
    };
    let mut list = allow("List", &["s3:ListBucket", "s3:ListBucketVersions"], json!(bucket));
    let mut statements = Vec::new();
    if !url.prefix.is_empty() {
        list["Condition"] = json!({ "StringLike": { "s3:prefix": [format!("{}/*", url.prefix)] } });
    }
    statements.push(list);
    if !url.prefix.is_empty() && conditions == Conditions::Amazon {
        let mut absent = allow("KnowWhatIsAbsent", &["s3:ListBucket"], json!(bucket));
        absent["Condition"] = json!({ "Null": { "s3:prefix": "true" } });
        statements.push(absent);
    }
    let looks = ["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"];
    statements.push(allow("KnowTheBucket", &looks, json!(bucket)));
    let reads = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention"];
    statements.push(allow("Read", &reads, json!(resources(&rights.reads))));
    if !rights.puts.is_empty() {
        let puts = ["s3:PutObject", "s3:AbortMultipartUpload"];
        statements.push(allow("Add", &puts, json!(resources(&rights.puts))));
    }
    if locking == Locking::Yes && !rights.puts.is_empty() {
        let locked = if rights.extends_locks { &EVERYTHING[..] } else { &rights.puts[..] };
        statements.push(allow("Lock", &["s3:PutObjectRetention"], json!(resources(locked))));
    }
    if !rights.deletes.is_empty() {
        let deletes = json!(resources(&rights.deletes));
        statements.push(allow("Delete", &["s3:DeleteObject"], deletes));
    }
    if conditions == Conditions::Amazon && !rights.puts.is_empty() {
        statements.push(json!({
            "Sid": "NeverWriteOver",
            "Effect": "Deny",
            "Action": "s3:PutObject",
            "Resource": resources(&EVERYTHING),
            // Parts of a large object carry no condition; the request that ends it does.
            "Condition": {
                "Null": { "s3:if-none-match": "true" },
                "Bool": { "s3:ObjectCreationOperation": "true" },
            },
        }));
    }
    statements
}

/// What the policy cannot say.
fn notes(
    url: &S3Url,
    rights: &Rights,
    conditions: Conditions,
    locking: Locking,
) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if conditions == Conditions::Common && !rights.puts.is_empty() {
        notes.push(
            "who may put may also write over: only a bucket that keeps versions, or locks objects, \
             keeps what was there (`strongroom repair --versions` puts it back)",
        );
    }
    if conditions == Conditions::Amazon && !url.prefix.is_empty() {
        notes.push(
            "KnowWhatIsAbsent lets Amazon S3 answer that an object is not there; it also lists \
             names of other prefixes, so give a vault a bucket of its own",
        );
    }
    if !rights.deletes.is_empty() {
        notes.push(match locking {
            Locking::Yes => {
                "where versions are kept a delete only hides: let a lifecycle rule of the bucket \
                 expire noncurrent versions, which waits for locks"
            }
            Locking::No => {
                "where versions are kept a delete only hides: let a lifecycle rule of the bucket \
                 expire noncurrent versions"
            }
        });
    }
    notes
}

/// A policy, and what it cannot say.
pub(crate) struct Policy {
    statements: Vec<Value>,
    notes: Vec<&'static str>,
}

impl Policy {
    fn document(&self) -> Value {
        json!({ "Version": "2012-10-17", "Statement": self.statements })
    }
}

impl Report for Policy {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{:#}", self.document())
    }

    fn is_answer(&self) -> bool {
        true
    }

    fn fields(&self) -> Fields {
        fields(json!({ "policy": self.document(), "notes": self.notes }))
    }
}

fn allow(sid: &str, actions: &[&str], resources: Value) -> Value {
    json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources })
}
