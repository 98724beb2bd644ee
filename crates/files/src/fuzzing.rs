//! What is true of patterns, whatever they are: for fuzz targets and the format suite. They compile
//! or are refused in words, and matching with them never panics.

use crate::Patterns;

/// Patterns, one a line, and a path that they are asked about: the last line.
pub fn patterns(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (lines, path) = text.rsplit_once('\n').unwrap_or((text, "/srv/a.txt"));
    let patterns = Patterns::new().exclude_lines(lines).include_lines(path);
    match patterns.compile() {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(matcher) => {
            let name = path.rsplit('/').next().unwrap_or_default();
            for is_folder in [false, true] {
                let _ = matcher.choice(path.as_bytes(), name.as_bytes(), is_folder);
            }
        }
    }
}
