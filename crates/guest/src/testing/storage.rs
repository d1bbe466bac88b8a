//! The storage of tests: in memory, one for each thread.

use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    static VALUES: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

pub(crate) fn load(key: &str) -> Option<Vec<u8>> {
    VALUES.with_borrow(|values| values.get(key).cloned())
}

pub(crate) fn save(key: &str, value: &[u8]) {
    VALUES.with_borrow_mut(|values| values.insert(key.to_owned(), value.to_owned()));
}

pub(crate) fn forget(key: &str) -> bool {
    VALUES.with_borrow_mut(|values| values.remove(key).is_some())
}

pub(crate) fn keys(prefix: &str) -> Vec<String> {
    VALUES.with_borrow(|values| {
        let known = values.keys().filter(|key| key.starts_with(prefix));
        known.cloned().collect()
    })
}
