//! Values that outlive a call, as the guest crate keeps them: `iof` `storage_get`, `_read`, `_set`, `_remove`, `_list`.
//!
//! A text is the key and bytes are the value; underneath it is the storage of 2020, in the same name space of the
//! function and under the same limits. Its keys have 32 bytes: ours is the SHA-256 of the text behind a prefix, so that
//! no text is the key of a 2020 value. What is stored begins with [`THERE`], so that a value of 2020 under the same
//! digest is not taken for one of ours. A removed value is gone, and takes nothing of `limits.storage`; an earlier release
//! kept an empty value in its place, which the next removal takes away.

use super::storage::{self, KEY, granted, out_of_order};
use crate::host::memory::{self, BadPointer};
use crate::limits::Reached;
use crate::state::CallState;
use bytes::{BufMut, Bytes, BytesMut};
use iof_fault::{Fault, FaultKind};
use sha2::{Digest, Sha256};
use wasmtime::{Caller, Linker};

/// The longest key, in bytes.
const LONGEST: u32 = 512;
/// Before the text of a key.
const PREFIX: &[u8] = b"iof storage\0";
/// Before the bytes of a value.
const THERE: u8 = 1;

/// Keys in one answer of `storage_list`; fewer mean that no more follow.
const LISTED: u32 = 1000;

type Call<'a> = Caller<'a, CallState>;

/// The text of a key, and the key that it becomes.
struct Key {
    text: Bytes,
    digest: [u8; KEY],
}

/// Serves the five.
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
    linker.func_wrap_async(
        "iof",
        "storage_list",
        |caller: Call<'_>, (prefix, prefix_length, after, after_length): (u32, u32, u32, u32)| {
            Box::new(list(caller, (prefix, prefix_length), (after, after_length)))
        },
    )?;
    Ok(())
}

/// The length of a value, which is kept to be read; -1 if there is none.
async fn get(mut caller: Call<'_>, key: u32, length: u32) -> wasmtime::Result<i64> {
    let key = key_of(&mut caller, key, length)?;
    let value = storage::load_value(&mut caller, &key.digest).await?;
    let value = value.filter(is_there).map(|value| value.slice(1..));
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
    let key = (key.digest, Some(key.text));
    storage::save_value(&mut caller, key, value.freeze()).await
}

async fn remove(mut caller: Call<'_>, key: u32, length: u32) -> wasmtime::Result<i32> {
    let key = key_of(&mut caller, key, length)?;
    let Some(value) = storage::load_value(&mut caller, &key.digest).await? else {
        return Ok(0);
    };
    storage::remove_value(&mut caller, key.digest).await?;
    Ok(i32::from(is_there(&value)))
}

/// The length of a page of keys, which is kept to be read: of each key its length in four bytes, little-endian, and the
/// key. Keys begin with a prefix and come after another key, in the order of their bytes.
async fn list(
    mut caller: Call<'_>,
    prefix: (u32, u32),
    after: (u32, u32),
) -> wasmtime::Result<i64> {
    granted(caller.data_mut())?;
    let prefix = text_of(&mut caller, prefix)?;
    let after = text_of(&mut caller, after)?;
    let names = storage::list_names(&mut caller, &prefix, &after, LISTED).await?;
    let mut page = BytesMut::new();
    for name in names {
        page.put_u32_le(u32::try_from(name.len()).unwrap_or(u32::MAX));
        page.put_slice(&name);
    }
    let length = page.len() as i64;
    caller.data_mut().transactions.read = Some(page.freeze());
    Ok(length)
}

/// Whether something is kept there, and by these functions.
fn is_there(value: &Bytes) -> bool {
    value.first() == Some(&THERE)
}

/// Counts an access and reads its key.
fn key_of(caller: &mut Call<'_>, key: u32, length: u32) -> wasmtime::Result<Key> {
    granted(caller.data_mut())?;
    if length == 0 {
        return Err(not_a_key(length));
    }
    let text = text_of(caller, (key, length))?;
    let digest = Sha256::new().chain_update(PREFIX).chain_update(&text);
    Ok(Key {
        digest: digest.finalize().into(),
        text,
    })
}

/// Reads what is as long as a key at most.
fn text_of(caller: &mut Call<'_>, (text, length): (u32, u32)) -> wasmtime::Result<Bytes> {
    if length > LONGEST {
        return Err(not_a_key(length));
    }
    let memory = memory::of(caller)?;
    Ok(memory::read(&memory, &*caller, text, length)?.into())
}

fn not_a_key(length: u32) -> wasmtime::Error {
    Fault::new(
        FaultKind::StorageKey,
        format!("The function named a key of {length} bytes; a key has 1 to {LONGEST}."),
    )
    .into()
}
