//! The one encoding of everything Strongroom writes.
//!
//! Fields follow one another in the order that FORMAT.md gives: fixed-width little-endian integers,
//! `bytes` = u32 length ‖ bytes, list = u32 count ‖ items, option = u8 0|1 ‖ value. There are no
//! trailing bytes. Decoding never allocates more than its input justifies: every length is checked
//! against what is left before anything is taken. FORMAT.md §1.

/// Writes fields one after another.
#[derive(Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// Starts with no fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Eight bytes, little-endian, two's complement.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Bytes whose number the format fixes.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// u32 length, then the bytes.
    ///
    /// # Panics
    /// When `bytes` has 4 GiB or more: every field has a far lower limit, kept by who builds it.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len()).raw(bytes)
    }

    /// u32 count of the items that follow.
    ///
    /// # Panics
    /// When the count does not fit in a u32, as for [`Self::bytes`].
    pub fn count(&mut self, items: usize) -> &mut Self {
        self.u32(u32::try_from(items).expect("fields stay far below 4 GiB"))
    }

    /// u32 count, then each item.
    pub fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.count(items.len());
        for each in items {
            item(self, each);
        }
        self
    }

    /// 0, or 1 and the value.
    pub fn option<T>(&mut self, value: Option<&T>, some: impl FnOnce(&mut Self, &T)) -> &mut Self {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                some(self, value);
                self
            }
        }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// All that was written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads fields one after another.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Decoder<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Eight bytes, little-endian, two's complement.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_le_bytes)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.raw(N)?);
        Ok(array)
    }

    /// The next `count` bytes.
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(DecodeError::Short { at: self.position(), wanted: count });
        };
        self.rest = rest;
        Ok(taken)
    }

    /// u32 length ≤ `max`, then that many bytes.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], DecodeError> {
        let at = self.position();
        let length = self.u32()? as usize;
        if length > max {
            return Err(DecodeError::Limit { at, value: length as u64, max: max as u64 });
        }
        self.raw(length)
    }

    /// u32 count ≤ `max` of items that take at least `item_bytes` each.
    pub fn count(&mut self, max: usize, item_bytes: usize) -> Result<usize, DecodeError> {
        let at = self.position();
        let count = self.u32()? as usize;
        if count > max {
            return Err(DecodeError::Limit { at, value: count as u64, max: max as u64 });
        }
        if count.saturating_mul(item_bytes) > self.rest.len() {
            return Err(DecodeError::Short { at, wanted: count.saturating_mul(item_bytes) });
        }
        Ok(count)
    }

    /// u32 count ≤ `max`, then the items, each at least `item_bytes` long.
    pub fn list<T, E: From<DecodeError>>(
        &mut self,
        max: usize,
        item_bytes: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        let count = self.count(max, item_bytes)?;
        (0..count).map(|_| item(self)).collect()
    }

    /// 0, or 1 and a value.
    pub fn option<T, E: From<DecodeError>>(
        &mut self,
        some: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let at = self.position();
        match self.u8()? {
            0 => Ok(None),
            1 => some(self).map(Some),
            value => Err(DecodeError::Invalid { at, what: "option", value: value.into() }.into()),
        }
    }

    /// An error at the field just read.
    pub fn invalid(&self, what: &'static str, value: u64) -> DecodeError {
        DecodeError::Invalid { at: self.position(), what, value }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Checks that nothing is left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { at: self.position(), count }),
        }
    }
}

/// Why bytes are not what they should be. Positions and lengths are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too soon.
    #[error("the bytes end too soon: {wanted} bytes were expected at byte {at}")]
    Short {
        /// Where the field begins.
        at: usize,
        /// How many bytes it needs.
        wanted: usize,
    },
    /// Bytes follow the last field.
    #[error("{count} bytes follow the last field, which ends at byte {at}")]
    Trailing {
        /// Where the last field ends.
        at: usize,
        /// How many bytes follow it.
        count: usize,
    },
    /// A length or count is above its limit.
    #[error("a length or count of {value} at byte {at} is above its limit, {max}")]
    Limit {
        /// Where it lies.
        at: usize,
        /// What it says.
        value: u64,
        /// What it may say at most.
        max: u64,
    },
    /// A field holds a value that the format does not know.
    #[error("{what} may not be {value} (byte {at})")]
    Invalid {
        /// Where it lies.
        at: usize,
        /// Which field.
        what: &'static str,
        /// What it holds.
        value: u64,
    },
    /// The same meaning would be encoded otherwise.
    #[error("{what} is not in its one canonical form")]
    NotCanonical {
        /// Which field or structure.
        what: &'static str,
    },
    /// A version above what this program knows.
    #[error("{what} has format version {version}; this program knows up to {known}")]
    Version {
        /// Which structure.
        what: &'static str,
        /// Its version.
        version: u8,
        /// The newest version known.
        known: u8,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_back_as_they_were_written() {
        let mut encoder = Encoder::new();
        encoder.u8(1).u16(2).u32(3).u64(4).i64(-5).bytes(b"six");
        encoder.list(&[7u32, 8], |e, v| {
            e.u32(*v);
        });
        encoder.option(Some(&9u8), |e, v| {
            e.u8(*v);
        });
        let bytes = encoder.finish();

        let mut decoder = Decoder::new(&bytes);
        assert_eq!(decoder.u8(), Ok(1));
        assert_eq!(decoder.u16(), Ok(2));
        assert_eq!(decoder.u32(), Ok(3));
        assert_eq!(decoder.u64(), Ok(4));
        assert_eq!(decoder.i64(), Ok(-5));
        assert_eq!(decoder.bytes(3), Ok(&b"six"[..]));
        assert_eq!(decoder.list::<_, DecodeError>(2, 4, |d| d.u32()), Ok(vec![7, 8]));
        assert_eq!(decoder.option::<_, DecodeError>(|d| d.u8()), Ok(Some(9)));
        assert_eq!(decoder.finish(), Ok(()));
    }

    #[test]
    fn a_length_beyond_the_input_or_the_limit_is_refused_before_anything_is_taken() {
        let huge = u32::MAX.to_le_bytes();
        assert!(matches!(Decoder::new(&huge).bytes(10), Err(DecodeError::Limit { .. })));
        assert!(matches!(Decoder::new(&huge).bytes(usize::MAX), Err(DecodeError::Short { .. })));
        assert!(matches!(Decoder::new(&huge).count(usize::MAX, 1), Err(DecodeError::Short { .. })));
        assert!(matches!(Decoder::new(&[0]).finish(), Err(DecodeError::Trailing { .. })));
    }
}
