//! `wasi:config/store`: the variables that a version declares, which are in its environment, too.

use super::served::CONFIG_DRAFTS;
use crate::state::CallState;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

/// An error that the guest sees.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StoreError {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

type Answer<T> = wasmtime::Result<(Result<T, StoreError>,)>;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    for draft in CONFIG_DRAFTS {
        let mut store = linker.instance(&format!("wasi:config/store@{draft}"))?;
        store.func_wrap(
            "get",
            |store: StoreContextMut<'_, CallState>, (key,): (String,)| {
                let mut declared = store.data().wasi.environment().declared();
                let value = declared.find(|(name, _)| *name == key);
                let answer: Answer<Option<String>> =
                    Ok((Ok(value.map(|(_, value)| value.clone())),));
                answer
            },
        )?;
        store.func_wrap(
            "get-all",
            |store: StoreContextMut<'_, CallState>, (): ()| {
                let declared = store.data().wasi.environment().declared();
                let answer: Answer<Vec<(String, String)>> = Ok((Ok(declared.cloned().collect()),));
                answer
            },
        )?;
    }
    Ok(())
}
