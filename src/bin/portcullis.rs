//! The command line tool: the module's own code, run natively.
//!
//! `portcullis check FILE` reads a configuration as the module does, and says what it enforces or everything that is
//! wrong with it.

use portcullis::config::{self, summary};
use std::io::Read;
use std::process::ExitCode;

const USAGE: &str = "\
usage: portcullis check FILE

Reads a configuration as the module does. FILE may be - for standard input.

exit status:
  0  the configuration is good; a summary of what it enforces is printed
  1  it has faults; each is printed with its path
  2  the command line is wrong, or the file can't be read
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["-h" | "--help" | "help"] | ["check", "-h" | "--help"] => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        ["-V" | "--version"] => {
            println!("portcullis {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        ["check", file] => check(file),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn read(file: &str) -> std::io::Result<Vec<u8>> {
    if file != "-" {
        return std::fs::read(file);
    }
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    Ok(text)
}

fn check(file: &str) -> ExitCode {
    let text = match read(file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("portcullis: {file}: {error}");
            return ExitCode::from(2);
        }
    };
    match config::load(&text) {
        Ok(policy) => {
            println!("{file}: good; it enforces");
            for line in summary::summary(&policy) {
                println!("  {line}");
            }
            if !policy.warnings.is_empty() {
                println!("{file}: written and not enforced");
            }
            for warning in &policy.warnings {
                println!("  {warning}");
            }
            ExitCode::SUCCESS
        }
        Err(errors) => {
            for error in &errors {
                println!("{error}");
            }
            eprintln!("portcullis: {file}: {} fault(s)", errors.len());
            ExitCode::FAILURE
        }
    }
}
