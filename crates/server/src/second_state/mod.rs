//! The API of the Second State FaaS of 2020: `/api/...`.
//!
//! Its clients read the body of a 200, whatever happened, so they get that body: a JSON string with the type
//! `text/html`, as Express sent it. The real outcome is in `iof-status`, `iof-fault` and `iof-message`, and with
//! `second_state.status = "real"` in the status line, too. Where the original accepted invalid input, hung or crashed,
//! no client can depend on it, and the status line is always true. docs/second-state.md lists every difference.
//!
//! | file | decides |
//! |---|---|
//! | `upload`, `executables`, `describe`, `buffer` | modules: upload, replace, delete, read |
//! | `keys`, `state`, `callback`, `ephemeral`, `log` | data of a function or a client, and who may read it |
//! | `run`, `arguments`, `form`, `multipart` | a call: from a request to arguments, to the engine, to an answer |
//! | `callback_client`, `own_routes` | requests that the server makes for a call, and those that stay inside |
//! | `surface`, `cors`, `nowhere`, `rate_window` | rules of all paths: slashes, status lines, CORS, 404, rates |
//! | `route`, `request`, `answer` | types that all of them read and write |

mod answer;
mod arguments;
mod buffer;
mod callback;
mod callback_client;
mod cors;
mod describe;
mod ephemeral;
mod executables;
mod form;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod keys;
mod log;
mod multipart;
mod nowhere;
mod own_routes;
mod parsed_call;
mod rate_window;
mod request;
mod route;
mod routes;
mod run;
mod state;
mod surface;
mod upload;

pub(crate) use cors::allow_pages;
pub(crate) use own_routes::own_routes;
pub(crate) use surface::Surface;
