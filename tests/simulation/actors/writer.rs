//! A backup host: builds on a snapshot or on none, stores a tree, commits. It rests between files,
//! publishes at times, walks again when told to, and tries again when nobody answers.

use format::{Counts, SnapshotContent};
use vault::{CommitOutcome, Committed, Compression, SnapshotDraft, Vault, WriteOptions, Writer};

use super::{Actor, Host};
use crate::oracle::lock;
use crate::trees::{self, Tree};

pub(crate) struct BackupHost {
    /// How many different contents there are.
    pub(crate) contents: u64,
}

impl Actor for BackupHost {
    fn act(&mut self, host: &mut Host, vault: &mut Vault) -> vault::Result<()> {
        let domain = vault.keyring().domain();
        let base = {
            let ledger = vault.ledger();
            let register = lock(&host.register);
            let known = ledger.state().snapshots();
            let known = known.filter(|(_, snapshot)| snapshot.domain == domain);
            let known: Vec<_> =
                known.filter_map(|(id, _)| register.trees.get_key_value(&id)).collect();
            let newest = known.len().saturating_sub(3);
            let base = host.dice.pick(&known[newest..]);
            base.filter(|_| host.dice.chance(3, 4)).map(|(id, tree)| (**id, (*tree).clone()))
        };
        let options = WriteOptions {
            base: base.as_ref().map(|(id, _)| *id),
            compression: Compression::None,
            ..WriteOptions::default()
        };
        let mut writer = vault.write(options)?;
        let base = base.map(|(_, tree)| tree).filter(|_| writer.base().is_some());
        self.back_up(host, &mut writer, base.as_ref())?;
        Ok(())
    }
}

/// Walks that end in `Again` before a host gives up for now.
const WALKS: usize = 4;
/// Tries to commit when the place does not answer.
const TRIES: usize = 2;

impl BackupHost {
    fn back_up(
        &self,
        host: &mut Host,
        writer: &mut Writer,
        base: Option<&Tree>,
    ) -> vault::Result<Option<Committed>> {
        let before = base.map(|base| base.files.clone()).unwrap_or_default();
        let files = trees::changed(&before, self.contents, &mut host.dice);
        for _ in 0..WALKS {
            let tree = trees::write(writer, &files, base, || host.rest())?;
            let root = tree.root;
            lock(&host.register).trees.insert(writer.session(), tree);
            if host.dice.chance(1, 3) {
                writer.publish()?;
                host.rest();
            }
            match self.commit(host, writer, draft(host, root))? {
                CommitOutcome::Committed(committed) => {
                    let mut register = lock(&host.register);
                    register.acknowledged.insert(committed.snapshot, committed.seq);
                    register.counts.inherited += u64::from(base.is_some());
                    return Ok(Some(committed));
                }
                _ => lock(&host.register).counts.again += 1,
            }
        }
        Ok(None)
    }

    fn commit(
        &self,
        host: &mut Host,
        writer: &mut Writer,
        draft: SnapshotDraft,
    ) -> vault::Result<CommitOutcome> {
        let mut tries = 1;
        loop {
            match writer.commit(draft.clone()) {
                Err(error) if error.kind() == vault::ErrorKind::Unavailable && tries < TRIES => {
                    tries += 1;
                    host.rest();
                }
                ended => return ended,
            }
        }
    }
}

pub(crate) fn draft(host: &Host, root: crypto::ChunkId) -> SnapshotDraft {
    SnapshotDraft {
        name: "source".into(),
        paths: vec![b"/".to_vec()],
        tags: Vec::new(),
        start: host.clock.now(),
        end: None,
        root,
        content: SnapshotContent::Files,
        counts: Counts::default(),
    }
}
