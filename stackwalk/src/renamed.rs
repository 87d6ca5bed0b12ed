//! Symbols of a module that was renamed after it was built: found by the debug id alone.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::Lookup;

/// Where symbols of the same debug id lie below `root`, under other names; none for the id that builds without one have.
///
/// Costs a look at each name that `root` has. In no order.
pub fn paths(root: &Path, lookup: &Lookup) -> Vec<PathBuf> {
    let id = &lookup.key.debug_id;
    if id.bytes().all(|digit| digit == b'0') {
        return Vec::new();
    }
    let Some(folder) = lookup.path.iter().nth(1) else {
        return Vec::new();
    };
    let Ok(names) = fs::read_dir(root) else {
        return Vec::new();
    };
    names
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| *name != *lookup.key.debug_file)
        .map(|name| root.join(&name).join(folder).join(leaf(&name)))
        .filter(|path| path.is_file())
        .collect()
}

fn leaf(debug_file: &OsStr) -> PathBuf {
    let name = Path::new(debug_file);
    let pdb = name.extension().is_some_and(|e| e.eq_ignore_ascii_case("pdb"));
    let mut leaf = if pdb {
        name.with_extension("")
    } else {
        name.to_owned()
    }
    .into_os_string();
    leaf.push(".sym");
    leaf.into()
}
