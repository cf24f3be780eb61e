//! The `tidegate` program: parse, run a command, print its report, exit.

fn main() {}
