//! What fuzz targets share: the properties of decoders that the format suite asserts as well.
//! They lie there, so that what a fuzzer is asked and what every build checks cannot differ.

#[path = "../../tests/format/properties.rs"]
pub mod properties;
