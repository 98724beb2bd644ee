//! What differs between two trees, in key order.
//!
//! Two cursors go side by side. Where both stand on subtrees of equal name, both skip; else the
//! higher one is read, until both stand on entries, which are compared. What the trees share below
//! a common cut is never read, so the cost is the number of changes times the depth.

use crate::cursor::Unit;
use crate::{Cursor, Error, NodeSource};
use crypto::ChunkId;
use std::cmp::Ordering;
use std::ops::Range;

/// Calls `visit` with each difference from tree `a` to tree `b`, in key order.
pub fn diff<A, B, E>(
    a_source: A,
    a_root: ChunkId,
    b_source: B,
    b_root: ChunkId,
    mut visit: impl FnMut(Change<'_>),
) -> Result<(), Error<E>>
where
    A: NodeSource<Error = E>,
    B: NodeSource<Error = E>,
{
    let mut diff = Diff::new(a_source, a_root, b_source, b_root);
    while let Some(change) = diff.next()? {
        visit(change);
    }
    Ok(())
}

/// One difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Only the second tree has the key.
    Added {
        /// The key.
        key: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// Only the first tree has the key.
    Removed {
        /// The key.
        key: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// Both trees have the key, with different values.
    Changed {
        /// The key.
        key: &'a [u8],
        /// Its value in the first tree.
        before: &'a [u8],
        /// Its value in the second tree.
        after: &'a [u8],
    },
}

/// The differences between two trees, one at a time.
pub struct Diff<A, B> {
    a: Cursor<A>,
    b: Cursor<B>,
    /// What was lent last, and is gone past before the next.
    lent: Option<Ordering>,
    /// Where to begin, until that is done.
    start: Option<Vec<u8>>,
    /// The first key that is not looked at.
    end: Option<Vec<u8>>,
    is_done: bool,
}

impl<A, B, E> Diff<A, B>
where
    A: NodeSource<Error = E>,
    B: NodeSource<Error = E>,
{
    /// Compares the tree at `a_root` with the one at `b_root`; reads nothing yet, and never
    /// anything when both are one.
    pub fn new(a_source: A, a_root: ChunkId, b_source: B, b_root: ChunkId) -> Self {
        let (a, b) = (Cursor::new(a_source, a_root), Cursor::new(b_source, b_root));
        Self { a, b, lent: None, start: None, end: None, is_done: a_root == b_root }
    }

    /// Looks only at these keys. To be said before the first difference is asked for.
    #[must_use]
    pub fn within(self, keys: Range<Vec<u8>>) -> Self {
        Self { start: Some(keys.start), end: Some(keys.end), ..self }
    }

    /// The next difference in key order; nothing at the end.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend what it holds")]
    pub fn next(&mut self) -> Result<Option<Change<'_>>, Error<E>> {
        if self.is_done {
            return Ok(None);
        }
        if let Some(start) = self.start.take() {
            self.a.seek(&start)?;
            self.b.seek(&start)?;
        }
        if let Some(order) = self.lent.take() {
            self.pass(order);
        }
        let Some(order) = self.find()? else {
            self.is_done = true;
            return Ok(None);
        };
        self.lent = Some(order);
        let change = match order {
            Ordering::Less => self.a.peek()?.map(|(key, value)| Change::Removed { key, value }),
            Ordering::Greater => self.b.peek()?.map(|(key, value)| Change::Added { key, value }),
            Ordering::Equal => {
                let (a, b) = (self.a.peek()?, self.b.peek()?);
                a.zip(b).map(|((key, before), (_, after))| Change::Changed { key, before, after })
            }
        };
        Ok(change)
    }

    /// Goes on until the cursors stand on a difference: `Less` when it is an entry of the first
    /// tree alone, `Greater` of the second alone, `Equal` of both.
    fn find(&mut self) -> Result<Option<Ordering>, Error<E>> {
        loop {
            if let Some(end) = &self.end
                && self.a.is_beyond(end)?
                && self.b.is_beyond(end)?
            {
                return Ok(None);
            }
            let step = compare(self.a.unit()?, self.b.unit()?);
            match step {
                Step::End => return Ok(None),
                Step::Differ(order) => return Ok(Some(order)),
                Step::Same => self.pass(Ordering::Equal),
                Step::ExpandFirst => self.a.expand()?,
                Step::ExpandSecond => self.b.expand()?,
            }
        }
    }

    fn pass(&mut self, order: Ordering) {
        if order.is_le() {
            self.a.advance();
        }
        if order.is_ge() {
            self.b.advance();
        }
    }
}

enum Step {
    End,
    Differ(Ordering),
    Same,
    ExpandFirst,
    ExpandSecond,
}

fn compare(a: Option<Unit<'_>>, b: Option<Unit<'_>>) -> Step {
    use Unit::{Entry, Subtree};
    match (a, b) {
        (None, None) => Step::End,
        (
            Some(Subtree { level: a, child: left, .. }),
            Some(Subtree { level: b, child: right, .. }),
        ) => match a.cmp(&b) {
            Ordering::Equal if left.id == right.id => Step::Same,
            Ordering::Less => Step::ExpandSecond,
            _ => Step::ExpandFirst,
        },
        (Some(Subtree { .. }), _) => Step::ExpandFirst,
        (_, Some(Subtree { .. })) => Step::ExpandSecond,
        (Some(Entry { .. }), None) => Step::Differ(Ordering::Less),
        (None, Some(Entry { .. })) => Step::Differ(Ordering::Greater),
        (Some(Entry { key: a, value: before }), Some(Entry { key: b, value: after })) => {
            match a.cmp(b) {
                Ordering::Equal if before == after => Step::Same,
                order => Step::Differ(order),
            }
        }
    }
}

#[cfg(test)]
mod tests;
