//! `missioncontrol-stackwalk symbols FILE...`: Breakpad symbols out of ELF, PE, PDB and Mach-O files.
//!
//! Prints one JSON object a line for each file, or for each architecture of a Mach-O file with several. Never
//! changes a file that it reads, and never fetches anything: a PDB or a dSYM bundle is found beside its binary or not
//! at all.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};

use dump_syms::dumper::{Config, FileOutput, Output, single_file};
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::arguments::SymbolsArguments;
use crate::binaries::{self, Binary};
use crate::panics;
use crate::partner;

/// What a file is and what it holds.
#[derive(Debug, Default, Serialize)]
pub struct Dumped {
    pub file: PathBuf,
    pub debug_file: String,
    pub debug_id: String,
    pub code_id: String,
    pub os: String,
    pub arch: String,
    /// Of `symbols`, `unwind`, `lines`.
    pub has: Vec<&'static str>,
    /// Where the symbols were written, below the output folder; empty without one.
    pub path: String,
}

#[derive(Serialize)]
struct Failed<'a> {
    file: &'a Path,
    error: &'static str,
    detail: String,
}

/// The name that the library gives to functions of which it knows only where they are.
const NAMELESS: &str = "<unknown in ";

/// Dump each file; how many could not be dumped.
pub fn run(arguments: &SymbolsArguments) -> io::Result<usize> {
    let mut failed = 0;
    for file in &arguments.files {
        let results = dump_file(file, arguments.output.as_deref());
        for result in &results {
            let line = match result {
                Ok(dumped) => serde_json::to_string(dumped)?,
                Err(failure) => serde_json::to_string(failure)?,
            };
            // Without a folder the symbols have stdout for themselves.
            if arguments.output.is_some() {
                println!("{line}");
            } else {
                eprintln!("{line}");
            }
        }
        failed += results.iter().filter(|r| r.is_err()).count();
    }
    Ok(failed)
}

fn dump_file<'a>(file: &'a Path, output: Option<&Path>) -> Vec<Result<Dumped, Failed<'a>>> {
    let failed = |error, detail: String| Failed { file, error, detail };
    let found = catch_unwind(|| binaries::at(file));
    match found {
        Err(_) => vec![Err(failed("NotDumped", panics::last()))],
        Ok(Err(error)) => {
            let read = error.kind() != io::ErrorKind::Other;
            let name = if read { "IoError" } else { "NotDumped" };
            vec![Err(failed(name, error.to_string()))]
        }
        Ok(Ok(binaries)) => binaries
            .iter()
            .map(|binary| dump(binary, output).map_err(|detail| failed("NotDumped", detail)))
            .collect(),
    }
}

fn dump(binary: &Binary, output: Option<&Path>) -> Result<Dumped, String> {
    let folder = output.map_or_else(std::env::temp_dir, Path::to_owned);
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let written = new_file(&folder).map_err(|e| e.to_string())?;
    // The library panics on some files that it cannot read.
    match catch_unwind(AssertUnwindSafe(|| convert(binary, written.path()))) {
        Ok(result) => result?,
        Err(_) => return Err(panics::last()),
    }
    let mut dumped = describe(written.path()).map_err(|e| e.to_string())?;
    binary.path.clone_into(&mut dumped.file);
    match output {
        None => print(written.path()).map_err(|e| e.to_string())?,
        Some(folder) => dumped.path = store(written, &dumped, folder)?,
    }
    Ok(dumped)
}

/// Temporary files are private; symbols are for whoever may read the folder.
fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(".symbols-").tempfile_in(folder)
}

fn convert(binary: &Binary, target: &Path) -> Result<(), String> {
    let path = binary.path.to_str().ok_or("The file's name is not UTF-8")?;
    // A partner that cannot be read is none.
    if let Ok(Ok(Some(symbols))) = catch_unwind(|| partner::merged(binary)) {
        let file = File::create(target).map_err(|e| e.to_string())?;
        return symbols
            .dump(BufWriter::new(file))
            .map_err(|error| format!("{error:#}"));
    }
    let mut config = Config::with_output(Output::File(FileOutput::Path(target.to_owned())));
    config.check_cfi = false;
    if let Some(architecture) = binary.architecture {
        config.arch = architecture.name();
    }
    single_file(&config, path).map_err(|error| format!("{error:#}"))
}

/// Read the head of a .sym file, and what kinds of records it has.
fn describe(symbols: &Path) -> io::Result<Dumped> {
    let mut dumped = Dumped::default();
    let (mut named, mut unwind, mut lines) = (false, false, false);
    let mut reader = BufReader::new(File::open(symbols)?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let mut words = text.trim_end().split(' ');
        match words.next().unwrap_or_default() {
            "MODULE" => {
                dumped.os = words.next().unwrap_or_default().to_owned();
                dumped.arch = words.next().unwrap_or_default().to_owned();
                dumped.debug_id = words.next().unwrap_or_default().to_owned();
                dumped.debug_file = words.collect::<Vec<_>>().join(" ");
            }
            "INFO" if words.next() == Some("CODE_ID") => {
                dumped.code_id = words.next().unwrap_or_default().to_owned();
            }
            "FUNC" | "PUBLIC" => named |= !text.contains(NAMELESS),
            "STACK" => unwind = true,
            "FILE" | "INFO" | "INLINE" | "INLINE_ORIGIN" => {}
            _ => lines = true,
        }
        line.clear();
    }
    let kinds = [("symbols", named), ("unwind", unwind), ("lines", lines)];
    dumped.has = kinds
        .iter()
        .filter(|(_, has)| *has)
        .map(|(name, _)| *name)
        .collect();
    Ok(dumped)
}

fn print(symbols: &Path) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    io::copy(&mut File::open(symbols)?, &mut stdout)?;
    stdout.flush()
}

/// `<debug file>/<debug id>/<name>.sym`, moved there when it is complete.
fn store(written: NamedTempFile, dumped: &Dumped, folder: &Path) -> Result<String, String> {
    let name = &dumped.debug_file;
    let plain = Path::new(name)
        .components()
        .all(|c| matches!(c, Component::Normal(_)));
    if name.is_empty() || !plain || name.contains(['/', '\\']) {
        return Err(format!("The file calls itself {name:?}, which is no file name"));
    }
    let stem = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.eq_ignore_ascii_case("pdb") => stem,
        _ => name,
    };
    let path = format!("{name}/{}/{stem}.sym", dumped.debug_id);
    let target = folder.join(&path);
    let parent = target.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(|e| e.to_string())?;
    written.persist(&target).map_err(|e| e.to_string())?;
    Ok(path)
}
