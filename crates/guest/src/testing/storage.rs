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

pub(crate) fn page(prefix: &str, after: &[u8]) -> (Vec<String>, Option<Vec<u8>>) {
    VALUES.with_borrow(|values| {
        let known = values
            .keys()
            .filter(|key| key.starts_with(prefix) && key.as_bytes() > after);
        (known.cloned().collect(), None)
    })
}

pub(crate) fn add(key: &str, delta: i64) -> Option<Vec<u8>> {
    let number = match load(key) {
        None => 0,
        Some(text) => std::str::from_utf8(&text)
            .ok()?
            .trim()
            .parse::<i64>()
            .ok()?,
    };
    let sum = number.checked_add(delta)?.to_string().into_bytes();
    save(key, &sum);
    Some(sum)
}

/// Reads the entries that the module `storage::batch` writes.
pub(crate) fn commit(batch: &[u8]) -> bool {
    let mut rest = batch;
    let mut changes = Vec::new();
    while let Some((kind, tail)) = rest.split_first() {
        rest = tail;
        let key = String::from_utf8_lossy(take(&mut rest)).into_owned();
        match kind {
            0 if load(&key).is_some() => return false,
            1 if load(&key).as_deref() != Some(take(&mut rest)) => return false,
            2 | 3 => changes.push((key, Some(take(&mut rest).to_vec()))),
            4 => changes.push((key, None)),
            _ => {}
        }
        if *kind == 3 {
            rest = rest.get(8..).unwrap_or_default();
        }
    }
    for (key, value) in changes {
        match value {
            Some(value) => save(&key, &value),
            None => {
                forget(&key);
            }
        }
    }
    true
}

/// Reads a length and that many bytes.
fn take<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, tail)) = rest.split_first_chunk::<4>() else {
        return &[];
    };
    let (bytes, tail) = tail
        .split_at_checked(u32::from_le_bytes(*length) as usize)
        .unwrap_or((tail, &[]));
    *rest = tail;
    bytes
}
