//! Parsed symbols kept between dumps: bounded in bytes, the longest unused go first. What was not found, or could
//! not be used, is remembered too, for a while.
//!
//! An entry is known by the debug file's name and the debug id, never by the path of the code: two builds of one
//! program are two entries. Symbols that a dump in progress uses are not dropped for others of the same dump.
//!
//! Where no folder has symbols under the module's name, any of the same debug id will do: packagers rename programs, and
//! the id alone names the build.

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lru::LruCache;
use serde::{Deserialize, Serialize};

use crate::renamed;
use crate::symbol_file::{Status, Symbols, load, usual_bytes};

/// Where symbols lie: `<debug file>/<debug id>/<name>.sym` below each of the roots.
#[derive(Clone, Debug)]
pub struct Lookup {
    pub key: Key,
    pub path: PathBuf,
}

/// What names a module's symbols.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    pub debug_file: String,
    pub debug_id: String,
}

impl Lookup {
    /// Where to look for `debug_file` and `debug_id`; none when the name would lead out of its folder.
    pub fn new(debug_file: &str, debug_id: &str, relative: &str) -> Option<Self> {
        let path = PathBuf::from(relative);
        let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
        if !plain || relative.contains('\0') || path.components().count() != 3 {
            return None;
        }
        let key = Key {
            debug_file: debug_file.to_owned(),
            debug_id: debug_id.to_ascii_uppercase(),
        };
        Some(Self { key, path })
    }
}

/// Which symbols to forget.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Forget {
    Named(Named),
    /// `[["debug file", "debug id"], ...]`, whatever is known of them.
    Keys(Vec<(String, String)>),
}

/// The one set of symbols that has a name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// All that was not found or not usable.
    Missing,
}

/// The state of the cache, counted since the process began.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CacheStats {
    pub bytes: usize,
    pub entries: usize,
    pub hits: u64,
    pub misses: u64,
}

struct Loaded {
    symbols: Arc<Symbols>,
    root: PathBuf,
    path: PathBuf,
    stamp: Stamp,
}

struct Absent {
    status: Status,
    since: Instant,
    roots: Vec<PathBuf>,
}

enum Entry {
    Loaded(Loaded),
    Absent(Absent),
}

/// Tells one file from another that took its place.
type Stamp = (u64, Option<SystemTime>);

type Found = Result<Arc<Symbols>, Status>;

/// The cache; one for a process.
pub struct Cache {
    entries: LruCache<Key, Entry>,
    bytes: usize,
    bound_bytes: usize,
    missing_ttl: Duration,
    hits: u64,
    misses: u64,
}

impl Cache {
    pub fn new(bound_bytes: usize, missing_ttl: Duration) -> Self {
        Self {
            entries: LruCache::unbounded(),
            bytes: 0,
            bound_bytes,
            missing_ttl,
            hits: 0,
            misses: 0,
        }
    }

    pub fn stats(&self) -> CacheStats {
        CacheStats {
            bytes: self.bytes,
            entries: self.entries.len(),
            hits: self.hits,
            misses: self.misses,
        }
    }

    /// The symbols below the first of `roots` that has them, from memory or from disk.
    pub fn get(&mut self, lookup: &Lookup, roots: &[PathBuf]) -> Found {
        if let Some(found) = self.remembered(lookup, roots) {
            self.hits += 1;
            return found;
        }
        self.misses += 1;
        self.remove(&lookup.key);
        self.read(lookup, roots)
    }

    /// Forget what symbols that have arrived make untrue; named ones by their debug id, whatever a module is called.
    pub fn forget(&mut self, what: &Forget) {
        let ids: HashSet<String> = match what {
            Forget::Keys(pairs) => pairs.iter().map(|(_, id)| id.to_ascii_uppercase()).collect(),
            Forget::Named(Named::Missing) => HashSet::new(),
        };
        let untrue = |key: &Key, entry: &Entry| match what {
            Forget::Keys(_) => ids.contains(&key.debug_id),
            Forget::Named(Named::Missing) => matches!(entry, Entry::Absent(_)),
        };
        let found = self.entries.iter().filter(|(key, entry)| untrue(key, entry));
        let keys: Vec<Key> = found.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.remove(&key);
        }
    }

    /// Drop the longest unused until the bound holds; call it when no dump is in progress.
    pub fn settle(&mut self) {
        self.make_room(0);
    }

    fn remembered(&mut self, lookup: &Lookup, roots: &[PathBuf]) -> Option<Found> {
        match self.entries.get(&lookup.key)? {
            Entry::Loaded(loaded) => {
                let same_place = roots.contains(&loaded.root);
                // A file that is gone now was right when it was read.
                let current = stamp(&loaded.path).is_none_or(|s| s == loaded.stamp);
                (same_place && current).then(|| Ok(Arc::clone(&loaded.symbols)))
            }
            Entry::Absent(absent) => {
                let fresh = absent.since.elapsed() < self.missing_ttl && absent.roots == roots;
                fresh.then_some(Err(absent.status))
            }
        }
    }

    fn read(&mut self, lookup: &Lookup, roots: &[PathBuf]) -> Found {
        let mut worst = Status::Missing;
        let named = roots.iter().map(|root| (root, root.join(&lookup.path)));
        let renamed = roots.iter().flat_map(|root| {
            let paths = renamed::paths(root, lookup);
            paths.into_iter().map(move |path| (root, path))
        });
        // The second half costs a look at each name there is, and is not taken where the first finds something.
        for (root, path) in named.chain(renamed) {
            let Some(stamp) = stamp(&path) else { continue };
            self.make_room(usual_bytes(stamp.0));
            match self.load_with_room(&path, &lookup.key.debug_id) {
                Ok(symbols) => return Ok(self.keep(lookup, root, path, stamp, symbols)),
                Err(Status::Missing) => {}
                Err(status) if worst == Status::Missing => worst = status,
                Err(_) => {}
            }
        }
        let absent = Entry::Absent(Absent {
            status: worst,
            since: Instant::now(),
            roots: roots.to_vec(),
        });
        self.insert(lookup.key.clone(), absent);
        Err(worst)
    }

    /// Memory is better used for what a dump needs now than for what others may need again.
    fn load_with_room(&mut self, path: &Path, debug_id: &str) -> Result<Symbols, Status> {
        let first = load(path, debug_id);
        let before = self.bytes;
        if matches!(first, Err(Status::TooLarge)) {
            self.make_room(self.bound_bytes);
        }
        if self.bytes < before {
            load(path, debug_id)
        } else {
            first
        }
    }

    /// What is larger than the bound is used by this dump and dropped with it.
    fn keep(
        &mut self,
        lookup: &Lookup,
        root: &Path,
        path: PathBuf,
        stamp: Stamp,
        symbols: Symbols,
    ) -> Arc<Symbols> {
        let symbols = Arc::new(symbols);
        if symbols.bytes <= self.bound_bytes {
            let loaded = Loaded {
                symbols: Arc::clone(&symbols),
                root: root.to_owned(),
                path,
                stamp,
            };
            self.insert(lookup.key.clone(), Entry::Loaded(loaded));
        }
        symbols
    }

    fn insert(&mut self, key: Key, entry: Entry) {
        self.remove(&key);
        self.bytes += size_of_entry(&key, &entry);
        self.entries.put(key, entry);
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.pop(key) {
            self.bytes -= size_of_entry(key, &entry);
        }
    }

    fn make_room(&mut self, wanted: usize) {
        while self.bytes.saturating_add(wanted) > self.bound_bytes {
            let idle = self.entries.iter().rev().find(|(_, entry)| idle(entry));
            let Some(key) = idle.map(|(key, _)| key.clone()) else {
                return;
            };
            self.remove(&key);
        }
    }
}

fn idle(entry: &Entry) -> bool {
    match entry {
        Entry::Loaded(loaded) => Arc::strong_count(&loaded.symbols) == 1,
        Entry::Absent(_) => true,
    }
}

fn size_of_entry(key: &Key, entry: &Entry) -> usize {
    const BOOKKEEPING: usize = 256;
    let names = key.debug_file.len() + key.debug_id.len() + BOOKKEEPING;
    match entry {
        Entry::Loaded(loaded) => loaded.symbols.bytes + names,
        Entry::Absent(absent) => names + 64 * absent.roots.len(),
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(debug_file: &str, debug_id: &str) -> Option<Lookup> {
        Lookup::new(
            debug_file,
            debug_id,
            &format!("{debug_file}/{debug_id}/{debug_file}.sym"),
        )
    }

    fn store(root: &Path, debug_file: &str, debug_id: &str, functions: usize) -> Lookup {
        let lookup = lookup(debug_file, debug_id).unwrap();
        let path = root.join(&lookup.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut text = format!("MODULE Linux x86_64 {debug_id} {debug_file}\n");
        for number in 0..functions {
            text += &format!("FUNC {:x} 10 0 function_{number}\n{0:x} 10 1 0\n", number * 16);
        }
        fs::write(path, text).unwrap();
        lookup
    }

    fn cache(bound_bytes: usize) -> Cache {
        Cache::new(bound_bytes, Duration::from_secs(3600))
    }

    #[test]
    fn two_builds_of_one_program_are_two_entries() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let mut cache = cache(1 << 20);
        for id in ["AAAA0", "BBBB0"] {
            let found = cache.get(&store(root.path(), "app", id, 1), &roots).unwrap();
            assert_eq!(found.file.module_id, id);
        }
        assert_eq!(cache.stats().entries, 2);
    }

    #[test]
    fn the_longest_unused_goes_first_and_the_bound_holds() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let lookups = ["a", "b", "c"].map(|name| store(root.path(), name, "AAAA0", 2000));
        let one = cache(1 << 30).get(&lookups[0], &roots).unwrap().bytes;
        let mut cache = cache(one * 5 / 2);
        for at in [0, 1, 0, 2] {
            cache.get(&lookups[at], &roots).unwrap();
            cache.settle();
            assert!(cache.stats().bytes <= one * 5 / 2);
        }
        assert!(cache.entries.contains(&lookups[0].key));
        assert!(!cache.entries.contains(&lookups[1].key));
    }

    #[test]
    fn a_renamed_module_has_the_symbols_of_its_debug_id() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().join("empty"), root.path().to_owned()];
        store(root.path(), "app", "AAAA0", 1);
        store(root.path(), "app.pdb", "CCCC1", 1);
        fs::rename(
            root.path().join("app.pdb/CCCC1/app.pdb.sym"),
            root.path().join("app.pdb/CCCC1/app.sym"),
        )
        .unwrap();
        store(root.path(), "none", "00000", 1);
        let mut cache = cache(1 << 20);
        for (name, id) in [("notes", "AAAA0"), ("notes.exe", "CCCC1")] {
            let found = cache.get(&lookup(name, id).unwrap(), &roots).unwrap();
            assert_eq!(found.file.module_id, id);
        }
        for (name, id) in [("notes", "BBBB0"), ("other", "00000")] {
            let found = cache.get(&lookup(name, id).unwrap(), &roots);
            assert_eq!(found.unwrap_err(), Status::Missing);
        }
    }

    #[test]
    fn symbols_under_the_own_name_come_before_those_of_the_same_id() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let own = store(root.path(), "notes", "AAAA0", 2);
        store(root.path(), "app", "AAAA0", 1);
        let found = cache(1 << 20).get(&own, &roots).unwrap();
        assert!(found.file.functions.get(16).is_some());
    }

    #[test]
    fn what_a_renamed_module_used_is_forgotten_by_its_debug_id() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let app = store(root.path(), "app", "AAAA0", 1);
        let mut cache = cache(1 << 20);
        let renamed = lookup("notes", "AAAA0").unwrap();
        assert!(cache.get(&renamed, &roots).is_ok());
        fs::remove_file(root.path().join(&app.path)).unwrap();
        assert!(
            cache.get(&renamed, &roots).is_ok(),
            "it was right when it was read"
        );
        cache.forget(&Forget::Keys(vec![("app".into(), "AAAA0".into())]));
        assert_eq!(cache.get(&renamed, &roots).unwrap_err(), Status::Missing);
    }

    #[test]
    fn symbols_without_lines_are_told_from_those_with() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let stripped = store(root.path(), "stripped", "AAAA0", 0);
        let text = "MODULE Linux x86_64 AAAA0 stripped\nPUBLIC 10 0 a\nFUNC 20 10 0 b\n";
        fs::write(root.path().join(&stripped.path), text).unwrap();
        let whole = store(root.path(), "whole", "AAAA0", 1);
        assert!(!cache(1 << 20).get(&stripped, &roots).unwrap().lines);
        assert!(cache(1 << 20).get(&whole, &roots).unwrap().lines);
    }

    #[test]
    fn symbols_in_use_stay_while_others_of_the_dump_are_read() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let [a, b] = ["a", "b"].map(|name| store(root.path(), name, "AAAA0", 2000));
        let one = cache(1 << 30).get(&a, &roots).unwrap().bytes;
        let mut cache = cache(one * 3 / 2);
        let first = cache.get(&a, &roots).unwrap();
        let second = cache.get(&b, &roots).unwrap();
        assert_eq!(cache.stats().entries, 2);
        drop((first, second));
        cache.settle();
        assert_eq!(cache.stats().entries, 1);
    }

    #[test]
    fn a_file_larger_than_the_bound_is_used_and_not_kept() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let a = store(root.path(), "a", "AAAA0", 2000);
        let mut cache = cache(1000);
        assert!(cache.get(&a, &roots).is_ok());
        assert_eq!(cache.stats().entries, 0);
    }

    #[test]
    fn what_was_missing_is_looked_for_again_when_told() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let mut cache = cache(1 << 20);
        let a = lookup("a", "AAAA0").unwrap();
        assert_eq!(cache.get(&a, &roots).unwrap_err(), Status::Missing);
        store(root.path(), "a", "AAAA0", 1);
        assert_eq!(cache.get(&a, &roots).unwrap_err(), Status::Missing);
        cache.forget(&Forget::Named(Named::Missing));
        assert!(cache.get(&a, &roots).is_ok());
    }

    #[test]
    fn what_was_missing_is_looked_for_again_after_a_while_and_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let mut soon = Cache::new(1 << 20, Duration::ZERO);
        let mut late = cache(1 << 20);
        let a = lookup("a", "AAAA0").unwrap();
        let elsewhere = [root.path().join("elsewhere")];
        assert!(soon.get(&a, &roots).is_err());
        assert!(late.get(&a, &elsewhere).is_err());
        store(root.path(), "a", "AAAA0", 1);
        assert!(soon.get(&a, &roots).is_ok());
        assert!(late.get(&a, &roots).is_ok());
    }

    #[test]
    fn a_file_that_was_replaced_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let mut cache = cache(1 << 20);
        let a = store(root.path(), "a", "AAAA0", 1);
        assert!(cache.get(&a, &roots).unwrap().file.functions.get(16).is_none());
        store(root.path(), "a", "AAAA0", 2);
        assert!(cache.get(&a, &roots).unwrap().file.functions.get(16).is_some());
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_looked_for() {
        for name in ["..", ".", "", "a\0b", "a/b"] {
            assert!(lookup(name, "AAAA0").is_none(), "{name:?}");
        }
    }

    #[test]
    fn cut_lying_and_binary_files_have_names() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let cases: [(&str, &[u8], Status); 5] = [
            (
                "cut",
                b"MODULE Linux x86_64 AAAA0 cut\nFUNC 10 10 0 a_func",
                Status::Corrupt,
            ),
            ("lying", b"MODULE Linux x86_64 BBBB0 lying\n", Status::Lying),
            ("binary", &[0x7f, 0x45, 0xff, 0xfe, 0], Status::Corrupt),
            (
                "zeros",
                b"MODULE Linux x86_64 AAAA0 zeros\n\0\0\0\0\n",
                Status::Corrupt,
            ),
            ("empty", b"", Status::Corrupt),
        ];
        let mut cache = cache(1 << 20);
        for (name, content, expected) in cases {
            let lookup = store(root.path(), name, "AAAA0", 0);
            fs::write(root.path().join(&lookup.path), content).unwrap();
            assert_eq!(cache.get(&lookup, &roots).unwrap_err(), expected, "{name}");
        }
    }
}
