//! Keeps a second place after the first, without a key, in weather as bad. Its processes die and
//! go on where the last one ended.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crypto::SeededEntropy;
use replica::{Components, Quiet, ReplicaOptions, Replicator};
use testkit::simulation::Bucket;
use vault::Vault;

use super::{Actor, Host};
use crate::oracle::lock;

pub(crate) struct Copyist {
    pub(crate) target: Arc<Bucket>,
}

impl Actor for Copyist {
    fn act(&mut self, host: &mut Host, vault: &mut Vault) -> vault::Result<()> {
        let target = host.handle(&self.target);
        let clock = host.clock.clone();
        let entropy = Arc::new(SeededEntropy::new(host.dice.draw()));
        let target = Components { place: target, clock, entropy };
        let hold = Duration::from_secs(*host.dice.pick(&[0, 86_400]).unwrap_or(&0));
        let options = ReplicaOptions { hold, connections: 1, ..ReplicaOptions::default() };
        let source = vault.components().clone();
        let mut replicator = Replicator::new(source, target, options);
        while let Ok(pass) = replicator.pass(&Quiet, &AtomicBool::new(false)) {
            lock(&host.register).counts.replicated += pass.records;
            host.rest();
            if host.dice.chance(1, 2) {
                break;
            }
        }
        Ok(())
    }
}
