//! Takes folders off the front of paths, so that no two of what is left are one.
//!
//! What has no more names is left out. Where two folders that were taken off hold one name, the
//! first has it; the other's is refused, as writing both would mix them. DESIGN.md §10.

use crate::Result;

/// How an entry's path is shortened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stripped<'p> {
    /// To this.
    To(&'p [u8]),
    /// To nothing.
    Gone,
    /// To what another folder's has already.
    Taken,
}

/// Shortens relative paths in the order of their keys.
#[derive(Debug, Default)]
pub(crate) struct Strip {
    count: usize,
    /// What was taken off so far.
    prefixes: Vec<Vec<u8>>,
    /// The name judged last: its prefix, itself, and whether it was taken.
    last: Option<(usize, Vec<u8>, bool)>,
}

/// So many different folders can be taken off; what lies below more of them is refused.
const PREFIXES_MAX: usize = 1024;

impl Strip {
    pub(crate) fn new(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    /// The path without its first folders. `exists` says whether the snapshot has an entry at a
    /// path relative to what is restored.
    pub(crate) fn apply<'p>(
        &mut self,
        relative: &'p [u8],
        exists: impl Fn(&[u8]) -> Result<bool>,
    ) -> Result<Stripped<'p>> {
        let Some(at) = border(relative, self.count) else { return Ok(Stripped::Gone) };
        let rest = &relative[at..];
        if self.count == 0 {
            return Ok(Stripped::To(rest));
        }
        let (prefix, first) = (&relative[..at], first_name(rest));
        let number = match self.prefixes.iter().position(|known| known == prefix) {
            Some(number) => number,
            None if self.prefixes.len() == PREFIXES_MAX => return Ok(Stripped::Taken),
            None => {
                self.prefixes.push(prefix.to_vec());
                self.prefixes.len() - 1
            }
        };
        let is_taken = match &self.last {
            Some((last, name, is_taken)) if *last == number && name == first => *is_taken,
            _ => {
                let mut is_taken = false;
                for earlier in &self.prefixes[..number] {
                    is_taken |= exists(&[earlier, first].concat())?;
                }
                self.last = Some((number, first.to_vec(), is_taken));
                is_taken
            }
        };
        Ok(if is_taken { Stripped::Taken } else { Stripped::To(rest) })
    }
}

/// A path without so many names, whatever others may be; `None` when nothing is left.
pub(crate) fn strip(relative: &[u8], count: usize) -> Option<&[u8]> {
    border(relative, count).map(|at| &relative[at..])
}

/// Where a path goes on after so many names.
fn border(relative: &[u8], count: usize) -> Option<usize> {
    let mut at = 0;
    for _ in 0..count {
        at += relative[at..].iter().position(|byte| *byte == b'/')? + 1;
    }
    (at < relative.len()).then_some(at)
}

fn first_name(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_more_names_is_gone_and_what_is_taken_is_refused() {
        let mut strip = Strip::new(2);
        let exists = |path: &[u8]| Ok(path == b"a/b/x");
        let mut apply = |path: &'static str| strip.apply(path.as_bytes(), exists).unwrap();
        assert_eq!(apply("a"), Stripped::Gone);
        assert_eq!(apply("a/b"), Stripped::Gone);
        assert_eq!(apply("a/b/x"), Stripped::To(b"x"));
        assert_eq!(apply("a/b/x/deep"), Stripped::To(b"x/deep"));
        assert_eq!(apply("a/c/y"), Stripped::To(b"y"));
        assert_eq!(apply("a/c/x"), Stripped::Taken);
        assert_eq!(apply("a/c/x/deep"), Stripped::Taken);
    }
}
