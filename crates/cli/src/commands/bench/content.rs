//! Content to measure with, and how fast a file of it is read.
//!
//! Blocks of random bytes and blocks of words take turns, as photographs and documents do. The
//! file lies in the host's cache folder, or where temporary files go, and has no name: it is gone
//! when it is closed, however the run ends.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::time::Instant;

use strongroom::Entropy;

use super::Rate;
use crate::context::Context;
use crate::exit::{Failure, Result};

const BLOCK_BYTES: usize = 1 << 20;

/// So many bytes of content.
pub(super) fn make(size: u64, entropy: &dyn Entropy, context: &Context) -> Result<Vec<u8>> {
    let mut content = vec![0; size as usize];
    for (index, block) in content.chunks_mut(BLOCK_BYTES).enumerate() {
        context.check_stopped()?;
        entropy.fill(block);
        if index % 2 == 1 {
            into_words(block);
        }
    }
    Ok(content)
}

/// Makes words of random bytes: 16 letters as often as each other, so half of each byte is known.
fn into_words(block: &mut [u8]) {
    block.iter_mut().for_each(|byte| *byte = LETTERS[usize::from(*byte % 16)]);
}

const LETTERS: [u8; 16] = *b" etaoinshrdlucm\n";

/// Writes the content to a file that the system's memory then forgets, and reads it.
pub(super) fn measure_reading(content: &[u8], context: &Context) -> Result<Rate> {
    let folder = context.folders()?.cache.unwrap_or_else(std::env::temp_dir);
    let failed = |error: std::io::Error| {
        let hint = "name a folder that has room for --size with --cache-dir";
        Failure::local(&folder, &error).with_hint(hint)
    };
    let mut file = unnamed_file(&folder).map_err(failed)?;
    for block in content.chunks(BLOCK_BYTES) {
        context.check_stopped()?;
        file.write_all(block).map_err(failed)?;
    }
    file.sync_data().and_then(|()| file.rewind()).map_err(failed)?;
    // Where the system does not forget, reading is as fast as memory: the table shows it.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    let mut block = vec![0; BLOCK_BYTES];
    let (begun, mut bytes) = (Instant::now(), 0);
    loop {
        context.check_stopped()?;
        match file.read(&mut block).map_err(failed)? {
            0 => break,
            count => bytes += count as u64,
        }
    }
    Ok(Rate { stage: "read", bytes, elapsed: begun.elapsed() })
}

fn unnamed_file(folder: &std::path::Path) -> std::io::Result<File> {
    let path = folder.join(format!("bench-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
