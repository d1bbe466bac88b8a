//! `wasi:keyvalue/store` on the storage of the function: one bucket, `default`, with its own grant and limits.
//!
//! Its keys and values are those of the crate `iof-guest`, so that a core module and a component can read each other's
//! values.

use crate::capability::values::{self, NamedKey};
use crate::limits::LimitExceeded;
use crate::state::CallState;
use iof_fault::Fault;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType};
use wasmtime_wasi::WasiView;

/// The interface with its version: the draft that toolchains use.
pub(super) const STORE: &str = "wasi:keyvalue/store@0.2.0-draft2";
/// The names of the one bucket.
const NAMES: [&str; 2] = ["", "default"];

/// An open bucket.
struct Bucket;

/// An error that the guest sees.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StoreError {
    #[component(name = "no-such-store")]
    NoSuchStore,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "other")]
    Other(String),
}

/// A page of keys.
#[derive(ComponentType, Lower)]
#[component(record)]
struct KeyResponse {
    keys: Vec<String>,
    /// The last key, if more may follow.
    cursor: Option<String>,
}

type Answer<T> = wasmtime::Result<(Result<T, StoreError>,)>;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let mut store = linker.instance(STORE)?;
    let bucket = ResourceType::host::<Bucket>();
    store.resource("bucket", bucket, |mut store, rep| {
        let table = store.data_mut().ctx().table;
        table.delete(Resource::<Bucket>::new_own(rep))?;
        Ok(())
    })?;
    store.func_wrap(
        "open",
        |mut store: StoreContextMut<'_, CallState>, (name,): (String,)| {
            let opened = match NAMES.contains(&&*name) {
                true => Ok(store.data_mut().ctx().table.push(Bucket)?),
                false => Err(StoreError::NoSuchStore),
            };
            Ok((opened,))
        },
    )?;
    store.func_wrap_async(
        "[method]bucket.get",
        |mut store: StoreContextMut<'_, CallState>, (_, key): (Resource<Bucket>, String)| {
            Box::new(async move {
                let value = get(store.data_mut(), key).await?;
                let answer: Answer<Option<Vec<u8>>> = Ok((Ok(value),));
                answer
            })
        },
    )?;
    store.func_wrap_async(
        "[method]bucket.exists",
        |mut store: StoreContextMut<'_, CallState>, (_, key): (Resource<Bucket>, String)| {
            Box::new(async move {
                let value = get(store.data_mut(), key).await?;
                let answer: Answer<bool> = Ok((Ok(value.is_some()),));
                answer
            })
        },
    )?;
    store.func_wrap_async(
        "[method]bucket.set",
        |mut store: StoreContextMut<'_, CallState>,
         (_, key, value): (Resource<Bucket>, String, Vec<u8>)| {
            Box::new(async move {
                let state = store.data_mut();
                let key = key_of(state, key)?;
                if value.len() as u64 > state.limits.storage_value.as_u64() {
                    return Err(LimitExceeded::StorageValue.into());
                }
                let (_, values) = state.storage();
                values::set(&values, key, &value).await?;
                let answer: Answer<()> = Ok((Ok(()),));
                answer
            })
        },
    )?;
    store.func_wrap_async(
        "[method]bucket.delete",
        |mut store: StoreContextMut<'_, CallState>, (_, key): (Resource<Bucket>, String)| {
            Box::new(async move {
                let state = store.data_mut();
                let key = key_of(state, key)?;
                let (_, values) = state.storage();
                values::remove(&values, key).await?;
                let answer: Answer<()> = Ok((Ok(()),));
                answer
            })
        },
    )?;
    store.func_wrap_async(
        "[method]bucket.list-keys",
        |mut store: StoreContextMut<'_, CallState>,
         (_, cursor): (Resource<Bucket>, Option<String>)| {
            Box::new(async move {
                let page = list(store.data_mut(), cursor.unwrap_or_default()).await?;
                let answer: Answer<KeyResponse> = Ok((Ok(page),));
                answer
            })
        },
    )
}

/// Counts an access, and checks its key.
fn key_of(state: &mut CallState, key: String) -> Result<NamedKey, Fault> {
    state.begin_storage()?;
    values::check_key(u32::try_from(key.len()).unwrap_or(u32::MAX))?;
    Ok(NamedKey::new(key.into()))
}

async fn get(state: &mut CallState, key: String) -> Result<Option<Vec<u8>>, Fault> {
    let key = key_of(state, key)?;
    let (_, values) = state.storage();
    let value = values::get(&values, &key).await?;
    Ok(value.map(|value| value.to_vec()))
}

async fn list(state: &mut CallState, after: String) -> Result<KeyResponse, Fault> {
    state.begin_storage()?;
    values::check_part(u32::try_from(after.len()).unwrap_or(u32::MAX))?;
    let (_, stored) = state.storage();
    let (names, is_full) = values::keys(&stored, &after.into()).await?;
    let keys = names.iter();
    let keys: Vec<_> = keys
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    Ok(KeyResponse {
        cursor: keys.last().filter(|_| is_full).cloned(),
        keys,
    })
}
