//! The program: arguments in, exit code out. Everything else is the library's.

use rackside_agent::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A kernel that gives huge pages to all (`transparent_hugepage=always`) gives a whole one to each thread's stack that happens to lie well: 2 MiB for
    // a few KiB. One that has none refuses this, and nothing is lost.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    cli::main(lexopt::Parser::from_env(), &mut std::io::stdout().lock())
}
