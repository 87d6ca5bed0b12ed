//! The symbols of one dump: asks the cache once for each module and keeps what it got until the dump is done.
//!
//! What was loaded, missing or unusable is told for this dump and for each module, however modules are called.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use breakpad_symbols::{basename, breakpad_sym_lookup};
use minidump::Module;
use minidump_unwind::{
    FileError, FileKind, FillSymbolError, FrameSymbolizer, FrameWalker, SymbolProvider, SymbolStats,
};
use serde::Serialize;

use crate::cache::{Cache, Lookup};
use crate::symbol_file::{Status, Symbols};

/// What became of the symbols of one module that was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct ModuleSymbols {
    pub debug_file: String,
    pub debug_id: String,
    pub filename: String,
    pub status: Status,
    #[serde(skip)]
    pub base_address: u64,
}

/// How many modules of a dump ended how; `corrupt` counts all that were there and could not be used.
#[derive(Debug, Serialize)]
pub struct SymbolCounts {
    pub loaded: usize,
    pub missing: usize,
    pub corrupt: usize,
    pub modules: Vec<ModuleSymbols>,
}

struct Asked {
    symbols: Option<Arc<Symbols>>,
    module: ModuleSymbols,
}

/// The symbols of one dump.
pub struct DumpSymbols<'a> {
    cache: &'a Mutex<Cache>,
    roots: &'a [PathBuf],
    asked: Mutex<HashMap<u64, Asked>>,
}

impl<'a> DumpSymbols<'a> {
    pub fn new(cache: &'a Mutex<Cache>, roots: &'a [PathBuf]) -> Self {
        Self {
            cache,
            roots,
            asked: Mutex::default(),
        }
    }

    /// What was asked for, in the order of the modules' addresses.
    pub fn counts(&self) -> SymbolCounts {
        let mut modules: Vec<_> = lock(&self.asked).values().map(|a| a.module.clone()).collect();
        modules.sort_by_key(|m| m.base_address);
        let count = |wanted: &[Status]| modules.iter().filter(|m| wanted.contains(&m.status)).count();
        let loaded = count(&[Status::Loaded, Status::NamesOnly]);
        let missing = count(&[Status::Missing, Status::Unidentified]);
        SymbolCounts {
            loaded,
            missing,
            corrupt: modules.len() - loaded - missing,
            modules,
        }
    }

    fn symbols(&self, module: &(dyn Module + Sync)) -> Option<Arc<Symbols>> {
        // Two modules of a dump never begin at the same address: the list of modules keeps one of them.
        let mut asked = lock(&self.asked);
        let entry = asked
            .entry(module.base_address())
            .or_insert_with(|| self.ask(module));
        entry.symbols.clone()
    }

    fn ask(&self, module: &(dyn Module + Sync)) -> Asked {
        let found = match lookup(module) {
            Some(lookup) => lock(self.cache).get(&lookup, self.roots),
            None => Err(Status::Unidentified),
        };
        let status = match &found {
            Ok(symbols) if symbols.lines => Status::Loaded,
            Ok(_) => Status::NamesOnly,
            Err(status) => *status,
        };
        Asked {
            symbols: found.ok(),
            module: describe(module, status),
        }
    }
}

fn lookup(module: &(dyn Module + Sync)) -> Option<Lookup> {
    let found = breakpad_sym_lookup(module)?;
    let mut parts = found.cache_rel.split('/');
    Lookup::new(parts.next()?, parts.next()?, &found.cache_rel)
}

fn describe(module: &(dyn Module + Sync), status: Status) -> ModuleSymbols {
    let debug_file = module.debug_file().unwrap_or_default();
    let debug_id = module.debug_identifier().unwrap_or_default();
    ModuleSymbols {
        debug_file: basename(&debug_file).to_owned(),
        debug_id: debug_id.breakpad().to_string(),
        filename: basename(&module.code_file()).to_owned(),
        status,
        base_address: module.base_address(),
    }
}

/// A panic in the middle of a job leaves nothing half done that a later job could see.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The marks that rust-minidump's JSON has for each module.
pub fn marks(status: Status) -> SymbolStats {
    SymbolStats {
        loaded_symbols: matches!(status, Status::Loaded | Status::NamesOnly | Status::Corrupt),
        corrupt_symbols: status == Status::Corrupt,
        ..SymbolStats::default()
    }
}

#[async_trait]
impl SymbolProvider for DumpSymbols<'_> {
    async fn fill_symbol(
        &self,
        module: &(dyn Module + Sync),
        frame: &mut (dyn FrameSymbolizer + Send),
    ) -> Result<(), FillSymbolError> {
        let symbols = self.symbols(module).ok_or(FillSymbolError {})?;
        symbols.file.fill_symbol(module, frame);
        Ok(())
    }

    async fn walk_frame(
        &self,
        module: &(dyn Module + Sync),
        walker: &mut (dyn FrameWalker + Send),
    ) -> Option<()> {
        self.symbols(module)?.file.walk_frame(module, walker)
    }

    async fn get_file_path(
        &self,
        _module: &(dyn Module + Sync),
        _kind: FileKind,
    ) -> Result<PathBuf, FileError> {
        Err(FileError::NotFound)
    }

    fn stats(&self) -> HashMap<String, SymbolStats> {
        let asked = lock(&self.asked);
        let each = asked.values().map(|a| &a.module);
        each.map(|m| (m.filename.clone(), marks(m.status))).collect()
    }
}
