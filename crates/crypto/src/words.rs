//! The root secret as 24 words, for paper: BIP-39 in English, whose last letters are a check sum.
//!
//! The words are the secret itself and no seed of it: 256 bits and 8 bits of their SHA-256, eleven
//! bits a word. Nobody needs this program to turn them back. A word is told from all others by its
//! first four letters, which suffice. DESIGN §6, FORMAT.md §5.11.

use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

use crate::{Error, Result, RootSecret};

/// How many words hold a root secret.
pub const ROOT_WORDS: usize = 24;

impl RootSecret {
    /// Its words, in order, with a space between two.
    pub fn to_words(&self) -> Zeroizing<String> {
        let words = Mnemonic::from_entropy(self.expose()).expect("32 bytes make 24 words");
        // Room for all of it at once: a text that grows leaves copies of secrets behind.
        let mut text = Zeroizing::new(String::with_capacity(ROOT_WORDS * WORD_ROOM));
        for word in words.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// The secret that these words hold, in whatever case.
    ///
    /// # Errors
    /// [`Error::KitWord`] for the first that is no word, [`Error::KitWordCount`],
    /// [`Error::KitWordsCheck`].
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut text = Zeroizing::new(String::with_capacity(ROOT_WORDS * WORD_ROOM));
        let mut count = 0;
        for typed in words {
            count += 1;
            if count <= ROOT_WORDS {
                text.push_str(find(count, typed)?);
                text.push(' ');
            }
        }
        if count != ROOT_WORDS {
            return Err(Error::KitWordCount { count });
        }
        let words = Mnemonic::parse_in_normalized(Language::English, text.trim_end());
        let words = words.map_err(|_| Error::KitWordsCheck)?;
        let (entropy, _) = words.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let (secret, _) = entropy.split_first_chunk().expect("24 words hold 32 bytes");
        Ok(Self::from_bytes(Zeroizing::new(*secret)))
    }
}

/// A word of eight letters, and a space.
const WORD_ROOM: usize = 9;
/// So many letters tell a word from all others.
const LETTERS_THAT_SUFFICE: usize = 4;

/// The word of the list that was typed.
fn find(position: usize, typed: &str) -> Result<&'static str> {
    let list = Language::English.word_list();
    let word = typed.to_ascii_lowercase();
    let begins = |listed: &&&str| word.len() == LETTERS_THAT_SUFFICE && listed.starts_with(&word);
    let found = list.iter().find(|listed| ***listed == *word).or_else(|| list.iter().find(begins));
    found.copied().ok_or_else(|| {
        let shown = typed.chars().take(SHOWN_LETTERS_MAX).collect();
        Error::KitWord { position, word: shown, near: near(&word) }
    })
}

/// What may have been meant.
fn near(typed: &str) -> Vec<&'static str> {
    let typed: String = typed.chars().take(SHOWN_LETTERS_MAX).collect();
    let scored = Language::English.word_list().iter().map(|word| {
        let likeness = strsim::normalized_damerau_levenshtein(&typed, word);
        (likeness, *word)
    });
    let mut near: Vec<_> = scored.filter(|(likeness, _)| *likeness >= LIKENESS_LEAST).collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    near.into_iter().take(SUGGESTIONS_MAX).map(|(_, word)| word).collect()
}

const SHOWN_LETTERS_MAX: usize = 32;
const SUGGESTIONS_MAX: usize = 3;
const LIKENESS_LEAST: f64 = 0.65;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    fn secret(bytes: [u8; 32]) -> RootSecret {
        RootSecret::from_bytes(Zeroizing::new(bytes))
    }

    #[test]
    fn words_are_those_of_the_standards_own_examples() {
        let zeros = "abandon ".repeat(23) + "art";
        assert_eq!(*secret([0; 32]).to_words(), zeros);
        let ones = "zoo ".repeat(23) + "vote";
        assert_eq!(*secret([0xff; 32]).to_words(), ones);
        let sevens = "legal winner thank year wave sausage worth useful ".repeat(2)
            + "legal winner thank year wave sausage worth title";
        assert_eq!(*secret([0x7f; 32]).to_words(), sevens);
    }

    #[test]
    fn words_lead_back_to_the_secret_in_any_case_and_by_their_first_four_letters() {
        for seed in 0..50 {
            let secret = RootSecret::draw(&SeededEntropy::new(seed));
            let words = secret.to_words();
            let loud = words.to_uppercase();
            let short: Vec<_> = words.split(' ').map(|word| &word[..word.len().min(4)]).collect();

            assert!(RootSecret::from_words(words.split(' ')).unwrap() == secret);
            assert!(RootSecret::from_words(loud.split(' ')).unwrap() == secret);
            assert!(RootSecret::from_words(short).unwrap() == secret);
        }
    }

    #[test]
    fn a_slip_is_named_with_what_may_have_been_meant() {
        let typed = "abandon ".repeat(6) + "abondon " + &"abandon ".repeat(16) + "art";
        let refused = RootSecret::from_words(typed.split(' ')).err().unwrap();
        let word = "abondon".to_owned();
        assert_eq!(refused, Error::KitWord { position: 7, word, near: vec!["abandon"] });

        let count = |count| RootSecret::from_words(vec!["abandon"; count]).err().unwrap();
        assert_eq!(count(23), Error::KitWordCount { count: 23 });
        assert_eq!(count(25), Error::KitWordCount { count: 25 });
        assert_eq!(count(24), Error::KitWordsCheck);
    }
}
