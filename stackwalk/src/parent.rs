//! A worker without the process that started it has nobody to answer to, and ends in the middle of its job.

use std::thread;
use std::time::Duration;

/// Look every second whether the parent is still there.
pub fn end_with_it() {
    #[cfg(unix)]
    {
        // SAFETY: getppid has no preconditions and cannot fail.
        let parent = || unsafe { libc::getppid() };
        let first = parent();
        thread::spawn(move || {
            while parent() == first {
                thread::sleep(Duration::from_secs(1));
            }
            std::process::exit(0);
        });
    }
}
