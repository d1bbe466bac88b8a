//! `wasi:random`, of the system's bytes or those of a tape; lengths are bounded.

use super::version;
use crate::capability::random;
use crate::state::CallState;
use iof_fault::{Fault, FaultKind};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

/// The most random bytes that one call may ask for, as in preview 1.
const MOST: u64 = 1 << 20;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    for (interface, bytes, number) in [
        (
            version!("wasi:random/random"),
            "get-random-bytes",
            "get-random-u64",
        ),
        (
            version!("wasi:random/insecure"),
            "get-insecure-random-bytes",
            "get-insecure-random-u64",
        ),
    ] {
        let mut instance = linker.instance(interface)?;
        instance.func_wrap(bytes, |store: StoreContextMut<'_, CallState>, (length,)| {
            Ok((some(store.data(), length)?,))
        })?;
        instance.func_wrap(number, |store: StoreContextMut<'_, CallState>, (): ()| {
            Ok((number_of(store.data()),))
        })?;
    }
    linker
        .instance(version!("wasi:random/insecure-seed"))?
        .func_wrap(
            "insecure-seed",
            |store: StoreContextMut<'_, CallState>, (): ()| {
                let state = store.data();
                Ok(((number_of(state), number_of(state)),))
            },
        )?;
    Ok(())
}

fn some(state: &CallState, length: u64) -> Result<Vec<u8>, Fault> {
    if length > MOST {
        return Err(Fault::new(
            FaultKind::Trap,
            format!(
                "The function asked for {length} random bytes at once; the most are {MOST}. Ask for them in parts."
            ),
        ));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    random::fill(state.tape.as_ref(), &mut bytes);
    Ok(bytes)
}

fn number_of(state: &CallState) -> u64 {
    let mut bytes = [0; 8];
    random::fill(state.tape.as_ref(), &mut bytes);
    u64::from_le_bytes(bytes)
}
