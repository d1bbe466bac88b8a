//! `/v1/server`: the server's identity, for clients that store a key of it, and its current state, for its operator.
//!
//! The identity is public, and proves nothing: a client sends a key only to the address from which it got the key.

use super::answer::{ErrorResponse, Json, Problem};
use crate::app::App;
use crate::parsing::blocking;
use crate::sent_key::{SentKey, sent_key};
use crate::time::time;
use axum::extract::State;
use http::HeaderMap;
use iof_store::Scope;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use utoipa::ToSchema;

/// A server: counts since its start, and current values.
#[derive(Serialize, ToSchema)]
pub(super) struct ServerInfo {
    /// Its identity, which was made with its data and stays with it, wherever the server listens.
    id: String,
    /// True for the server of `iof dev`, on which each build replaces the deployed version.
    dev: bool,
    /// True if it was started with keys (auth.keys).
    takes_keys: bool,
    /// The key that was sent with this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<CallerKey>,
    /// The version of iof. This field and the following ones take a key of the server, or one of scope `read` for all
    /// functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<CallFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    functions: Option<FunctionFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<SlotFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instances: Option<InstanceFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maps: Option<MapFigures>,
}

/// The key of a request.
#[derive(Serialize, ToSchema)]
struct CallerKey {
    kind: KeyKind,
    /// The label of a key that was made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Its scopes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<&'static str>,
    /// The only function for which the key is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<i64>,
    /// The time at which the key expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// A kind of key.
#[derive(Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum KeyKind {
    /// A key of the server (auth.keys): everything.
    Server,
    /// A key that was made here (/v1/keys).
    Made,
    /// Any other key: the key of a function, a wrong key or an expired one.
    Unknown,
}

impl CallerKey {
    fn of(sent: SentKey) -> Option<Self> {
        let plain = |kind| Self {
            kind,
            label: None,
            scopes: vec![],
            function: None,
            expires_at: None,
        };
        match sent {
            SentKey::Nothing => None,
            SentKey::OtherScheme | SentKey::Unknown | SentKey::Ended(_) => {
                Some(plain(KeyKind::Unknown))
            }
            SentKey::Operator => Some(plain(KeyKind::Server)),
            SentKey::Made(key) => Some(Self {
                kind: KeyKind::Made,
                scopes: key.scopes.iter().map(Scope::as_str).collect(),
                label: Some(key.label),
                function: key.function_id,
                expires_at: key.expires_at.map(time),
            }),
        }
    }
}

/// Calls.
#[derive(Serialize, ToSchema)]
struct CallFigures {
    /// Calls that run.
    running: usize,
    /// Calls that wait for others to end.
    waiting: usize,
    /// Calls that may run at once.
    limit: usize,
}

/// Functions whose code is in memory.
#[derive(Serialize, ToSchema)]
struct FunctionFigures {
    /// Functions that are loaded.
    loaded: u64,
    /// The most functions that can be loaded.
    limit: u32,
    /// The resource that bounds the limit.
    bound: String,
    /// Bytes that their code takes.
    bytes: u64,
    /// Bytes that it may take.
    bytes_limit: u64,
    /// Loads since the start: calls whose function was not loaded.
    loads: u64,
    /// Functions that were evicted since the start.
    evictions: u64,
}

/// Slots for functions' memory.
#[derive(Serialize, ToSchema)]
struct SlotFigures {
    /// Slots that calls run in.
    used: u64,
    /// Slots that keep the memory of a function in place for its next call.
    warm: u64,
    /// All slots.
    limit: u32,
    /// Bytes that stay resident in the free slots.
    bytes: u64,
}

/// Instances that serve more than one call (`reuse` in function.toml).
#[derive(Serialize, ToSchema)]
struct InstanceFigures {
    /// Instances that wait for a call.
    idle: u64,
    /// The most that may wait (server.idle_instances).
    limit: u64,
    /// Bytes of their memory.
    bytes: u64,
    /// The most bytes (server.idle_memory).
    bytes_limit: u64,
    /// Calls since the start that an instance of an earlier call served.
    reused: u64,
    /// Instances that were dropped since the start, by reason: calls, idle, resources, fault, memory, room.
    retired: BTreeMap<String, u64>,
}

/// Memory maps of the process.
#[derive(Serialize, ToSchema)]
struct MapFigures {
    used: u64,
    /// The most that the kernel allows (vm.max_map_count); 0 if it is unknown.
    limit: u64,
}

/// Show the server
///
/// Everyone may read the identity; the state takes a key of the server, or one of scope `read` for all functions.
#[utoipa::path(get, path = "/server", operation_id = "readServer", tag = "server",
    security((), ("key" = [])),
    responses((status = 200, body = ServerInfo), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Json<ServerInfo>, ErrorResponse> {
    let sent = sent_key(&app, &headers, None).await?;
    let may_read = match &sent {
        SentKey::Operator => true,
        SentKey::Made(key) => key.function_id.is_none() && key.scopes.allow(Scope::Read),
        _ => !app.keys.are_set(),
    };
    let mut info = ServerInfo {
        id: app.store.identity().to_owned(),
        dev: app.dev,
        takes_keys: app.keys.are_set(),
        key: CallerKey::of(sent),
        version: None,
        calls: None,
        functions: None,
        slots: None,
        instances: None,
        maps: None,
    };
    if !may_read {
        return Ok(Json(info));
    }
    info.version = Some(env!("CARGO_PKG_VERSION"));
    let capacity = app.engine.capacity();
    let loaded = app.functions.figures();
    let pool = app.engine.pool();
    info.calls = Some(CallFigures {
        running: app.limiter.running(),
        waiting: app.limiter.waiting(),
        limit: app.limiter.limit(),
    });
    info.functions = Some(FunctionFigures {
        loaded: loaded.functions,
        limit: capacity.functions,
        bound: capacity.bound.to_string(),
        bytes: loaded.bytes,
        bytes_limit: capacity.code,
        loads: loaded.loads,
        evictions: loaded.evictions,
    });
    info.slots = Some(SlotFigures {
        used: pool.map_or(0, |pool| pool.used),
        warm: pool.map_or(0, |pool| pool.warm),
        limit: capacity.slots,
        bytes: pool.map_or(0, |pool| pool.resident),
    });
    let reuse = app.engine.reuse();
    info.instances = Some(InstanceFigures {
        idle: reuse.idle,
        limit: reuse.idle_limit,
        bytes: reuse.bytes,
        bytes_limit: reuse.bytes_limit,
        reused: reuse.reused,
        retired: reuse
            .retired
            .iter()
            .map(|(reason, count)| (reason.as_str().to_owned(), *count))
            .collect(),
    });
    // A server with many functions has tens of thousands of entries, which the kernel lists one by one.
    info.maps = Some(blocking(maps).await?);
    Ok(Json(info))
}

fn maps() -> MapFigures {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let used = std::fs::File::open("/proc/self/maps").map(|maps| {
        let lines = BufReader::with_capacity(64 << 10, maps).split(b'\n');
        lines.map_while(Result::ok).count() as u64
    });
    MapFigures {
        used: used.unwrap_or_default(),
        limit: limit
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or_default(),
    }
}
