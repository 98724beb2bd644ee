//! The independent reader: every vector, and whole vaults made by the program.
