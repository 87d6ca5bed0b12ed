//! The lines that come in and go out: one JSON object a line, answered in order.
//!
//! In: `{"id", "dump", "symbols", "evil"}` is a job, `{"forget"}` is answered by nothing. Out: for each job
//! `{"id", "state", "symbols", "cache"}` or `{"id", "error", "detail"}`. An answer is complete in memory before its
//! first byte is written, so that no half line is ever followed by another.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cache::{Cache, CacheStats, Forget};
use crate::dump_symbols::{SymbolCounts, lock};
use crate::memory;
use crate::walk::{Failure, Walked, walk};

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Forget { forget: Forget },
    Job(Job),
}

#[derive(Deserialize)]
struct Job {
    id: u64,
    dump: PathBuf,
    symbols: Option<Vec<PathBuf>>,
    evil: Option<Map<String, Value>>,
}

#[derive(Serialize)]
struct Failed<'a> {
    id: Option<u64>,
    error: &'a str,
    detail: &'a str,
}

#[derive(Serialize)]
struct Told {
    symbols: SymbolCounts,
    cache: CacheStats,
}

/// What holds for every job.
pub struct Settings {
    /// Where to look for symbols when the job does not say.
    pub roots: Vec<PathBuf>,
    /// Largest state that is answered.
    pub most_bytes: usize,
}

/// Answer each line of `input` until it ends.
pub fn serve(
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    settings: &Settings,
    cache: &Mutex<Cache>,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match serde_json::from_slice(&line) {
            Ok(Line::Forget { forget }) => lock(cache).forget(&forget),
            Ok(Line::Job(job)) => {
                write_answer(output, &job, run(&job, settings, cache), cache)?;
                lock(cache).settle();
                memory::trim_if_wasteful();
            }
            Err(error) => write_failure(output, None, &Failure::new("BadJob", error))?,
        }
    }
}

fn run(job: &Job, settings: &Settings, cache: &Mutex<Cache>) -> Result<Walked, Failure> {
    let roots = job.symbols.as_deref().unwrap_or(&settings.roots);
    walk(&job.dump, roots, job.evil.as_ref(), cache, settings.most_bytes)
}

fn write_answer(
    output: &mut dyn Write,
    job: &Job,
    answer: Result<Walked, Failure>,
    cache: &Mutex<Cache>,
) -> io::Result<()> {
    match answer {
        Err(failure) => write_failure(output, Some(job.id), &failure),
        Ok(walked) => {
            let told = Told {
                symbols: walked.symbols,
                cache: lock(cache).stats(),
            };
            let told = serde_json::to_vec(&told)?;
            write!(output, "{{\"id\":{},\"state\":", job.id)?;
            output.write_all(&walked.state)?;
            output.write_all(b",")?;
            output.write_all(&told[1..])?;
            output.write_all(b"\n")?;
            output.flush()
        }
    }
}

fn write_failure(output: &mut dyn Write, id: Option<u64>, failure: &Failure) -> io::Result<()> {
    let failed = Failed {
        id,
        error: failure.error,
        detail: &failure.detail,
    };
    serde_json::to_writer(&mut *output, &failed)?;
    output.write_all(b"\n")?;
    output.flush()
}
