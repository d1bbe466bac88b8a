//! `wasi:random`, with the system's bytes or those of a tape; lengths are bounded.

use super::served::WASI_0_3;
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
        (
            version_0_3!("wasi:random/random"),
            "get-random-bytes",
            "get-random-u64",
        ),
        (
            version_0_3!("wasi:random/insecure"),
            "get-insecure-random-bytes",
            "get-insecure-random-u64",
        ),
    ] {
        // In 0.3 a length is a maximum, and the host may return fewer bytes.
        let may_be_less = interface.ends_with(WASI_0_3.current);
        let mut instance = linker.instance(interface)?;
        instance.func_wrap(
            bytes,
            move |store: StoreContextMut<'_, CallState>, (length,): (u64,)| {
                let length = match may_be_less {
                    true => length.min(MOST),
                    false => length,
                };
                Ok((some(store.data(), length)?,))
            },
        )?;
        instance.func_wrap(number, |store: StoreContextMut<'_, CallState>, (): ()| {
            Ok((number_of(store.data()),))
        })?;
    }
    for (interface, function) in [
        (version!("wasi:random/insecure-seed"), "insecure-seed"),
        (
            version_0_3!("wasi:random/insecure-seed"),
            "get-insecure-seed",
        ),
    ] {
        linker.instance(interface)?.func_wrap(
            function,
            |store: StoreContextMut<'_, CallState>, (): ()| {
                let state = store.data();
                Ok(((number_of(state), number_of(state)),))
            },
        )?;
    }
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
