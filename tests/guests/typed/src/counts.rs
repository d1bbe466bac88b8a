//! Values that count on what is there.

use iof::storage::{self, Batch};
use std::time::Duration;

/// Adds to a number, and returns the sum.
#[iof::function]
fn sum(key: &str, by: i64) -> iof::Result<i64> {
    Ok(storage::increment(key, by)?)
}

/// The same by an update.
#[iof::function]
fn sum_by_update(key: &str, by: i64) -> iof::Result<i64> {
    Ok(storage::update(key, |sum: Option<i64>| sum.unwrap_or(0) + by)?)
}

/// Moves an amount from one account to another, unless there is not enough.
#[iof::function]
fn transfer(from: &str, to: &str, amount: i64) -> iof::Result<bool> {
    loop {
        let (before, other): (Option<i64>, Option<i64>) = (storage::get(from)?, storage::get(to)?);
        let left = before.unwrap_or(0) - amount;
        if left < 0 {
            return Ok(false);
        }
        let moved = Batch::new()
            .expect(from, before.as_ref())?
            .expect(to, other.as_ref())?
            .set(from, &left)?
            .set(to, &(other.unwrap_or(0) + amount))?;
        if moved.commit() {
            return Ok(true);
        }
    }
}

/// Keeps a text for a time.
#[iof::function]
fn keep_for(key: &str, text: &str, milliseconds: u64) -> iof::Result<()> {
    Ok(storage::set_for(key, text, Duration::from_millis(milliseconds))?)
}

/// The text that is kept under a key.
#[iof::function]
fn text_of(key: &str) -> iof::Result<Option<String>> {
    Ok(storage::get(key)?)
}

/// The number of keys that begin so, counted in pages, and the number of pages.
#[iof::function]
fn pages_of(prefix: &str) -> iof::Result<(usize, usize)> {
    let (mut keys, mut pages, mut after) = (0, 0, String::new());
    loop {
        let page = storage::keys_after(prefix, &after)?;
        let Some(last) = page.last() else {
            return Ok((keys, pages));
        };
        (keys, pages) = (keys + page.len(), pages + 1);
        after.clone_from(last);
    }
}

/// Sets many keys at once.
#[iof::function]
fn fill(prefix: &str, from: u32, to: u32) -> iof::Result<()> {
    for start in (from..to).step_by(100) {
        let mut batch = Batch::new();
        for at in start..to.min(start + 100) {
            batch = batch.set(&format!("{prefix}{at:06}"), &at)?;
        }
        assert!(batch.commit());
    }
    Ok(())
}
