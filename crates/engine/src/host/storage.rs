//! Values that outlive a call, as 2020 modules keep them: `ssvm_native` and its successor `wasmedge_native`.
//!
//! A value is a stream of integers under a key of 32 bytes. A guest begins a store, hands over integers one by one, and
//! ends it; what was begun and not ended, because the guest trapped or ran out of time, was never stored. A load reads
//! the whole value at its beginning, so what comes out is of one moment. A key is looked up in the function's own name
//! space: knowing another function's key leads nowhere, where in 2020 it led to its values.
//!
//! Facts of the original: second-state/WasmEdge-storage, and the guest crate `rust_storage_interface_library`. Reading a
//! key that holds nothing, or past the end of a value, ended the call there too.

use crate::host::memory::{self, BadPointer};
use crate::limits::Reached;
use crate::state::CallState;
use iof_fault::{Fault, FaultKind};

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;
use wasmtime::{Caller, Linker};

/// Where functions' values are kept. The engine knows no database: whoever starts it brings one.
#[async_trait]
pub trait Storage: Send + Sync {
    /// The value that a function keeps under a key.
    ///
    /// # Errors
    /// A fault of source `host` when the store fails.
    async fn load(&self, function: &str, key: &[u8; KEY]) -> Result<Option<Bytes>, Fault>;

    /// Keeps a value under a key, which may be the digest of a name; when this returns, it is on the disk. `false`: all
    /// values of the function would take more than `total` bytes, and nothing was changed.
    ///
    /// # Errors
    /// As [`Storage::load`].
    async fn save(
        &self,
        function: &str,
        key: ([u8; KEY], Option<Bytes>),
        value: Bytes,
        total: u64,
    ) -> Result<bool, Fault>;

    /// Removes the value under a key, and all that it takes. `false`: there was none.
    ///
    /// # Errors
    /// As [`Storage::load`].
    async fn remove(&self, function: &str, key: [u8; KEY]) -> Result<bool, Fault>;

    /// Names of values that begin with `prefix` and come after `after`, in the order of their bytes, at most `limit`.
    ///
    /// # Errors
    /// As [`Storage::load`].
    async fn names(
        &self,
        function: &str,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<Bytes>, Fault>;
}

/// Bytes of a key: a UUID in hexadecimal digits, as `createUUID` makes them, or any others.
pub(crate) const KEY: usize = 32;

/// The transactions of one call.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    storing: Option<([u8; KEY], Vec<u8>)>,
    loading: Option<Bytes>,
    /// What `iof` `storage_get` found.
    pub(crate) read: Option<Bytes>,
    /// How many were begun.
    begun: u32,
}

/// Serves both import modules.
pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    for (module, prefix) in [
        ("ssvm_native", "ssvm_storage"),
        ("wasmedge_native", "wasmedge_storage"),
    ] {
        let name = |function: &str| format!("{prefix}_{function}");
        linker.func_wrap(module, &name("createUUID"), create_uuid)?;
        linker.func_wrap(module, &name("beginStoreTx"), begin_store)?;
        linker.func_wrap(module, &name("storeI32"), |caller: Call<'_>, value: i32| {
            store(caller, &value.to_le_bytes())
        })?;
        linker.func_wrap(module, &name("storeI64"), |caller: Call<'_>, value: i64| {
            store(caller, &value.to_le_bytes())
        })?;
        linker.func_wrap_async(module, &name("endStoreTx"), |caller: Call<'_>, ()| {
            Box::new(end_store(caller))
        })?;
        linker.func_wrap_async(
            module,
            &name("beginLoadTx"),
            |caller: Call<'_>, (key,): (u32,)| Box::new(begin_load(caller, key)),
        )?;
        linker.func_wrap(module, &name("loadI32"), |caller: Call<'_>| {
            load(caller).map(i32::from_le_bytes)
        })?;
        linker.func_wrap(module, &name("loadI64"), |caller: Call<'_>| {
            load(caller).map(i64::from_le_bytes)
        })?;
        linker.func_wrap(module, &name("endLoadTx"), |mut caller: Call<'_>| {
            caller.data_mut().transactions.loading = None;
        })?;
    }
    Ok(())
}

type Call<'a> = Caller<'a, CallState>;

/// Writes a new key and a zero byte.
fn create_uuid(mut caller: Call<'_>, pointer: u32) -> wasmtime::Result<()> {
    let uuid = match &caller.data().tape {
        None => Uuid::new_v4(),
        Some(tape) => {
            let mut random = [0; 16];
            tape.random(&mut random);
            uuid::Builder::from_random_bytes(random).into_uuid()
        }
    };
    let mut text = uuid.simple().to_string().into_bytes();
    text.push(0);
    let bad = BadPointer {
        pointer,
        length: text.len() as u64,
    };
    memory::of(&mut caller)?
        .write(&mut caller, pointer as usize, &text)
        .map_err(|_| bad.into())
}

fn begin_store(mut caller: Call<'_>, key: u32) -> wasmtime::Result<()> {
    let key = begin(&mut caller, key)?;
    caller.data_mut().transactions.storing = Some((key, Vec::new()));
    Ok(())
}

fn store(mut caller: Call<'_>, bytes: &[u8]) -> wasmtime::Result<()> {
    let state = caller.data_mut();
    let limit = state.limits.storage_value.as_u64();
    let Some((_, value)) = &mut state.transactions.storing else {
        return Err(out_of_order("stored an integer before it began a store"));
    };
    if (value.len() + bytes.len()) as u64 > limit {
        return Err(Reached::StorageValue.into());
    }
    value.extend_from_slice(bytes);
    Ok(())
}

async fn end_store(mut caller: Call<'_>) -> wasmtime::Result<()> {
    let state = caller.data_mut();
    let Some((key, value)) = state.transactions.storing.take() else {
        return Err(out_of_order("ended a store that it had not begun"));
    };
    save_value(&mut caller, (key, None), value.into()).await
}

/// Keeps a value, or says as a replay what came of it.
pub(crate) async fn save_value(
    caller: &mut Call<'_>,
    (key, name): ([u8; KEY], Option<Bytes>),
    value: Bytes,
) -> wasmtime::Result<()> {
    let state = caller.data();
    let total = state.limits.storage.as_u64();
    let (storage, function) = (state.storage.clone(), state.context.function.clone());
    let tape = state.tape.clone();
    let saved = match tape.as_ref().and_then(|tape| tape.play_save(&key, &value)) {
        Some(played) => played,
        None => {
            storage
                .save(&function, (key, name), value.clone(), total)
                .await?
        }
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

/// Removes a value; on a tape that is a value without bytes.
pub(crate) async fn remove_value(caller: &mut Call<'_>, key: [u8; KEY]) -> wasmtime::Result<()> {
    let state = caller.data();
    let (storage, function) = (state.storage.clone(), state.context.function.clone());
    let tape = state.tape.clone();
    let played = tape
        .as_ref()
        .and_then(|tape| tape.play_save(&key, &Bytes::new()));
    if played.is_none() {
        storage.remove(&function, key).await?;
    }
    if let Some(tape) = tape {
        tape.note_save(&key, Bytes::new(), true);
    }
    Ok(())
}

/// Names of values, or what a replay says they were.
pub(crate) async fn list_names(
    caller: &mut Call<'_>,
    prefix: &Bytes,
    after: &Bytes,
    limit: u32,
) -> wasmtime::Result<Vec<Bytes>> {
    let state = caller.data();
    let (storage, function) = (state.storage.clone(), state.context.function.clone());
    let tape = state.tape.clone();
    let names = match tape.as_ref().and_then(|tape| tape.play_list(prefix, after)) {
        Some(played) => played,
        None => storage.names(&function, prefix, after, limit).await?,
    };
    if let Some(tape) = tape {
        tape.note_list(prefix, after, &names);
    }
    Ok(names)
}

/// The value under a key, or what a replay says it was.
pub(crate) async fn load_value(
    caller: &mut Call<'_>,
    key: &[u8; KEY],
) -> wasmtime::Result<Option<Bytes>> {
    let state = caller.data();
    let (storage, function) = (state.storage.clone(), state.context.function.clone());
    let tape = state.tape.clone();
    let value = match tape.as_ref().and_then(|tape| tape.play_load(key)) {
        Some(played) => played,
        None => storage.load(&function, key).await?,
    };
    if let Some(tape) = tape {
        tape.note_load(key, value.as_ref());
    }
    Ok(value)
}

async fn begin_load(mut caller: Call<'_>, key: u32) -> wasmtime::Result<()> {
    let key = begin(&mut caller, key)?;
    let value = load_value(&mut caller, &key).await?;
    let value = value.ok_or_else(|| {
        let key: String = String::from_utf8_lossy(&key).escape_debug().collect();
        Fault::new(
            FaultKind::StorageMissing,
            format!("The function loaded `{key}`, under which it has stored nothing."),
        )
    })?;
    caller.data_mut().transactions.loading = Some(value);
    Ok(())
}

fn load<const N: usize>(mut caller: Call<'_>) -> wasmtime::Result<[u8; N]> {
    let Some(value) = &mut caller.data_mut().transactions.loading else {
        return Err(out_of_order("loaded an integer before it began a load"));
    };
    let Some(bytes) = value.first_chunk::<N>().copied() else {
        return Err(out_of_order("loaded more than it had stored"));
    };
    bytes::Buf::advance(value, N);
    Ok(bytes)
}

/// Counts a transaction and reads its key.
fn begin(caller: &mut Call<'_>, key: u32) -> wasmtime::Result<[u8; KEY]> {
    granted(caller.data_mut())?;
    let memory = memory::of(caller)?;
    let bytes = memory::read(&memory, &*caller, key, KEY as u32)?;
    // As many as were asked for.
    Ok(bytes.first_chunk().copied().unwrap_or([0; KEY]))
}

/// Counts an access to the storage, if the function has one.
pub(crate) fn granted(state: &mut CallState) -> wasmtime::Result<()> {
    if !state.context.grants.storage {
        return Err(Fault::new(
            FaultKind::StorageNotGranted,
            "The function was not granted storage. Add `storage = true` to its function.toml.",
        )
        .into());
    }
    state.transactions.begun += 1;
    if state.transactions.begun > state.limits.storage_transactions {
        return Err(Reached::StorageTransactions.into());
    }
    Ok(())
}

pub(crate) fn out_of_order(what: &str) -> wasmtime::Error {
    Fault::new(FaultKind::StorageOrder, format!("The function {what}.")).into()
}
