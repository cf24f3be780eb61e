//! Faults.

