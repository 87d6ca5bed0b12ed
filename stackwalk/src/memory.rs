//! The heap, counted: what a parsed symbol file takes is measured, not guessed, and a job that asks for more
//! than the process may have ends it with an exit code of its own.
//!
//! Counted is what the allocator keeps for each piece, its header and rounding included (glibc's figures). Stacks
//! and the program itself are not counted. Fragmentation is not either; `trim_if_wasteful()` gives
//! back what it can.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The exit code of a process that ran out of the memory it may use.
pub const EXIT_MEMORY: i32 = 86;
const WASTE: usize = 32 << 20;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

thread_local! {
    static TAKEN_HERE: Cell<usize> = const { Cell::new(0) };
}

/// Bytes of heap that this thread took and did not give back, since some beginning: only differences mean something.
pub fn taken_here() -> usize {
    TAKEN_HERE.get()
}

/// Bytes of heap that may still be used.
pub fn room_bytes() -> usize {
    LIMIT.load(Relaxed).saturating_sub(LIVE.load(Relaxed))
}

/// From now on the process ends when its heap passes `bytes`.
pub fn limit(bytes: usize) {
    LIMIT.store(bytes, Relaxed);
}

/// Give freed pages back to the system, when the heap was much larger since the last time than it is now.
pub fn trim_if_wasteful() {
    let live = LIVE.load(Relaxed);
    if PEAK.swap(live, Relaxed).saturating_sub(live) > WASTE {
        trim();
    }
}

fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The system's allocator, counted and limited.
pub struct Counted;

const fn cost(size: usize) -> usize {
    let chunk = size.saturating_add(8 + 15) & !15;
    if chunk < 32 { 32 } else { chunk }
}

fn take(bytes: usize) {
    let _ = TAKEN_HERE.try_with(|taken| taken.set(taken.get().wrapping_add(bytes)));
    let live = LIVE.fetch_add(bytes, Relaxed).saturating_add(bytes);
    if live > PEAK.load(Relaxed) {
        PEAK.store(live, Relaxed);
    }
    if live > LIMIT.load(Relaxed) {
        give_up();
    }
}

fn give(bytes: usize) {
    let _ = TAKEN_HERE.try_with(|taken| taken.set(taken.get().wrapping_sub(bytes)));
    LIVE.fetch_sub(bytes, Relaxed);
}

fn give_up() -> ! {
    const MESSAGE: &[u8] = b"missioncontrol-stackwalk: out of the memory that it may use\n";
    // SAFETY: neither allocates; an allocator must not unwind, so there is no way back from here.
    unsafe {
        libc::write(2, MESSAGE.as_ptr().cast(), MESSAGE.len());
        libc::_exit(EXIT_MEMORY)
    }
}

// SAFETY: every call goes on to `System` with the layout as given.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(cost(layout.size()));
        let memory = unsafe { System.alloc(layout) };
        if memory.is_null() {
            give_up();
        }
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(cost(layout.size()));
        let memory = unsafe { System.alloc_zeroed(layout) };
        if memory.is_null() {
            give_up();
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        give(cost(layout.size()));
        unsafe { System.dealloc(memory, layout) };
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (old, new) = (cost(layout.size()), cost(size));
        if new > old {
            take(new - old);
        } else {
            give(old - new);
        }
        let moved = unsafe { System.realloc(memory, layout, size) };
        if moved.is_null() {
            give_up();
        }
        moved
    }
}
