//! Two files of one build hold its symbols together: a PE file and its PDB, a Mach-O file and the file in its dSYM bundle.
//!
//! One has functions and lines, the other how to unwind. Files that are not of the same build, as their ids say, are no
//! partners. Looks only where linkers leave them: beside each other, or beside the bundle that a program is part of.

use std::fs;
use std::path::{self, Path, PathBuf};

use dump_syms::object_info::ObjectInfo;
use symbolic::debuginfo::pdb::PdbObject;
use symbolic::debuginfo::pe::PeObject;
use symbolic::debuginfo::{Archive, FileFormat, peek};

use crate::binaries::{self, Binary, IN_BUNDLE};

/// How many folders above a program its bundle may lie: `App.app/Contents/MacOS/App` is in `App.app`.
const FOLDERS_UP: usize = 4;

/// What both files say; None when there is no partner.
pub fn merged(binary: &Binary) -> Result<Option<ObjectInfo>, String> {
    if binaries::first_bytes(&binary.path).is_ok_and(|found| found == Some(*b"\x7fELF")) {
        return Ok(None);
    }
    let bytes = read(&binary.path)?;
    match peek(&bytes, true) {
        FileFormat::Pe => pe_and_pdb(&binary.path, &bytes),
        FileFormat::MachO => macho_and_dsym(binary, &bytes),
        _ => Ok(None),
    }
}

fn pe_and_pdb(path: &Path, bytes: &[u8]) -> Result<Option<ObjectInfo>, String> {
    let Ok(pe) = PeObject::parse(bytes) else {
        return Ok(None);
    };
    let named = pe.debug_file_name().unwrap_or_default().into_owned();
    let name = named.rsplit(['/', '\\']).next().unwrap_or_default();
    let beside = path.with_file_name(name);
    if !beside.is_file() {
        return Ok(None);
    }
    let bytes = read(&beside)?;
    match PdbObject::parse(&bytes) {
        Ok(pdb) if pdb.debug_id() == pe.debug_id() => {
            ObjectInfo::from_pdb(pdb, name, Some(&file_name(path)), Some(pe), None, true)
                .map(Some)
                .map_err(|error| format!("{error:#}"))
        }
        _ => Ok(None),
    }
}

fn macho_and_dsym(binary: &Binary, bytes: &[u8]) -> Result<Option<ObjectInfo>, String> {
    let first = || Archive::parse(bytes).ok()?.objects().next()?.ok();
    let Some(architecture) = binary.architecture.or_else(|| Some(first()?.arch())) else {
        return Ok(None);
    };
    let name = file_name(&binary.path);
    let dump = |bytes: &[u8]| ObjectInfo::from_macho(bytes, &name, architecture, None, true);
    // Folders above the current one count too.
    let path = path::absolute(&binary.path).map_err(|error| error.to_string())?;
    let bundle = bundle_of(&path);
    let candidates = match &bundle {
        Some(bundle) => programs(bundle, &name),
        None => dwarf_files(&path, &name),
    };
    for candidate in candidates.iter().filter(|path| path.is_file()) {
        // Whatever lies there may be of another build, or no Mach-O file at all.
        let (Ok(own), Ok(other)) = (dump(bytes), dump(&read(candidate)?)) else {
            continue;
        };
        if own.get_debug_id() != other.get_debug_id() {
            continue;
        }
        // In the same order for either file, so that both give the same symbols.
        let (program, dwarf) = if bundle.is_some() {
            (other, own)
        } else {
            (own, other)
        };
        return ObjectInfo::merge(program, dwarf)
            .map(Some)
            .map_err(|error| format!("{error:#}"));
    }
    Ok(None)
}

/// The dSYM bundle that a file is in.
fn bundle_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let bundle = folder
        .ancestors()
        .nth(Path::new(IN_BUNDLE).components().count())?;
    (folder == bundle.join(IN_BUNDLE)).then(|| bundle.to_owned())
}

/// Where the program of a bundle `X.dSYM` may be: X itself, or in the application or framework X.
fn programs(bundle: &Path, name: &str) -> Vec<PathBuf> {
    let whole = bundle.with_extension("");
    let inside = ["Contents/MacOS", "Versions/Current", ""];
    let mut found = vec![whole.clone()];
    found.extend(inside.iter().map(|folder| whole.join(folder).join(name)));
    found
}

/// Where the dSYM bundle of a program may have its file.
fn dwarf_files(path: &Path, name: &str) -> Vec<PathBuf> {
    let wholes = path.ancestors().take(FOLDERS_UP);
    wholes
        .filter_map(|whole| {
            let bundle = format!("{}.dSYM", whole.file_name()?.to_str()?);
            Some(whole.with_file_name(bundle).join(IN_BUNDLE).join(name))
        })
        .collect()
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| error.to_string())
}
