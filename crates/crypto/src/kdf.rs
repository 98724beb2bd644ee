//! How one key is made from another.
//!
//! KDF(ikm, label, ctx, n) = HKDF-SHA256 (RFC 5869) with salt `strongroom-v1` and info =
//! u16be(|label|) ‖ label ‖ ctx. The label's length stands before it, so no label and context
//! can be taken for another pair. DESIGN §5.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use zeroize::Zeroizing;

const SALT: &[u8] = b"strongroom-v1";

/// `N` bytes for `label` and `context` from the input key.
pub(crate) fn derive<const N: usize>(
    input: &[u8],
    label: &'static str,
    context: &[u8],
) -> Zeroizing<[u8; N]> {
    let label_length = u16::try_from(label.len()).expect("labels are short literals");
    let info = [&label_length.to_be_bytes()[..], label.as_bytes(), context];
    expand(&extract(SALT, input), &info)
}

/// HKDF-Extract.
pub(crate) fn extract(salt: &[u8], input: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, salt).extract(input)
}

/// HKDF-Expand to `N` bytes; the parts of `info` are joined.
pub(crate) fn expand<const N: usize>(key: &Prk, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "HKDF-SHA256 gives at most 255 blocks") };
    let mut output = Zeroizing::new([0; N]);
    key.expand(info, Length(N))
        .and_then(|material| material.fill(&mut output[..]))
        .expect("the length is within HKDF's limit");
    output
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extract_and_expand_give_the_vector_of_rfc_5869_test_case_1() {
        let key = extract(&(0..=0x0c).collect::<Vec<u8>>(), &[0x0b; 22]);
        let output = expand::<42>(&key, &[&(0xf0..=0xf9).collect::<Vec<u8>>()]);
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208\
                        d5b887185865";
        assert_eq!(crate::testing::hex(&*output), expected);
    }

    #[test]
    fn a_label_and_its_context_are_not_another_pair_of_the_same_letters() {
        assert_ne!(*derive::<32>(b"key", "ab", b"c"), *derive::<32>(b"key", "a", b"bc"));
    }
}
