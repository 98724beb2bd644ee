//! How objects behave when they are opened as they are, and when they are not.
