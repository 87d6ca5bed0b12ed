//! `missioncontrol-stackwalk`: walks the stacks of minidumps, one job after the other, in a process that stays.
//!
//! Jobs come in on stdin and answers go out on stdout (see `jobs`). Symbols are read from folders, in Breakpad's
//! layout; nothing is ever fetched from a network or written to a symbol folder (but by `symbols --output`). Whoever starts the process limits
//! the time of a job by ending the process; its memory it limits itself.

mod arguments;
mod binaries;
mod cache;
mod dump_symbols;
mod jobs;
mod memory;
mod panics;
mod parent;
mod partner;
mod renamed;
mod symbol_dump;
mod symbol_file;
mod walk;

use std::io;
use std::process::ExitCode;
use std::sync::Mutex;

use arguments::{Action, Arguments, SymbolsArguments};
use cache::Cache;
use jobs::Settings;

#[global_allocator]
static HEAP: memory::Counted = memory::Counted;

fn main() -> ExitCode {
    match arguments::read() {
        Ok(Action::Print(text)) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Action::Serve(arguments)) => serve(arguments),
        Ok(Action::Symbols(arguments)) => dump_symbols(&arguments),
        Err(error) => {
            eprintln!("missioncontrol-stackwalk: {error}; try --help");
            ExitCode::from(2)
        }
    }
}

fn dump_symbols(arguments: &SymbolsArguments) -> ExitCode {
    panics::keep();
    match symbol_dump::run(arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("missioncontrol-stackwalk: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments) -> ExitCode {
    panics::keep();
    parent::end_with_it();
    if let Some(bytes) = arguments.memory_bytes {
        memory::limit(bytes);
    }
    let cache = Mutex::new(Cache::new(arguments.cache_bytes, arguments.missing_ttl));
    let settings = Settings {
        roots: arguments.symbols,
        most_bytes: arguments.answer_bytes,
    };
    let mut output = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match jobs::serve(&mut io::stdin().lock(), &mut output, &settings, &cache) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("missioncontrol-stackwalk: {error}");
            ExitCode::FAILURE
        }
    }
}
