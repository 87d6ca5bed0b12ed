//! What there is to dump at a path: the DWARF files of a dSYM bundle, the architectures of a Mach-O file.
//!
//! Binaries are known by their first bytes. Never changes a file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use symbolic::common::Arch;
use symbolic::debuginfo::Archive;

const FAT: [[u8; 4]; 4] = [
    [0xca, 0xfe, 0xba, 0xbe],
    [0xbe, 0xba, 0xfe, 0xca],
    [0xca, 0xfe, 0xba, 0xbf],
    [0xbf, 0xba, 0xfe, 0xca],
];

/// Where the files of a dSYM bundle lie.
pub const IN_BUNDLE: &str = "Contents/Resources/DWARF";

/// One binary: a file, or one architecture of a file with several.
#[derive(Clone)]
pub struct Binary {
    pub path: PathBuf,
    pub architecture: Option<Arch>,
}

/// The binaries at a path, which is a file or a dSYM bundle; there is at least one.
pub fn at(path: &Path) -> io::Result<Vec<Binary>> {
    if !path.is_dir() {
        return in_file(path);
    }
    // Each file in a bundle is named as the binary whose symbols it has, and the bundle is not.
    let entries = fs::read_dir(path.join(IN_BUNDLE))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.is_file());
    files.sort();
    let found = files.iter().map(|file| in_file(file));
    let binaries = found.collect::<io::Result<Vec<_>>>()?.concat();
    if binaries.is_empty() {
        return Err(io::Error::other("The bundle is empty"));
    }
    Ok(binaries)
}

fn in_file(path: &Path) -> io::Result<Vec<Binary>> {
    let architectures = match first_bytes(path)? {
        Some(magic) if FAT.contains(&magic) => architectures(&fs::read(path)?)?,
        _ => vec![None],
    };
    Ok(architectures
        .into_iter()
        .map(|architecture| Binary {
            path: path.to_owned(),
            architecture,
        })
        .collect())
}

fn architectures(bytes: &[u8]) -> io::Result<Vec<Option<Arch>>> {
    let archive = Archive::parse(bytes).map_err(io::Error::other)?;
    let found: Vec<_> = archive
        .objects()
        .filter_map(Result::ok)
        .map(|object| Some(object.arch()))
        .collect();
    if found.is_empty() {
        return Err(io::Error::other("Holds no architecture that can be dumped"));
    }
    Ok(found)
}

/// The first four bytes of a file; None when it has fewer.
pub fn first_bytes(path: &Path) -> io::Result<Option<[u8; 4]>> {
    let mut magic = [0; 4];
    let read = File::open(path)?.take(4).read(&mut magic)?;
    Ok((read == 4).then_some(magic))
}
