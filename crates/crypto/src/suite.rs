//! Which ciphers a vault uses.
//!
//! A vault has one suite, chosen when it is made and pinned in its root-signed config:
//! AES-256-GCM, or ChaCha20-Poly1305 for machines without AES instructions. The suite stands in
//! every header, so bytes of one can never be opened as the other. DESIGN §5.

use crate::Error;

/// The ciphers of a vault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u16)]
pub enum Suite {
    /// AES-256-GCM for segments and HPKE, XAES-256-GCM for small records and wraps.
    Aes256Gcm = 1,
    /// ChaCha20-Poly1305 for segments and HPKE, XChaCha20-Poly1305 for small records and wraps.
    ChaCha20Poly1305 = 2,
}

impl Suite {
    /// Every suite.
    pub const ALL: [Self; 2] = [Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// The suite with this code.
    ///
    /// # Errors
    /// [`Error::UnknownSuite`] for any other code.
    pub const fn from_u16(code: u16) -> Result<Self, Error> {
        match code {
            1 => Ok(Self::Aes256Gcm),
            2 => Ok(Self::ChaCha20Poly1305),
            code => Err(Error::UnknownSuite { code }),
        }
    }

    /// The code that stands in headers.
    pub const fn to_u16(self) -> u16 {
        self as u16
    }
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Aes256Gcm => "aes-256-gcm",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
        })
    }
}

impl std::str::FromStr for Suite {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|suite| suite.to_string() == text).ok_or_else(|| {
            Error::UnknownName { what: "suite", name: text.chars().take(80).collect() }
        })
    }
}
