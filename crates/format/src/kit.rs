//! The recovery kit: all that opens a vault when every machine is lost, as text for paper.
//!
//! It holds the root secret as words, and what a stranger to the vault cannot know: where it lies,
//! and the newest record that was seen, so that a vault which was rolled back is noticed. What
//! comes back may have been typed by hand: case, line breaks and columns do not matter, every line
//! but the words may be left out, and what stands around the lines is passed over. The words alone
//! are a kit. FORMAT.md §5.11.

use std::fmt::Write;
use std::str::FromStr;

use crypto::{Digest, ROOT_WORDS, RootSecret, VaultId};
use zeroize::Zeroizing;

use crate::{RecordAt, Seq};

/// A recovery kit.
pub struct Kit {
    /// The root secret.
    pub root: RootSecret,
    /// All else that it says.
    pub facts: KitFacts,
}

/// What a kit says beside its secret. Nothing of it is needed to open the vault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KitFacts {
    /// The URLs of the places where the vault lies.
    pub places: Vec<String>,
    /// The newest record when it was made.
    pub head: Option<RecordAt>,
    /// The newest `recover` record then.
    pub recovered: Option<RecordAt>,
    /// The vault's format number then.
    pub format: Option<u32>,
    /// When it was made.
    pub made: Option<String>,
}

/// Why a text is no kit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KitError {
    /// The words are not a root secret.
    #[error(transparent)]
    Words(#[from] crypto::Error),
    /// A kit of a newer program.
    #[error("the kit has version {version}; this program knows version 1")]
    Version {
        /// What it says.
        version: String,
    },
    /// A share of a secret: versions of this program that make them do not exist yet.
    #[error("the kit holds {secret:?} of the secret; this program knows kits that hold it whole")]
    Share {
        /// What it says.
        secret: String,
    },
    /// A line that does not read.
    #[error("the kit's line \"{key}\" does not read: {reason}")]
    Line {
        /// What the line begins with.
        key: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Lines of one kit and words of another.
    #[error("the kit's line \"vault:\" names {named}, and its words open {actual}")]
    OtherVault {
        /// What the line says.
        named: VaultId,
        /// What the words say.
        actual: VaultId,
    },
    /// A text far longer than any kit.
    #[error("the text is {bytes} bytes long; a kit has at most {KIT_BYTES_MAX}")]
    Length {
        /// Its length.
        bytes: usize,
    },
}

/// The longest text that is looked at, in bytes.
pub const KIT_BYTES_MAX: usize = 64 << 10;

impl Kit {
    /// The vault that it opens.
    pub fn vault(&self) -> VaultId {
        self.root.vault_id()
    }

    /// The lines of the kit, to be printed among whatever explains them.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(KIT_BYTES_MAX));
        let KitFacts { places, head, recovered, format, made } = &self.facts;
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(text, "{key} {value}");
        };
        line(KIT, &VERSION);
        line(VAULT, &in_groups(&self.vault().to_string()));
        places.iter().for_each(|place| line(PLACE, place));
        for (key, record) in [(HEAD, head), (RECOVERED, recovered)] {
            if let Some(RecordAt { seq, hash }) = record {
                line(key, &format_args!("{seq} {}", in_groups(&hash.to_string())));
            }
        }
        format.iter().for_each(|number| line(FORMAT, number));
        made.iter().for_each(|made| line(MADE, made));
        line(SECRET, &WHOLE);
        text.push_str(WORDS);
        let words = self.root.to_words();
        for (index, word) in words.split(' ').enumerate() {
            let _ = write!(text, "{}{:>3} {word:<9}", line_break(index), index + 1);
        }
        text.push_str("\n---- end of the kit ----\n");
        text
    }

    /// Reads a kit, or its words alone.
    ///
    /// # Errors
    /// [`KitError`].
    pub fn from_text(text: &str) -> Result<Self, KitError> {
        if text.len() > KIT_BYTES_MAX {
            return Err(KitError::Length { bytes: text.len() });
        }
        let mut reader = KitReader::new(text);
        let mut facts = KitFacts::default();
        let (mut vault, mut root) = (None, None);
        if !reader.tokens.iter().any(|token| token.key().is_some()) {
            return Ok(Self { root: reader.words()?, facts });
        }
        while let Some(token) = reader.next() {
            let Some(key) = token.key() else { continue };
            match key {
                KIT => match reader.value() {
                    VERSION => {}
                    version => return Err(KitError::Version { version: version.to_owned() }),
                },
                VAULT => vault = Some(reader.id::<VaultId>(key)?),
                PLACE => facts.places.push(reader.rest_of_line(&token)),
                HEAD => facts.head = Some(reader.record(key)?),
                RECOVERED => facts.recovered = Some(reader.record(key)?),
                FORMAT => facts.format = Some(reader.number(key)?),
                MADE => facts.made = Some(reader.value().to_owned()),
                SECRET => match reader.rest_of_line(&token) {
                    whole if whole.eq_ignore_ascii_case(WHOLE) => {}
                    secret => return Err(KitError::Share { secret }),
                },
                _ => root = Some(reader.words()?),
            }
        }
        let root = root.ok_or(crypto::Error::KitWordCount { count: 0 })?;
        let actual = root.vault_id();
        match vault {
            Some(named) if named != actual => Err(KitError::OtherVault { named, actual }),
            _ => Ok(Self { root, facts }),
        }
    }
}

const VERSION: &str = "1";
const WHOLE: &str = "whole";
const KIT: &str = "kit:";
const VAULT: &str = "vault:";
const PLACE: &str = "place:";
const HEAD: &str = "head:";
const RECOVERED: &str = "recovered:";
const FORMAT: &str = "format:";
const MADE: &str = "made:";
const SECRET: &str = "secret:";
const WORDS: &str = "words:";
const KEYS: [&str; 9] = [KIT, VAULT, PLACE, HEAD, RECOVERED, FORMAT, MADE, SECRET, WORDS];

/// Six words stand on a line.
fn line_break(index: usize) -> &'static str {
    if index.is_multiple_of(6) { "\n" } else { " " }
}

/// Digits in groups of eight, for whoever types them.
fn in_groups(digits: &str) -> String {
    let groups = digits.as_bytes().chunks(8).map(|group| String::from_utf8_lossy(group));
    groups.collect::<Vec<_>>().join(" ")
}

/// What stands between white space.
#[derive(Clone, Copy)]
struct Token<'t> {
    text: &'t str,
    /// The whole line, and whether the token begins it.
    line: &'t str,
    is_first: bool,
}

impl Token<'_> {
    fn key(&self) -> Option<&'static str> {
        let is_key = |key: &&&str| self.is_first && self.text.eq_ignore_ascii_case(key);
        KEYS.iter().find(is_key).copied()
    }
}

struct KitReader<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
}

impl<'t> KitReader<'t> {
    fn new(text: &'t str) -> Self {
        let of_line = |line: &'t str| {
            let words = line.split_whitespace().enumerate();
            words.map(move |(index, text)| Token { text, line, is_first: index == 0 })
        };
        Self { tokens: text.lines().flat_map(of_line).collect(), at: 0 }
    }

    fn next(&mut self) -> Option<Token<'t>> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        token
    }

    /// The next token, unless a key begins there.
    fn more(&mut self) -> Option<&'t str> {
        let token = self.tokens.get(self.at).filter(|token| token.key().is_none())?;
        self.at += 1;
        Some(token.text)
    }

    fn value(&mut self) -> &'t str {
        self.more().unwrap_or_default()
    }

    /// What stands on the line behind its key.
    fn rest_of_line(&mut self, key: &Token<'t>) -> String {
        while self.tokens.get(self.at).is_some_and(|token| !token.is_first) {
            self.at += 1;
        }
        let rest = key.line.trim_start().get(key.text.len()..).unwrap_or_default();
        rest.trim().to_owned()
    }

    fn number<N: FromStr>(&mut self, key: &'static str) -> Result<N, KitError> {
        let reason = "a number belongs there";
        self.value().parse().map_err(|_| KitError::Line { key, reason })
    }

    /// An id of 64 digits, in groups or not, on one line or several.
    fn id<I: FromStr>(&mut self, key: &'static str) -> Result<I, KitError> {
        let mut digits = String::with_capacity(ID_DIGITS);
        while digits.len() < ID_DIGITS
            && let Some(group) = self.more()
        {
            digits.push_str(&group.to_ascii_lowercase());
        }
        let reason = "64 digits belong there, 0 to 9 and a to f";
        digits.parse().map_err(|_| KitError::Line { key, reason })
    }

    fn record(&mut self, key: &'static str) -> Result<RecordAt, KitError> {
        Ok(RecordAt { seq: Seq(self.number(key)?), hash: self.id::<Digest>(key)? })
    }

    /// The words up to a line of dashes or the next key. Numbers before them say which is which,
    /// so columns may be read in any order.
    fn words(&mut self) -> crypto::Result<RootSecret> {
        let mut words: Vec<(usize, &str)> = Vec::with_capacity(ROOT_WORDS + 1);
        let mut position = None;
        while let Some(text) = self.more() {
            let text = text.trim_end_matches([',', ';', '.', ')']);
            if text.starts_with("--") {
                break;
            }
            if let Ok(number) = text.parse::<usize>() {
                position = Some(number);
            } else if !text.is_empty() {
                words.push((position.take().unwrap_or(words.len() + 1), text));
            }
        }
        words.sort_by_key(|(position, _)| *position);
        RootSecret::from_words(words.into_iter().map(|(_, word)| word))
    }
}

const ID_DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn kit() -> Kit {
        let at = |seq, byte| RecordAt { seq: Seq(seq), hash: Digest::from_bytes([byte; 32]) };
        let facts = KitFacts {
            places: vec!["/srv/a vault".into(), "s3://bucket/x?region=eu".into()],
            head: Some(at(1234, 0xab)),
            recovered: Some(at(17, 0x0c)),
            format: Some(1),
            made: Some("2026-11-22T06:30:00Z".into()),
        };
        Kit { root: RootSecret::from_bytes(Zeroizing::new([7; 32])), facts }
    }

    #[test]
    fn what_is_printed_reads_back_among_any_prose_and_broken_into_any_lines() {
        let text = kit().to_text();
        let prose = format!("A kit: keep it.\nThe head: of it\n\n{}\nwords of thanks\n", *text);
        let loud = text.to_uppercase().replace("/SRV/A VAULT", "/srv/a vault");
        let loud = loud.replace("S3://BUCKET/X?REGION=EU", "s3://bucket/x?region=eu");
        let broken = text.replace(" abababab", "\n\t abababab").replace("\n", "\r\n");
        for text in [text.as_str(), &prose, &broken, &loud] {
            let read = Kit::from_text(text).map_err(|error| format!("{error}: {text}")).unwrap();
            assert!(read.root == kit().root);
            let made = read.facts.made.as_ref().map(|made| made.to_uppercase());
            assert_eq!(made, kit().facts.made);
            assert_eq!(KitFacts { made: kit().facts.made, ..read.facts }, kit().facts);
        }
    }

    #[test]
    fn the_words_alone_are_a_kit_in_columns_too() {
        let words = kit().root.to_words();
        let numbered: Vec<_> =
            words.split(' ').enumerate().map(|(i, w)| format!("{}. {w}", i + 1)).collect();
        let (even, odd): (Vec<_>, Vec<_>) =
            numbered.iter().enumerate().partition(|(index, _)| index % 2 == 0);
        let columns: Vec<_> = even.iter().chain(&odd).map(|(_, word)| word.as_str()).collect();
        for text in [words.to_string(), numbered.join("\n"), columns.join("\n")] {
            let read = Kit::from_text(&text).map_err(|error| error.to_string()).unwrap();
            assert!(read.root == kit().root);
            assert_eq!(read.facts, KitFacts::default());
        }
    }

    #[test]
    fn what_is_wrong_with_a_kit_is_said() {
        let text = kit().to_text();
        let error = |from: &str, to: &str| Kit::from_text(&text.replace(from, to)).err().unwrap();

        assert!(matches!(error("kit: 1", "kit: 2"), KitError::Version { .. }));
        let share = error("secret: whole", "secret: share 2, of which 3 are needed");
        assert!(share.to_string().contains("share 2, of which 3 are needed"), "{share}");
        assert!(matches!(error("head: 1234", "head: soon"), KitError::Line { key: "head:", .. }));
        assert!(matches!(error("abababab", "ababab"), KitError::Line { key: "head:", .. }));
        let vault = kit().vault().to_string();
        let other = error(&vault[..8], "00000000");
        assert!(matches!(other, KitError::OtherVault { .. }), "{other}");
        let nothing = Kit::from_text("kit: 1\nmade: today\n").err().unwrap();
        assert_eq!(nothing, crypto::Error::KitWordCount { count: 0 }.into());
        let long = Kit::from_text(&" ".repeat(KIT_BYTES_MAX + 1)).err().unwrap();
        assert!(matches!(long, KitError::Length { .. }));
    }
}
