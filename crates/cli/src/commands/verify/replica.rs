//! `verify --replica`: whether a replica is complete and whole, beside its vault and without a key.
//!
//! The two ledgers are compared and the target is listed; bytes are read when --data or --sample
//! asks for it. What the vault has dropped since the replica's newest record is not missed there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::slice;

use strongroom::{Damage, Verification, compare_replica, verify_keyless};

use super::{Args, Verified};
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::Remark;
use crate::progress::Display;
use crate::targets::Targets;

/// The next step where a replica is damaged.
pub(super) const HINT: &str = "run `strongroom replicate` again: it copies what is missing; what \
    is damaged it leaves, so delete that at the replica first";

/// Verifies a replica.
pub(super) fn verify(url: &OsString, args: &Args, context: &Context) -> Result<Verified> {
    let stop = context.signals.stop();
    let targets = Targets::parse(slice::from_ref(url), context)?;
    let source = context.open_place_limited(None)?;
    let target = targets.open_to_read(0, args.limit_read, context)?;
    let display = Display::start(context, "objects", None);
    let stopped = |failure: Failure| match context.check_stopped() {
        Err(stopped) => stopped.when_stopped("nothing was changed; run it again to verify all"),
        Ok(()) => failure,
    };
    let compared =
        compare_replica(&source, &target, stop).map_err(|error| stopped(error.into()))?;
    let found = verify_keyless(&target, args.reading(), display.meter(), stop);
    let mut found = found.map_err(|error| stopped(error.into()))?;
    let elapsed = display.meter().elapsed();
    let is_dropped = |object: &str| compared.dropped_since.contains(object);
    found.damage.retain(|damage| !is_dropped(&damage.object));
    add_missing(&compared.missing, &mut found);
    Ok(Verified {
        found,
        reading: args.reading(),
        replica: Some(compared),
        depth: args.depth(),
        elapsed,
        is_verbose: context.output.verbose,
    })
}

/// Names what the comparison found and the reading did not.
fn add_missing(missing: &[strongroom::MissingObject], found: &mut Verification) {
    let named: BTreeSet<String> = found.damage.iter().map(|d| d.object.clone()).collect();
    for missing in missing.iter().filter(|missing| !named.contains(missing.object.as_str())) {
        found.damage.push(Damage {
            object: missing.object.to_string(),
            reason: missing.reason.clone(),
            snapshots: Vec::new(),
            paths: Vec::new(),
            paths_total: 0,
        });
    }
}

/// The vault's own ledger ends early.
pub(super) fn broken(reason: &str) -> Remark {
    let text = format!("the vault's ledger was not read to its end: {reason}");
    Remark::new(text).hint("`strongroom ledger mend --dry-run` shows the owner what to do")
}
