//! A key file: a bundle as one line of text, for an unattended host.
//!
//! `strongroom-key-1:` ‖ base64url without padding of (bundle ‖ BLAKE3(bundle)[..8]). It is not
//! sealed: whoever reads the file holds the role. The digest tells a damaged copy from a wrong
//! one. DESIGN §6.

use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use crate::{Bundle, Digest, Error, Result};

impl Bundle {
    /// The text of a key file, one line without its end.
    pub fn to_key_file(&self) -> Zeroizing<String> {
        let bundle = self.encode();
        let mut bytes = Zeroizing::new(Vec::with_capacity(bundle.len() + CHECK_BYTES));
        bytes.extend_from_slice(&bundle);
        bytes.extend_from_slice(&Digest::of(&bundle).as_bytes()[..CHECK_BYTES]);
        let encoded = Zeroizing::new(Base64UrlUnpadded::encode_string(&bytes));
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + encoded.len()));
        text.push_str(PREFIX);
        text.push_str(&encoded);
        text
    }

    /// Reads the text of a key file; white space around it does not matter.
    ///
    /// # Errors
    /// [`Error::NotAKeyFile`], [`Error::KeyFileVersion`], [`Error::KeyFileDamaged`], and those of
    /// [`Bundle::decode`].
    pub fn from_key_file(text: &str) -> Result<Self> {
        let damaged = |reason| Error::KeyFileDamaged { reason };
        let encoded = strip_prefix(text.trim())?;
        if encoded.len() > KEY_FILE_CHARS_MAX {
            return Err(damaged("it is longer than any key file"));
        }
        let bytes = Base64UrlUnpadded::decode_vec(encoded)
            .map(Zeroizing::new)
            .map_err(|_| damaged("a character was changed, added or lost"))?;
        let (bundle, check) = bytes
            .split_last_chunk::<CHECK_BYTES>()
            .ok_or(damaged("it is shorter than any key file"))?;
        if Digest::of(bundle).as_bytes()[..CHECK_BYTES] != *check {
            return Err(damaged("its check sum does not match"));
        }
        Self::decode(bundle)
    }
}

fn strip_prefix(text: &str) -> Result<&str> {
    if let Some(encoded) = text.strip_prefix(PREFIX) {
        return Ok(encoded);
    }
    let version = text
        .strip_prefix("strongroom-key-")
        .and_then(|rest| rest.split_once(':'))
        .and_then(|(text, _)| Some((text, text.parse::<u32>().ok()?)))
        .filter(|(text, version)| version.to_string() == *text)
        .map(|(_, version)| version);
    Err(version.map_or(Error::NotAKeyFile, |version| Error::KeyFileVersion { version }))
}

const PREFIX: &str = "strongroom-key-1:";
const CHECK_BYTES: usize = 8;

/// Above the text of a reader's bundle with 4,096 epochs.
const KEY_FILE_CHARS_MAX: usize = 1 << 20;
