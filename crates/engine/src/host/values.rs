//! Values that outlive a call, as the guest crate keeps them: `iof` `storage_get`, `_read`, `_set`, `_remove`.
//!
//! A text is the key and bytes are the value; underneath it is the storage of 2020, in the same name space of the
//! function and under the same limits. Its keys have 32 bytes: ours is the SHA-256 of the text behind a prefix, so that
//! no text is the key of a 2020 value. What is stored begins with [`THERE`]; an empty value is one that was removed,
//! because that storage cannot delete.

use super::storage::{KEY, Storage, granted, out_of_order};
use crate::Fault;
use crate::host::memory::{self, BadPointer};
use crate::limits::Reached;
use crate::state::CallState;
use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use wasmtime::{Caller, Linker};

/// The longest key, in bytes.
const LONGEST: u32 = 512;
/// Before the text of a key.
const PREFIX: &[u8] = b"iof storage\0";
/// Before the bytes of a value.
const THERE: u8 = 1;

type Call<'a> = Caller<'a, CallState>;

/// Serves the four.
pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
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
    Ok(())
}

/// The length of a value, which is kept to be read; -1 if there is none.
async fn get(mut caller: Call<'_>, key: u32, length: u32) -> wasmtime::Result<i64> {
    let key = key_of(&mut caller, key, length)?;
    let value = load(&caller, key).await?;
    let length = value.as_ref().map(|value| value.len() as i64);
    caller.data_mut().transactions.read = value;
    Ok(length.unwrap_or(-1))
}

/// Writes the value of the last `storage_get`.
fn read(mut caller: Call<'_>, to: u32) -> wasmtime::Result<()> {
    let Some(value) = caller.data_mut().transactions.read.take() else {
        return Err(out_of_order("read a value that it had not got"));
    };
    if value.is_empty() {
        return Ok(()); // an empty vector's pointer dangles
    }
    let bad = BadPointer {
        pointer: to,
        length: value.len() as u64,
    };
    memory::of(&mut caller)?
        .write(&mut caller, to as usize, &value)
        .map_err(|_| bad.into())
}

async fn set(
    mut caller: Call<'_>,
    (key, length): (u32, u32),
    (value, value_length): (u32, u32),
) -> wasmtime::Result<()> {
    let key = key_of(&mut caller, key, length)?;
    if u64::from(value_length) > caller.data().limits.storage_value.as_u64() {
        return Err(Reached::StorageValue.into());
    }
    let memory = memory::of(&mut caller)?;
    let bytes = memory::read(&memory, &caller, value, value_length)?;
    let mut value = BytesMut::with_capacity(bytes.len() + 1);
    value.put_u8(THERE);
    value.put_slice(&bytes);
    save(&caller, key, value.freeze()).await
}

async fn remove(mut caller: Call<'_>, key: u32, length: u32) -> wasmtime::Result<i32> {
    let key = key_of(&mut caller, key, length)?;
    if load(&caller, key).await?.is_none() {
        return Ok(0);
    }
    save(&caller, key, Bytes::new()).await?;
    Ok(1)
}

async fn load(caller: &Call<'_>, key: [u8; KEY]) -> wasmtime::Result<Option<Bytes>> {
    let state = caller.data();
    let (storage, function): (Arc<dyn Storage>, _) =
        (state.storage.clone(), state.context.function.clone());
    let tape = state.tape.clone();
    let value = match tape.as_ref().and_then(|tape| tape.play_load(&key)) {
        Some(played) => played,
        None => storage.load(&function, &key).await?,
    };
    if let Some(tape) = tape {
        tape.note_load(&key, value.as_ref());
    }
    Ok(value
        .filter(|value| value.first() == Some(&THERE))
        .map(|value| value.slice(1..)))
}

async fn save(caller: &Call<'_>, key: [u8; KEY], value: Bytes) -> wasmtime::Result<()> {
    let state = caller.data();
    let total = state.limits.storage.as_u64();
    let (storage, function) = (state.storage.clone(), state.context.function.clone());
    let tape = state.tape.clone();
    let saved = match tape.as_ref().and_then(|tape| tape.play_save(&key, &value)) {
        Some(played) => played,
        None => storage.save(&function, key, value.clone(), total).await?,
    };
    if let Some(tape) = tape {
        tape.note_save(&key, value, saved);
    }
    if saved {
        Ok(())
    } else {
        Err(Reached::Storage.into())
    }
}

/// Counts an access and reads its key.
fn key_of(caller: &mut Call<'_>, key: u32, length: u32) -> wasmtime::Result<[u8; KEY]> {
    granted(caller.data_mut())?;
    if length == 0 || length > LONGEST {
        return Err(Fault::guest(
            "storage-key",
            format!("The function named a key of {length} bytes; a key has 1 to {LONGEST}."),
        )
        .into());
    }
    let memory = memory::of(caller)?;
    let text = memory::read(&memory, &*caller, key, length)?;
    Ok(Sha256::new()
        .chain_update(PREFIX)
        .chain_update(text)
        .finalize()
        .into())
}
