//! What this machine's processor is good at.
//!
//! The one question so far: which cipher suite a new vault should have. DESIGN.md §5.

use crypto::Suite;

/// The suite that this machine is fast with: AES where the processor has instructions for it.
pub fn preferred_suite() -> Suite {
    match has_aes() {
        true => Suite::Aes256Gcm,
        false => Suite::ChaCha20Poly1305,
    }
}

#[cfg(target_arch = "x86_64")]
fn has_aes() -> bool {
    std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes() -> bool {
    false
}
