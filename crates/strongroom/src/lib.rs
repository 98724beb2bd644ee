//! strongroom
