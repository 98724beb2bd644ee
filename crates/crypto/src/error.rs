//! What can go wrong when bytes are sealed or opened.
//!
//! A variant is a fact that the caller can act on and carries what disagrees; [`Error::kind`]
//! says whose concern it is: damaged bytes, a key that is not held, or a request that makes no
//! sense.

use crate::{DecodeError, Epoch, MemberId, ObjectKind, Role, SmallKind, Suite, VaultId};

/// The result of an operation on keys or sealed bytes.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose concern an [`Error`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are damaged, cut, swapped or forged.
    Corrupt,
    /// The key, role or passphrase does not allow it.
    Denied,
    /// The request or its parameters make no sense.
    Invalid,
    /// A newer program wrote it.
    Unsupported,
    /// The machine has too little of something.
    Unavailable,
}

/// Why bytes were not sealed or opened.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A structure does not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A suite's code that this program does not know.
    #[error("cipher suite {code} is not known to this program (it knows 1 and 2)")]
    UnknownSuite {
        /// The code found.
        code: u16,
    },
    /// A text that should name something and does not.
    #[error("{name:?} is not a {what}")]
    UnknownName {
        /// What was expected.
        what: &'static str,
        /// The text.
        name: String,
    },
    /// The bytes do not begin as a sealed object.
    #[error("the bytes are not a sealed object: they do not begin with STRONGRM")]
    NotSealedObject,
    /// A sealed object of another kind.
    #[error("the object is a sealed {actual}, where a {expected} belongs")]
    ObjectKind {
        /// What belongs there.
        expected: ObjectKind,
        /// What the header says.
        actual: ObjectKind,
    },
    /// A structure or object of another vault.
    #[error("it belongs to vault {actual}, not to {expected}")]
    OtherVault {
        /// The vault at work.
        expected: VaultId,
        /// The vault it names.
        actual: VaultId,
    },
    /// A structure or object of another suite.
    #[error("it is sealed with {actual}, but the vault's cipher suite is {expected}")]
    OtherSuite {
        /// The vault's suite.
        expected: Suite,
        /// The suite it names.
        actual: Suite,
    },
    /// A length that no sealed object has.
    #[error("a {kind} of {length} bytes cannot be whole: it has {least} to {most}")]
    ObjectLength {
        /// Its kind.
        kind: ObjectKind,
        /// Its length, in bytes.
        length: u64,
        /// The shortest, in bytes.
        least: u64,
        /// The longest, in bytes.
        most: u64,
    },
    /// The data key does not open.
    #[error(
        "the data key of the {kind} of epoch {epoch} does not open: damaged, or not that key's"
    )]
    DataKey {
        /// The object's kind.
        kind: ObjectKind,
        /// The epoch in its header.
        epoch: Epoch,
    },
    /// The key commitment does not match.
    #[error("the key commitment of the {kind} does not match its header and data key")]
    Commitment {
        /// The object's kind.
        kind: ObjectKind,
    },
    /// A segment does not authenticate.
    #[error("segment {segment} of the {kind} does not authenticate")]
    Segment {
        /// The object's kind.
        kind: ObjectKind,
        /// The segment, from 0.
        segment: u64,
    },
    /// Ciphertext that is not whole segments of the object.
    #[error("{length} bytes from segment {first} on are not whole segments of the {kind}")]
    SegmentBorder {
        /// The object's kind.
        kind: ObjectKind,
        /// The first segment given.
        first: u64,
        /// The length given, in bytes.
        length: u64,
    },
    /// A range beyond the end of the stream.
    #[error("bytes {start} to {end} lie outside of the {length} bytes of the stream")]
    StreamRange {
        /// First byte asked for.
        start: u64,
        /// Byte after the last asked for.
        end: u64,
        /// Length of the stream.
        length: u64,
    },
    /// The payload's length does not fit into the stream.
    #[error("a payload of {payload} bytes does not fit into a stream of {stream} bytes")]
    PayloadLength {
        /// The payload's length, in bytes.
        payload: u64,
        /// The stream's length, in bytes.
        stream: u64,
    },
    /// The padding is not zeros.
    #[error("the padding of the {kind} is not zeros")]
    Padding {
        /// The object's kind.
        kind: ObjectKind,
    },
    /// A kind of object wrapped by the wrong sort of key.
    #[error("the data key of a {kind} is wrapped by another sort of key")]
    Wrapping {
        /// The object's kind.
        kind: ObjectKind,
    },
    /// A small sealed record does not authenticate.
    #[error("the {kind} does not open: damaged, or sealed by another key or for another place")]
    Small {
        /// Which sort of record.
        kind: SmallKind,
    },
    /// The role does not hold the key.
    #[error("the role {role} holds no key for {what}")]
    NoKey {
        /// The role at work.
        role: Role,
        /// What the key is for.
        what: &'static str,
    },
    /// The role holds the key, but not of this epoch.
    #[error("no {what} key of epoch {epoch} is held: the newest held is of epoch {newest}")]
    NoEpoch {
        /// What the key is for.
        what: &'static str,
        /// The epoch asked for.
        epoch: Epoch,
        /// The newest epoch held.
        newest: Epoch,
    },
    /// The role has no such key in another domain.
    #[error("the role {role} holds no key for {what} of another domain than its own")]
    OtherDomain {
        /// The role at work.
        role: Role,
        /// What the key is for.
        what: &'static str,
    },
    /// More epochs than a keyring holds.
    #[error("{count} epochs of keys are more than the {most} that a keyring holds")]
    Epochs {
        /// How many there would be.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A keyring that already has its member's keys.
    #[error("the keyring already acts as member {member}")]
    MemberAttached {
        /// That member.
        member: MemberId,
    },
    /// A role that cannot be given out.
    #[error("a bundle for the role {role} is not made this way")]
    RoleNotGranted {
        /// The role.
        role: Role,
    },
    /// Bytes that are no public key.
    #[error("the bytes are not a valid {what}")]
    PublicKey {
        /// Which sort of key.
        what: &'static str,
    },
    /// A signature that does not hold.
    #[error("the signature of the {what} does not hold")]
    Signature {
        /// What was signed.
        what: &'static str,
    },
    /// A member id that is not its keys' digest.
    #[error("the certificate names member {named}, but its keys are those of {actual}")]
    MemberMismatch {
        /// The id in the certificate.
        named: MemberId,
        /// The id of the keys in it.
        actual: MemberId,
    },
    /// The slot was sealed with another passphrase, or its salt or parameters were changed.
    #[error("the passphrase is wrong: it is not the one that the key slot was made with")]
    WrongPassphrase,
    /// The slot was sealed with this passphrase and was changed since.
    #[error("the key slot is damaged: the passphrase is right, but what it seals does not open")]
    SlotDamaged,
    /// An empty passphrase.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// A slot wrapped by factors that this program cannot combine.
    #[error("the key slot needs factors {factors:#04x}; this program knows the passphrase (0x01)")]
    Factors {
        /// The bits of the factors.
        factors: u8,
    },
    /// Argon2 parameters that are refused before anything is allocated.
    #[error(
        "Argon2 with {memory_kib} KiB, {passes} passes and {lanes} lanes is refused: \
         up to 4194304 KiB, 1 to 16 passes, 1 to 64 lanes, at least 8 KiB a lane"
    )]
    KdfLimits {
        /// Memory, in KiB.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes, worked on in parallel.
        lanes: u32,
    },
    /// Argon2's memory could not be had.
    #[error("{memory_kib} KiB of memory for Argon2 could not be allocated")]
    KdfMemory {
        /// Memory, in KiB.
        memory_kib: u32,
    },
    /// A text that is no key file.
    #[error("this is not a key file: it does not begin with strongroom-key-1:")]
    NotAKeyFile,
    /// A key file that was changed or cut.
    #[error("the key file is damaged: {reason}")]
    KeyFileDamaged {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A word of a recovery kit that is none.
    #[error("word {position}, {word:?}, is not one of the 2048 words of recovery kits")]
    KitWord {
        /// Which of the words, from 1.
        position: usize,
        /// The word, as it was read.
        word: String,
        /// What may have been meant, the likeliest first.
        near: Vec<&'static str>,
    },
    /// Too few or too many words.
    #[error("{count} words were read; a recovery kit has 24")]
    KitWordCount {
        /// How many.
        count: usize,
    },
    /// Words that are all in the list, and of which one is wrong all the same.
    #[error("the words do not fit together: their check sum is wrong")]
    KitWordsCheck,
    /// A key file of a newer program.
    #[error("the key file has version {version}; this program knows version 1")]
    KeyFileVersion {
        /// Its version.
        version: u32,
    },
}

impl Error {
    /// Whose concern it is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Decode(DecodeError::Version { .. })
            | Self::UnknownSuite { .. }
            | Self::Factors { .. }
            | Self::KeyFileVersion { .. } => ErrorKind::Unsupported,
            Self::NoKey { .. }
            | Self::NoEpoch { .. }
            | Self::OtherDomain { .. }
            | Self::WrongPassphrase => ErrorKind::Denied,
            Self::UnknownName { .. }
            | Self::StreamRange { .. }
            | Self::SegmentBorder { .. }
            | Self::Wrapping { .. }
            | Self::Epochs { .. }
            | Self::MemberAttached { .. }
            | Self::RoleNotGranted { .. }
            | Self::EmptyPassphrase
            | Self::KdfLimits { .. }
            | Self::KitWord { .. }
            | Self::KitWordCount { .. }
            | Self::KitWordsCheck
            | Self::NotAKeyFile => ErrorKind::Invalid,
            Self::KdfMemory { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::Corrupt,
        }
    }
}
