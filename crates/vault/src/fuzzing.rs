//! What is true of this crate's private decoders, whatever their input. For fuzz targets and the
//! format suite, which ask the same of every decoder: it never panics, and whatever it accepts
//! encodes back to the same bytes.

/// What a coverage remembers of when packs were read.
pub fn read_times(data: &[u8]) {
    crate::verify::check_read_times(data);
}

/// What is kept of a finished mark.
pub fn mark(data: &[u8]) {
    crate::collect::check_remembered(data);
}

/// What stands before a table's entries, and one entry. It never panics.
pub fn table(data: &[u8]) {
    crate::table::check(data);
}
