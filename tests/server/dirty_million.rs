//! Dirty.

