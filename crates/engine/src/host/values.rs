//! Storage that outlives a call, for the guest crate: `iof` `storage_get`, `_read`, `_set`, `_remove`, `_list`,
//! `_commit`, `_add`.

use super::memory;
use crate::capability::batches::{self, BATCH, EncodedBatch};
use crate::capability::values::{self, NamedKey};
use crate::state::CallState;
use bytes::Bytes;
use wasmtime::{Caller, Linker};

type Call<'a> = Caller<'a, CallState>;

/// Defines the seven imports.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        "iof",
        "storage_get",
        |caller: Call<'_>, (key, length): (u32, u32)| Box::new(get(caller, key, length)),
    )?;
    linker.func_wrap("iof", "storage_read", read)?;
    linker.func_wrap_async(
        "iof",
        "storage_set",
        |caller: Call<'_>, (key, length, value, value_length): (u32, u32, u32, u32)| {
            Box::new(set(caller, (key, length), (value, value_length)))
        },
    )?;
    linker.func_wrap_async(
        "iof",
        "storage_remove",
        |caller: Call<'_>, (key, length): (u32, u32)| Box::new(remove(caller, key, length)),
    )?;
    linker.func_wrap_async(
        "iof",
        "storage_list",
        |caller: Call<'_>, (prefix, prefix_length, after, after_length): (u32, u32, u32, u32)| {
            Box::new(list(caller, (prefix, prefix_length), (after, after_length)))
        },
    )?;
    linker.func_wrap_async(
        "iof",
        "storage_commit",
        |caller: Call<'_>, (batch, length): (u32, u32)| Box::new(commit(caller, batch, length)),
    )?;
    linker.func_wrap_async(
        "iof",
        "storage_add",
        |caller: Call<'_>, (key, length, delta): (u32, u32, i64)| {
            Box::new(add(caller, (key, length), delta))
        },
    )?;
    Ok(())
}

/// Returns the length of a value, which is held for `storage_read`; -1 if there is none.
async fn get(mut caller: Call<'_>, key: u32, length: u32) -> wasmtime::Result<i64> {
    let key = key_of(&mut caller, key, length)?;
    let (transactions, values) = caller.data_mut().storage();
    let value = values::get(&values, &key).await?;
    let length = value.as_ref().map(|value| value.len() as i64);
    transactions.answer(value);
    Ok(length.unwrap_or(-1))
}

/// Writes the value of the last `storage_get`, or the page of the last `storage_list`.
fn read(mut caller: Call<'_>, to: u32) -> wasmtime::Result<()> {
    let value = caller.data_mut().transactions.read()?;
    if value.is_empty() {
        return Ok(()); // an empty vector's pointer dangles
    }
    let memory = memory::of(&mut caller)?;
    Ok(memory::write(&memory, &mut caller, to, &value)?)
}

async fn set(
    mut caller: Call<'_>,
    (key, length): (u32, u32),
    (value, value_length): (u32, u32),
) -> wasmtime::Result<()> {
    let key = key_of(&mut caller, key, length)?;
    let memory = memory::of(&mut caller)?;
    memory::check(&memory, &caller, value, value_length)?;
    values::check_value(value_length, &caller.data().limits)?;
    let bytes = memory::read(&memory, &caller, value, value_length)?;
    let (_, values) = caller.data_mut().storage();
    Ok(values::set(&values, key, &bytes).await?)
}

async fn remove(mut caller: Call<'_>, key: u32, length: u32) -> wasmtime::Result<i32> {
    let key = key_of(&mut caller, key, length)?;
    let (_, values) = caller.data_mut().storage();
    Ok(values::remove(&values, key).await?.into())
}

/// Returns the length of a page of keys, which is held for `storage_read`.
async fn list(
    mut caller: Call<'_>,
    prefix: (u32, u32),
    after: (u32, u32),
) -> wasmtime::Result<i64> {
    caller.data_mut().begin_storage()?;
    let prefix = part_of(&mut caller, prefix)?;
    let after = part_of(&mut caller, after)?;
    let (transactions, values) = caller.data_mut().storage();
    let page = values::list(&values, &prefix, &after).await?;
    let length = page.len() as i64;
    transactions.answer(Some(page));
    Ok(length)
}

/// Commits a batch of changes. Returns 1 if it was committed, else 0.
async fn commit(mut caller: Call<'_>, batch: u32, length: u32) -> wasmtime::Result<i32> {
    caller.data_mut().begin_storage()?;
    let memory = memory::of(&mut caller)?;
    memory::check(&memory, &caller, batch, length)?;
    if length > BATCH {
        return Err(batches::too_large(length).into());
    }
    let text = memory::read(&memory, &caller, batch, length)?;
    let batch = EncodedBatch::read(text.into(), &caller.data().limits)?;
    caller
        .data_mut()
        .begin_more(batch.accesses().saturating_sub(1))?;
    let (_, values) = caller.data_mut().storage();
    Ok(batch.commit(&values).await?.into())
}

/// Returns the length of the text of a sum, which is held for `storage_read`; -1 if there is none.
async fn add(mut caller: Call<'_>, (key, length): (u32, u32), delta: i64) -> wasmtime::Result<i64> {
    let key = key_of(&mut caller, key, length)?;
    let (transactions, values) = caller.data_mut().storage();
    let sum = batches::add(&values, key, delta).await?;
    let length = sum.as_ref().map(|sum| sum.len() as i64);
    transactions.answer(sum);
    Ok(length.unwrap_or(-1))
}

/// Counts an access and reads its key.
fn key_of(caller: &mut Call<'_>, key: u32, length: u32) -> wasmtime::Result<NamedKey> {
    caller.data_mut().begin_storage()?;
    let memory = memory::of(caller)?;
    memory::check(&memory, &*caller, key, length)?;
    values::check_key(length)?;
    Ok(NamedKey::new(part_of(caller, (key, length))?))
}

/// Reads a text that is no longer than a key.
fn part_of(caller: &mut Call<'_>, (text, length): (u32, u32)) -> wasmtime::Result<Bytes> {
    let memory = memory::of(caller)?;
    memory::check(&memory, &*caller, text, length)?;
    values::check_part(length)?;
    Ok(memory::read(&memory, &*caller, text, length)?.into())
}
