//! What the last panic said, kept for the answer instead of printed.

use std::cell::RefCell;
use std::panic;

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keep the text of each panic from now on.
pub fn keep() {
    panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        LAST.with(|last| *last.borrow_mut() = text);
    }));
}

/// The text of this thread's last panic.
pub fn last() -> String {
    LAST.with(|last| last.borrow().clone())
}
