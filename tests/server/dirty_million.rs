//! Dirty.
