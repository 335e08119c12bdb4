//! The program: arguments in, exit code out. Everything else is the library's.

use rackside_agent::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(lexopt::Parser::from_env(), &mut std::io::stdout().lock())
}
