//! The vectorised search for blocks that hold a candidate; the only unsafe code of the crate.
//!
//! A range is divided into 16 (AVX-512) or 8 (AVX2) stripes that are hashed side by side, one per
//! 32-bit lane. Each lane starts from the hash of the window before its stripe, so its hashes are
//! those of the scalar form. Per block of 64 bytes only the smallest hash is kept; a block whose
//! smallest is below the threshold is reported. What is left over at the end is not searched: the
//! caller does that. [`Body`] can only be one that the processor has.
//!
//! Why not gathers: they are slow on AMD, and on Intel since the microcode against Downfall. AVX2
//! looks bytes up with shuffles, AVX-512 with permutes of the whole table.
#![allow(unsafe_code)]
// Elsewhere only the scalar form is left, which searches nothing.
#![cfg_attr(not(target_arch = "x86_64"), allow(unused, clippy::ptr_arg))]

use std::ops::Range;

use crate::gear::Gear;

/// The unit of the search, in bytes.
pub(crate) const BLOCK_BYTES: usize = 64;

/// A form of the search that this processor can run.
#[derive(Clone, Copy)]
pub(crate) struct Body(Form);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Scalar,
}

impl Body {
    /// The fastest form here. The standard library remembers what the processor has.
    pub(crate) fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self(Form::Avx512);
            }
            if is_x86_feature_detected!("avx2") {
                return Self(Form::Avx2);
            }
        }
        Self(Form::Scalar)
    }

    /// Every form that can run here, with its name.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<(&'static str, Self)> {
        let mut all = vec![("scalar", Self(Form::Scalar))];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                all.push(("AVX2", Self(Form::Avx2)));
            }
            if is_x86_feature_detected!("avx512f") {
                all.push(("AVX-512", Self(Form::Avx512)));
            }
        }
        all
    }

    /// Appends, in no order, the offset in `range` of every block that holds a hash below `easy`.
    /// Returns how many bytes of the range were searched; the rest is up to the caller.
    pub(crate) fn find_blocks(
        self,
        gear: &Gear,
        easy: u32,
        data: &[u8],
        range: Range<usize>,
        blocks: &mut Vec<u32>,
    ) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => {
                let stripes = Stripes::new(gear, data, range);
                // SAFETY: a `Body` of this form is made only where avx512f was detected.
                unsafe { x86::find_blocks_avx512(gear, easy, &stripes, blocks) };
                stripes.searched()
            }
            #[cfg(target_arch = "x86_64")]
            Form::Avx2 => {
                let stripes = Stripes::new(gear, data, range);
                // SAFETY: a `Body` of this form is made only where avx2 was detected.
                unsafe { x86::find_blocks_avx2(gear, easy, &stripes, blocks) };
                stripes.searched()
            }
            Form::Scalar => 0,
        }
    }
}

/// The front of a range as `N` stripes of equally many blocks, and the hash at each one's start.
#[cfg(target_arch = "x86_64")]
struct Stripes<'a, const N: usize> {
    blocks: [&'a [[u8; BLOCK_BYTES]]; N],
    hashes: [u32; N],
    blocks_each: usize,
}

#[cfg(target_arch = "x86_64")]
impl<'a, const N: usize> Stripes<'a, N> {
    fn new(gear: &Gear, data: &'a [u8], range: Range<usize>) -> Self {
        let (all, _) = data[range.clone()].as_chunks::<BLOCK_BYTES>();
        let blocks_each = all.len() / N;
        if blocks_each == 0 {
            return Self { blocks: [&[]; N], hashes: [0; N], blocks_each };
        }
        let blocks = std::array::from_fn(|i| &all[i * blocks_each..][..blocks_each]);
        let hashes = std::array::from_fn(|i| {
            gear.hash_at(data, range.start + i * blocks_each * BLOCK_BYTES)
        });
        Self { blocks, hashes, blocks_each }
    }

    fn searched(&self) -> usize {
        N * self.blocks_each * BLOCK_BYTES
    }

    /// Appends the offsets of the stripes' blocks number `block` whose bit is set.
    #[inline(always)]
    fn report(&self, mut lanes: u32, block: usize, blocks: &mut Vec<u32>) {
        while lanes != 0 {
            let stripe = lanes.trailing_zeros() as usize;
            lanes &= lanes - 1;
            blocks.push(((stripe * self.blocks_each + block) * BLOCK_BYTES) as u32);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{BLOCK_BYTES, Gear, Stripes};

    #[target_feature(enable = "avx512f")]
    pub(super) fn find_blocks_avx512(
        gear: &Gear,
        easy: u32,
        stripes: &Stripes<16>,
        blocks: &mut Vec<u32>,
    ) {
        let low = load_words_512(&gear.low);
        let high = load_words_512(&gear.high);
        let easy = _mm512_set1_epi32(easy.cast_signed());
        let mut hash = load_words_512(&stripes.hashes);
        for block in 0..stripes.blocks_each {
            let mut rows = [_mm512_setzero_si512(); 16];
            for (row, stripe) in rows.iter_mut().zip(&stripes.blocks) {
                *row = load_bytes_512(&stripe[block]);
            }
            let mut least = _mm512_set1_epi32(-1);
            for four_bytes in transpose_512(rows) {
                let mut bytes = four_bytes;
                for _ in 0..4 {
                    // A permute looks at the low four bits of each lane only.
                    let g = _mm512_xor_si512(
                        _mm512_permutexvar_epi32(bytes, low),
                        _mm512_permutexvar_epi32(_mm512_srli_epi32::<4>(bytes), high),
                    );
                    hash = _mm512_add_epi32(_mm512_add_epi32(hash, hash), g);
                    least = _mm512_min_epu32(least, hash);
                    bytes = _mm512_srli_epi32::<8>(bytes);
                }
            }
            let lanes = _mm512_cmplt_epu32_mask(least, easy);
            stripes.report(lanes.into(), block, blocks);
        }
    }

    /// Turns one row of 16 words per stripe into one row of 16 stripes per word.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn transpose_512(mut r: [__m512i; 16]) -> [__m512i; 16] {
        let mut a = [_mm512_setzero_si512(); 16];
        for i in 0..8 {
            a[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
            a[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
        }
        for i in [0, 4, 8, 12] {
            r[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
            r[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
            r[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
            r[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
        }
        for i in 0..4 {
            a[i] = _mm512_shuffle_i32x4::<0x88>(r[i], r[i + 4]);
            a[i + 4] = _mm512_shuffle_i32x4::<0xdd>(r[i], r[i + 4]);
            a[i + 8] = _mm512_shuffle_i32x4::<0x88>(r[i + 8], r[i + 12]);
            a[i + 12] = _mm512_shuffle_i32x4::<0xdd>(r[i + 8], r[i + 12]);
        }
        for i in 0..4 {
            r[i] = _mm512_shuffle_i32x4::<0x88>(a[i], a[i + 8]);
            r[i + 8] = _mm512_shuffle_i32x4::<0xdd>(a[i], a[i + 8]);
            r[i + 4] = _mm512_shuffle_i32x4::<0x88>(a[i + 4], a[i + 12]);
            r[i + 12] = _mm512_shuffle_i32x4::<0xdd>(a[i + 4], a[i + 12]);
        }
        r
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn find_blocks_avx2(
        gear: &Gear,
        easy: u32,
        stripes: &Stripes<8>,
        blocks: &mut Vec<u32>,
    ) {
        let low = gear.low_planes.each_ref().map(|plane| load_table_256(plane));
        let high = gear.high_planes.each_ref().map(|plane| load_table_256(plane));
        // There is no unsigned comparison: x < easy is min(x, easy - 1) == x, and easy is not 0.
        let below = _mm256_set1_epi32((easy - 1).cast_signed());
        let mut hash = load_words_256(&stripes.hashes);
        for block in 0..stripes.blocks_each {
            let mut least = _mm256_set1_epi32(-1);
            for half in 0..2 {
                let mut rows = [_mm256_setzero_si256(); 8];
                for (row, stripe) in rows.iter_mut().zip(&stripes.blocks) {
                    *row = load_half_256(&stripe[block], half);
                }
                for four_bytes in transpose_256(rows) {
                    for g in look_up_256(four_bytes, &low, &high) {
                        hash = _mm256_add_epi32(_mm256_add_epi32(hash, hash), g);
                        least = _mm256_min_epu32(least, hash);
                    }
                }
            }
            let hit = _mm256_cmpeq_epi32(_mm256_min_epu32(least, below), least);
            let lanes = _mm256_movemask_ps(_mm256_castsi256_ps(hit)).cast_unsigned();
            stripes.report(lanes, block, blocks);
        }
    }

    /// Four bytes of each of 8 stripes to the four gear values of each, in order.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn look_up_256(four: __m256i, low: &[__m256i; 4], high: &[__m256i; 4]) -> [__m256i; 4] {
        // In each half: the first bytes of its four stripes, then the second bytes, and so on.
        let order = _mm256_set_epi8(
            15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0, //
            15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0,
        );
        let nibble = _mm256_set1_epi8(15);
        let bytes = _mm256_shuffle_epi8(four, order);
        let low_index = _mm256_and_si256(bytes, nibble);
        let high_index = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
        let mut planes = [_mm256_setzero_si256(); 4];
        for i in 0..4 {
            planes[i] = _mm256_xor_si256(
                _mm256_shuffle_epi8(low[i], low_index),
                _mm256_shuffle_epi8(high[i], high_index),
            );
        }
        // Four planes of bytes to words.
        let first_low = _mm256_unpacklo_epi8(planes[0], planes[1]);
        let first_high = _mm256_unpackhi_epi8(planes[0], planes[1]);
        let last_low = _mm256_unpacklo_epi8(planes[2], planes[3]);
        let last_high = _mm256_unpackhi_epi8(planes[2], planes[3]);
        [
            _mm256_unpacklo_epi16(first_low, last_low),
            _mm256_unpackhi_epi16(first_low, last_low),
            _mm256_unpacklo_epi16(first_high, last_high),
            _mm256_unpackhi_epi16(first_high, last_high),
        ]
    }

    /// Turns one row of 8 words per stripe into one row of 8 stripes per word.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn transpose_256(mut r: [__m256i; 8]) -> [__m256i; 8] {
        let mut a = r;
        for i in 0..4 {
            a[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
            a[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
        }
        for i in [0, 4] {
            r[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
            r[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
            r[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
            r[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
        }
        for i in 0..4 {
            a[i] = _mm256_permute2x128_si256::<0x20>(r[i], r[i + 4]);
            a[i + 4] = _mm256_permute2x128_si256::<0x31>(r[i], r[i + 4]);
        }
        a
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_words_512(words: &[u32; 16]) -> __m512i {
        // SAFETY: the reference covers the 64 bytes that are read; any alignment will do.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_bytes_512(bytes: &[u8; BLOCK_BYTES]) -> __m512i {
        // SAFETY: the reference covers the 64 bytes that are read; any alignment will do.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load_words_256(words: &[u32; 8]) -> __m256i {
        // SAFETY: the reference covers the 32 bytes that are read; any alignment will do.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load_half_256(bytes: &[u8; BLOCK_BYTES], half: usize) -> __m256i {
        let (halves, _) = bytes.as_chunks::<32>();
        // SAFETY: the reference covers the 32 bytes that are read; any alignment will do.
        unsafe { _mm256_loadu_si256(halves[half].as_ptr().cast()) }
    }

    /// The table in both halves of the register, as shuffles look up within a half.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load_table_256(table: &[u8; 16]) -> __m256i {
        // SAFETY: the reference covers the 16 bytes that are read; any alignment will do.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
    }
}
