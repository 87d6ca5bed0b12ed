//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Error, Parser, ValueExt};

const HELP: &str = "\
Walks the stacks of minidumps: jobs on stdin, answers on stdout, one JSON object a line.

Usage: missioncontrol-stackwalk [OPTIONS]
       missioncontrol-stackwalk symbols [--output DIR] FILE...

The second form makes Breakpad symbols of ELF, PE, PDB and Mach-O files: on stdout, with a JSON object for each
file on stderr; or in DIR as <debug file>/<debug id>/<name>.sym, with the JSON objects on stdout.

  --symbols DIR       where symbols lie, as <debug file>/<debug id>/<name>.sym; may be given several times
  --cache-mb N        parsed symbols kept between dumps, in MB of memory [default: 512]
  --memory-mb N       the process ends with exit code 86 when it needs more; 0: no limit [default: 0]
  --missing-ttl-s S   how long symbols that were not found are not looked for again [default: 60]
  --answer-mb N       largest answer [default: 64]
  --help, --version

In:   {\"id\": 1, \"dump\": PATH, \"symbols\": [DIR, ...], \"evil\": {...}}    the last two may be left out
      {\"forget\": \"missing\"}  or  {\"forget\": [[DEBUG_FILE, DEBUG_ID], ...]}
Out:  {\"id\": 1, \"state\": {...}, \"symbols\": {...}, \"cache\": {...}}  or  {\"id\": 1, \"error\": NAME, \"detail\": TEXT}";

/// What is asked for.
pub enum Action {
    Print(String),
    Serve(Arguments),
    Symbols(SymbolsArguments),
}

/// Which files to make symbols of, and where to put them.
pub struct SymbolsArguments {
    pub files: Vec<PathBuf>,
    pub output: Option<PathBuf>,
}

/// How to serve.
pub struct Arguments {
    pub symbols: Vec<PathBuf>,
    pub cache_bytes: usize,
    pub memory_bytes: Option<usize>,
    pub missing_ttl: Duration,
    pub answer_bytes: usize,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            symbols: Vec::new(),
            cache_bytes: mb(512),
            memory_bytes: None,
            missing_ttl: Duration::from_secs(60),
            answer_bytes: mb(64),
        }
    }
}

const fn mb(number: usize) -> usize {
    number.saturating_mul(1 << 20)
}

/// Read the command line of this process.
pub fn read() -> Result<Action, Error> {
    let mut parser = Parser::from_env();
    let mut arguments = Arguments::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Action::Print(HELP.to_owned())),
            Arg::Long("version") | Arg::Short('V') => return Ok(Action::Print(version())),
            Arg::Value(word) if word == "symbols" => return symbols(&mut parser),
            Arg::Long("symbols") => arguments.symbols.push(parser.value()?.into()),
            Arg::Long("cache-mb") => arguments.cache_bytes = mb(parser.value()?.parse()?),
            Arg::Long("answer-mb") => arguments.answer_bytes = mb(parser.value()?.parse()?),
            Arg::Long("missing-ttl-s") => arguments.missing_ttl = seconds(&mut parser)?,
            Arg::Long("memory-mb") => {
                let number: usize = parser.value()?.parse()?;
                arguments.memory_bytes = (number > 0).then(|| mb(number));
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Action::Serve(arguments))
}

fn symbols(parser: &mut Parser) -> Result<Action, Error> {
    let mut files = Vec::new();
    let mut output = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("output") => output = Some(parser.value()?.into()),
            Arg::Long("help") | Arg::Short('h') => return Ok(Action::Print(HELP.to_owned())),
            Arg::Value(file) => files.push(file.into()),
            other => return Err(other.unexpected()),
        }
    }
    if files.is_empty() {
        return Err("symbols needs a FILE".into());
    }
    Ok(Action::Symbols(SymbolsArguments { files, output }))
}

fn seconds(parser: &mut Parser) -> Result<Duration, Error> {
    parser.value()?.parse_with(|text| {
        text.parse()
            .ok()
            .and_then(|s| Duration::try_from_secs_f64(s).ok())
            .ok_or("not a number of seconds")
    })
}

fn version() -> String {
    format!("missioncontrol-stackwalk {}", env!("CARGO_PKG_VERSION"))
}
