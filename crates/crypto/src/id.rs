//! Names of things, as types: a vault, a member, a session, a domain, a chunk, an object's bytes.
//!
//! They are plain byte arrays of fixed length, shown as lower-case hex; `Display` and `FromStr` are
//! inverse. They live on the ground floor because the envelope, key derivation and digests speak of
//! them; `format` re-exports them with the other ids. FORMAT.md §2.

use crate::Entropy;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Length in bytes.
            pub const BYTES: usize = $bytes;

            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The id's bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text).map(Self)
            }
        }
    };
}

id! {
    /// Names a vault: the SHA-256 of its root public key, so it certifies itself.
    VaultId, 32
}
id! {
    /// Names a writer's work between an `open` and a `commit` record; the snapshot it makes has the
    /// same id.
    SessionId, 16
}
id! {
    /// Names a member by the digest of its public keys. All zeros is the owner's root key.
    MemberId, 16
}
id! {
    /// Names a dedup domain. All zeros is the default domain.
    DomainId, 16
}
id! {
    /// Names a chunk by the keyed digest of its kind and plaintext: equal content, equal id, within
    /// one domain.
    ChunkId, 32
}
id! {
    /// The unkeyed BLAKE3 digest of public bytes: the name of an object, the hash of a record.
    Digest, 32
}

impl SessionId {
    /// Draws a new session id.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; Self::BYTES];
        entropy.fill(&mut bytes);
        Self(bytes)
    }
}

impl MemberId {
    /// The author of records signed by the owner's root key.
    pub const ROOT: Self = Self([0; 16]);
}

impl DomainId {
    /// The domain of members that were given none of their own.
    pub const DEFAULT: Self = Self([0; 16]);
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

/// Digests bytes that arrive in pieces.
#[derive(Default)]
pub struct Digester(blake3::Hasher);

impl Digester {
    /// Starts with no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next piece.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The digest of all pieces so far.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// Counts the rotations of a vault's keys, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Epoch(pub u32);

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that should be an id and is not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an id: {expected} lower-case hex digits are expected, {} were given",
    text.len()
)]
pub struct ParseIdError {
    /// What was given.
    pub text: String,
    /// How many digits the id has.
    pub expected: usize,
}

fn write_hex(f: &mut std::fmt::Formatter<'_>, bytes: &[u8]) -> std::fmt::Result {
    for byte in bytes {
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let error = || ParseIdError { text: text.chars().take(80).collect(), expected: 2 * N };
    if text.len() != 2 * N {
        return Err(error());
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = hex_value(pair[0]).ok_or_else(error)?;
        let low = hex_value(pair[1]).ok_or_else(error)?;
        *byte = high << 4 | low;
    }
    Ok(bytes)
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text_and_nothing_else_does() {
        let id = SessionId::from_bytes(*b"0123456789abcdef");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "3", "zz", &"A".repeat(32), &"0".repeat(31), &"0".repeat(33)] {
            assert!(wrong.parse::<SessionId>().is_err(), "{wrong:?} was taken for an id");
        }
    }

    #[test]
    fn a_digest_of_pieces_is_the_digest_of_the_whole() {
        let mut digester = Digester::new();
        digester.update(b"strong").update(b"room");
        assert_eq!(digester.finish(), Digest::of(b"strongroom"));
    }
}
