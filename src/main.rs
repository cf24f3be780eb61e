//! The `tidegate` program: parse, run a command, print its report, exit.

use std::ffi::{c_int, c_long};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(unsafe_code, reason = "the allocator's options have no safe setter")]
unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
}

/// `mi_option_purge_delay`, and milliseconds: freed memory is given back so soon. By default it
/// stays for a second, in which a load frees as much as it may hold; what is given back sooner than
/// a batch takes is asked for again at once, page by page.
const PURGE_DELAY: (c_int, c_long) = (15, 300);

#[expect(unsafe_code, reason = "as above; no thread runs yet")]
fn main() -> ExitCode {
    // SAFETY: it takes two numbers, and nothing else runs.
    unsafe { mi_option_set_default(PURGE_DELAY.0, PURGE_DELAY.1) };
    // Batches come and go: huge pages are cleared as a whole for a part that is used, and what is
    // freed of them cannot be given back. A kernel without them refuses, which changes nothing.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    ExitCode::from(tidegate::cli::main().code())
}
