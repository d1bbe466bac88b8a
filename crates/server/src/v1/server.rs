//! `/v1/server`: what the server holds and runs now, for its operator.

use super::access::{AuthorizedServer, Read};
use super::answer::{ErrorResponse, Json, Problem};
use crate::app::App;
use crate::parsing::blocking;
use axum::extract::State;
use serde::Serialize;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use utoipa::ToSchema;

/// The state of a server. Counts since the start grow; all else is of now.
#[derive(Serialize, ToSchema)]
pub(super) struct ServerInfo {
    calls: CallFigures,
    functions: FunctionFigures,
    slots: SlotFigures,
    maps: MapFigures,
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
    /// Functions that there is room for.
    limit: u32,
    /// The resource of which there would have to be more for a higher limit.
    bound: String,
    /// Bytes that their code takes.
    bytes: u64,
    /// Bytes that it may take.
    bytes_limit: u64,
    /// Loads since the start: calls whose function was not loaded.
    loads: u64,
    /// Functions that made room for others since the start.
    evictions: u64,
}

/// Slots for functions' memory.
#[derive(Serialize, ToSchema)]
struct SlotFigures {
    /// Slots that calls run in.
    used: u64,
    /// Slots that keep the memory of a function in place for its next call.
    warm: u64,
    /// Slots that there are.
    limit: u32,
    /// Bytes that stay resident in those that are kept.
    bytes: u64,
}

/// Memory maps of the process.
#[derive(Serialize, ToSchema)]
struct MapFigures {
    used: u64,
    /// The most that the kernel allows (vm.max_map_count); 0 if it does not say.
    limit: u64,
}

/// Show the state of the server
///
/// It takes a key of the server, or one of scope `read` for all functions.
#[utoipa::path(get, path = "/server", operation_id = "readServer", tag = "server",
    responses((status = 200, body = ServerInfo), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    _: AuthorizedServer<Read>,
) -> Result<Json<ServerInfo>, ErrorResponse> {
    let capacity = app.engine.capacity();
    let loaded = app.functions.figures();
    let pool = app.engine.pool();
    Ok(Json(ServerInfo {
        calls: CallFigures {
            running: app.limiter.running(),
            waiting: app.limiter.waiting(),
            limit: app.limiter.limit(),
        },
        functions: FunctionFigures {
            loaded: loaded.functions,
            limit: capacity.functions,
            bound: capacity.bound.to_string(),
            bytes: loaded.bytes,
            bytes_limit: capacity.code,
            loads: loaded.loads,
            evictions: loaded.evictions,
        },
        slots: SlotFigures {
            used: pool.map_or(0, |pool| pool.used),
            warm: pool.map_or(0, |pool| pool.warm),
            limit: capacity.slots,
            bytes: pool.map_or(0, |pool| pool.resident),
        },
        // A server of many functions has tens of thousands, which the kernel lists one by one.
        maps: blocking(maps).await?,
    }))
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
