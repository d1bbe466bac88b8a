//! Storage that outlives a call, for modules of 2020: `ssvm_native` and its successor `wasmedge_native`.

use super::memory;
use crate::capability::random;
use crate::capability::storage::{KEY, Key};
use crate::state::CallState;
use wasmtime::{Caller, Linker};

/// Defines the functions of both import modules.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
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
            caller.data_mut().transactions.end_load();
        })?;
    }
    Ok(())
}

type Call<'a> = Caller<'a, CallState>;

/// Writes a new key and a zero byte.
fn create_uuid(mut caller: Call<'_>, pointer: u32) -> wasmtime::Result<()> {
    let uuid = random::uuid(caller.data().tape.as_ref());
    let mut text = uuid.simple().to_string().into_bytes();
    text.push(0);
    let memory = memory::of(&mut caller)?;
    Ok(memory::write(&memory, &mut caller, pointer, &text)?)
}

fn begin_store(mut caller: Call<'_>, key: u32) -> wasmtime::Result<()> {
    let key = begin(&mut caller, key)?;
    caller.data_mut().transactions.begin_store(key);
    Ok(())
}

fn store(mut caller: Call<'_>, integer: &[u8]) -> wasmtime::Result<()> {
    let state = caller.data_mut();
    Ok(state.transactions.store(integer, &state.limits)?)
}

async fn end_store(mut caller: Call<'_>) -> wasmtime::Result<()> {
    let (transactions, values) = caller.data_mut().storage();
    Ok(transactions.end_store(values).await?)
}

async fn begin_load(mut caller: Call<'_>, key: u32) -> wasmtime::Result<()> {
    let key = begin(&mut caller, key)?;
    let (transactions, values) = caller.data_mut().storage();
    Ok(transactions.begin_load(key, values).await?)
}

fn load<const N: usize>(mut caller: Call<'_>) -> wasmtime::Result<[u8; N]> {
    Ok(caller.data_mut().transactions.load()?)
}

/// Counts a transaction and reads its key.
fn begin(caller: &mut Call<'_>, key: u32) -> wasmtime::Result<Key> {
    caller.data_mut().begin_storage()?;
    let memory = memory::of(caller)?;
    let bytes = memory::read(&memory, &*caller, key, KEY as u32)?;
    // `bytes` has exactly the requested length.
    Ok(bytes.first_chunk().copied().unwrap_or([0; KEY]))
}
