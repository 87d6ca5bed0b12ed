//! One .sym file from disk: read, checked and parsed, or a named reason why not.
//!
//! Never reads a file whose first line names another debug id, and never parses on when memory runs short.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use minidump_unwind::SymbolFile;
use serde::Serialize;

use crate::memory;

/// What became of the symbols of one module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Loaded,
    /// Loaded, and it knows no lines of source: it was made without debug information.
    NamesOnly,
    /// In none of the folders.
    Missing,
    /// Cannot be parsed, is no text, or ends in the middle of a line.
    Corrupt,
    /// Its first line names another debug id.
    Lying,
    /// Does not fit into the memory that the process may use.
    TooLarge,
    /// The system would not let us read it.
    Unreadable,
    /// The module has no debug id or no name to look for.
    Unidentified,
}

/// A parsed file, and what it takes of the heap.
#[derive(Debug)]
pub struct Symbols {
    pub file: SymbolFile,
    pub bytes: usize,
    /// Whether it knows a line of source of any function.
    pub lines: bool,
}

/// Heap per byte of file, for a first guess: what `bench/stackwalk.py` measures for C++ with lines and unwind rules.
/// Files of unwind rules alone take more, those with long names less; what a file took is known when it is parsed.
const USUAL_RATIO: f64 = 2.2;
const LONGEST_HEAD: u64 = 4096;

/// The heap that a file of this size usually takes when parsed.
pub fn usual_bytes(file_bytes: u64) -> usize {
    (file_bytes as f64 * USUAL_RATIO) as usize
}

/// Parse the file at `path`, which must be of `debug_id` (Breakpad's form).
pub fn load(path: &Path, debug_id: &str) -> Result<Symbols, Status> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Status::Missing,
        _ => Status::Unreadable,
    })?;
    let size = file.metadata().map_err(|_| Status::Unreadable)?;
    if !size.is_file() {
        return Err(Status::Unreadable);
    }
    check_head(&mut file, debug_id)?;
    if usual_bytes(size.len()) > memory::room_bytes() {
        return Err(Status::TooLarge);
    }
    file.rewind().map_err(|_| Status::Unreadable)?;
    parse(file)
}

/// `MODULE os architecture id name`: cheap to look at before some hundred megabytes are parsed.
fn check_head(file: &mut File, debug_id: &str) -> Result<(), Status> {
    let mut head = Vec::new();
    file.take(LONGEST_HEAD)
        .read_to_end(&mut head)
        .map_err(|_| Status::Unreadable)?;
    let end = memchr::memchr(b'\n', &head).ok_or(Status::Corrupt)?;
    let line = std::str::from_utf8(&head[..end]).map_err(|_| Status::Corrupt)?;
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("MODULE") {
        return Err(Status::Corrupt);
    }
    match words.nth(2) {
        None => Err(Status::Corrupt),
        Some(id) if id.eq_ignore_ascii_case(debug_id) => Ok(()),
        Some(_) => Err(Status::Lying),
    }
}

fn parse(file: File) -> Result<Symbols, Status> {
    let before = memory::taken_here();
    let mut reader = Guarded {
        file,
        before,
        stopped: None,
    };
    match SymbolFile::parse(&mut reader, |_| ()) {
        Ok(mut file) => {
            file.publics.shrink_to_fit();
            file.files.shrink_to_fit();
            file.inline_origins.shrink_to_fit();
            let bytes = memory::taken_here().wrapping_sub(before);
            let lines = file.functions.ranges_values().any(|(_, f)| !f.lines.is_empty());
            Ok(Symbols { file, bytes, lines })
        }
        Err(_) => Err(reader.stopped.unwrap_or(Status::Corrupt)),
    }
}

/// A reader that stops when what was made of its bytes takes too much memory, or when they are no text.
struct Guarded {
    file: File,
    before: usize,
    stopped: Option<Status>,
}

impl Guarded {
    fn check(&self, read: &[u8]) -> Option<Status> {
        let parsed = memory::taken_here().wrapping_sub(self.before);
        // When all is read, what was parsed is sorted: copied once more at most.
        if parsed > memory::room_bytes() {
            return Some(Status::TooLarge);
        }
        memchr::memchr(0, read).map(|_| Status::Corrupt)
    }
}

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self
            .file
            .read(buffer)
            .inspect_err(|_| self.stopped = Some(Status::Unreadable))?;
        self.stopped = self.check(&buffer[..size]);
        match self.stopped {
            None => Ok(size),
            Some(_) => Err(io::Error::other("stopped")),
        }
    }
}
