//! One job: a dump in, rust-minidump's JSON out, or the name of what went wrong.

use std::collections::HashMap;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use minidump::{Minidump, Module};
use minidump_processor::{ProcessError, ProcessState, ProcessorOptions, process_minidump_with_options};
use serde_json::{Map, Value};

use crate::cache::Cache;
use crate::dump_symbols::{DumpSymbols, ModuleSymbols, SymbolCounts, marks};
use crate::panics;

/// Why there is no answer: the name of rust-minidump's error, or one of ours, and a sentence.
#[derive(Debug)]
pub struct Failure {
    pub error: &'static str,
    pub detail: String,
}

/// The JSON of a walked dump, and what became of its symbols.
pub struct Walked {
    pub state: Vec<u8>,
    pub symbols: SymbolCounts,
}

impl Failure {
    pub fn new(error: &'static str, detail: impl ToString) -> Self {
        Self {
            error,
            detail: detail.to_string(),
        }
    }
}

impl From<minidump::Error> for Failure {
    fn from(error: minidump::Error) -> Self {
        Self::new(error.name(), error)
    }
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::MinidumpReadError(inner) => inner.into(),
            other => Self::new(other.name(), other),
        }
    }
}

/// Walk the dump at `path`; a panic is a failure called `Panic`.
pub fn walk(
    path: &Path,
    roots: &[PathBuf],
    evil: Option<&Map<String, Value>>,
    cache: &Mutex<Cache>,
    most_bytes: usize,
) -> Result<Walked, Failure> {
    let job = AssertUnwindSafe(|| walk_unguarded(path, roots, evil, cache, most_bytes));
    catch_unwind(job).unwrap_or_else(|_| Err(Failure::new("Panic", panics::last())))
}

fn walk_unguarded(
    path: &Path,
    roots: &[PathBuf],
    evil: Option<&Map<String, Value>>,
    cache: &Mutex<Cache>,
    most_bytes: usize,
) -> Result<Walked, Failure> {
    // Read, not mapped: a mapped file that shrinks in the meantime would end the process.
    let bytes = std::fs::read(path).map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        Failure::new(if missing { "FileNotFound" } else { "IoError" }, error)
    })?;
    let dump = Minidump::read(bytes)?;
    let evil_file = evil.map(write_evil).transpose()?;
    let mut options = ProcessorOptions::stable_all();
    options.evil_json = evil_file.as_ref().map(tempfile::NamedTempFile::path);
    let symbols = DumpSymbols::new(cache, roots);
    let state = pollster::block_on(process_minidump_with_options(&dump, &symbols, options))?;
    let counts = symbols.counts();
    let json = told_apart(render(&state, most_bytes)?, &state, &counts.modules)?;
    Ok(Walked {
        state: json,
        symbols: counts,
    })
}

/// rust-minidump takes the annotations that it knows from a file only.
fn write_evil(evil: &Map<String, Value>) -> Result<tempfile::NamedTempFile, Failure> {
    let written = tempfile::NamedTempFile::new().and_then(|mut file| {
        serde_json::to_writer(&mut file, evil)?;
        file.flush()?;
        Ok(file)
    });
    written.map_err(|error| Failure::new("IoError", error))
}

fn render(state: &ProcessState, most_bytes: usize) -> Result<Vec<u8>, Failure> {
    let mut answer = Bounded {
        bytes: Vec::new(),
        most: most_bytes,
    };
    state.print_json(&mut answer, false).map_err(|_| {
        let detail = format!("The answer is longer than {most_bytes} bytes");
        Failure::new("AnswerTooLarge", detail)
    })?;
    Ok(answer.bytes)
}

/// The JSON marks symbols by a module's name; where a dump has that name twice, mark each module for itself.
fn told_apart(json: Vec<u8>, state: &ProcessState, asked: &[ModuleSymbols]) -> Result<Vec<u8>, Failure> {
    let mut names: HashMap<String, usize> = HashMap::new();
    for module in state.modules.iter() {
        let name = breakpad_symbols::basename(&module.code_file()).to_owned();
        *names.entry(name).or_default() += 1;
    }
    if asked.iter().all(|m| names.get(&m.filename) == Some(&1)) {
        return Ok(json);
    }
    let failed = |error: serde_json::Error| Failure::new("Panic", error);
    let mut value: Value = serde_json::from_slice(&json).map_err(failed)?;
    let statuses: HashMap<u64, _> = asked.iter().map(|m| (m.base_address, m.status)).collect();
    let listed = value["modules"].as_array_mut().into_iter().flatten();
    for (json, module) in listed.zip(state.modules.iter()) {
        let status = statuses.get(&module.base_address()).copied();
        let stats = status.map(marks).unwrap_or_default();
        json["loaded_symbols"] = stats.loaded_symbols.into();
        json["corrupt_symbols"] = stats.corrupt_symbols.into();
        json["missing_symbols"] = (status.is_some() && !stats.loaded_symbols).into();
    }
    serde_json::to_vec(&value).map_err(failed)
}

struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
