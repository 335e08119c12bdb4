//! The program `rackside-hub`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rackside_hub::run::main(std::env::args_os().skip(1))
}
