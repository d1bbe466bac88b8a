//! Authorisation of callers, for every surface except that of 2020: a caller sends a key or nothing.

use crate::app::App;
use crate::auth::{bearer, given};
use crate::calls::{self, Credentials, FunctionRef};
use crate::functions::LoadedFunction;
use crate::http::truncate;
use crate::sent_key::{SentKey, sent_key};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use iof_fault::{Fault, FaultKind};
use iof_store::{ApiKey, KeyHash, Scope, looks_like_key};
use uuid::Uuid;

/// The prefix of keys that this server makes.
const MADE_HERE: &str = "iof_";

/// The credentials of a caller: a key that may call the function. A job needs a key even if the function is public.
pub(crate) struct BearerKey<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// True if the call is a job.
    pub(crate) later: bool,
}

impl Credentials for BearerKey<'_> {
    async fn authorise(&self, app: &App, function: &LoadedFunction) -> Result<(), Fault> {
        let keys = (function.usage_key.as_ref(), &function.admin_key);
        admit(app, function.id, keys, self.headers).await?;
        if self.later && !function.granted.jobs.public {
            admit_job(app, function, self.headers).await?;
        }
        Ok(())
    }
}

/// The function that a path segment names: digits are its number, any other text its name.
///
/// # Errors
/// `no-such-function`, for a number that no function can have.
pub(crate) fn function_ref(id: &str) -> Result<FunctionRef<'_>, Fault> {
    if !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(FunctionRef::Name(id));
    }
    let number = id.parse().ok().filter(|number| *number > 0);
    number
        .map(FunctionRef::Number)
        .ok_or_else(|| Fault::no_such_function(truncate(id)))
}

/// Adds a refused call to the log of the function that a path names.
pub(crate) async fn log_refused(
    app: &App,
    call: Uuid,
    function: &str,
    export: &str,
    fault: &Fault,
) {
    if let Ok(function) = function_ref(function) {
        calls::log_refused(app, call, function, export, fault).await;
    }
}

/// Returns whether `Authorization` contains a key of this server, which the called function must not see: the key of a
/// private function, a key of the server, or anything with the form of a key. Such a text may be the key of another
/// function, or a key sent in a scheme from which none is read.
pub(crate) fn hides_key(app: &App, function: &LoadedFunction, headers: &HeaderMap) -> bool {
    let is_key = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or_default().trim();
        let token = value.split_once(' ').map_or(value, |(_, token)| token);
        looks_like_key(token.trim()) || app.keys.are(token.trim())
    };
    (function.usage_key.is_some() && bearer(headers).is_some())
        || headers.get_all(AUTHORIZATION).iter().any(is_key)
}

/// The fault of a function or an export that does not exist, for a request that does not call it; `usage-key` if the
/// sender may not call the function, and so must not learn its exports.
pub(crate) async fn missing(
    app: &App,
    (function, export): (&str, &str),
    headers: &HeaderMap,
) -> Option<Fault> {
    let loaded = match function_ref(function) {
        Ok(function) => function.load(app).await,
        Err(fault) => Err(fault),
    };
    let function = match loaded {
        Ok(function) => function,
        Err(fault) => return Some(fault),
    };
    let credentials = BearerKey {
        headers,
        later: false,
    };
    if let Err(fault) = credentials.authorise(app, &function).await {
        return Some(fault);
    }
    let manifest = function.code.manifest();
    let known = manifest.export(export).is_some();
    (!known).then(|| manifest.no_such_export(export))
}

/// Adds a refused call to the log of its function, and returns the fault for its sender. Only those who may call a
/// private function learn that it exists: to all others, the answer equals that of a missing function, byte for byte.
pub(crate) async fn refused(
    app: &App,
    call: Uuid,
    (function, export): (&str, &str),
    headers: &HeaderMap,
    fault: Fault,
) -> Fault {
    log_refused(app, call, function, export, &fault).await;
    concealed(app, function, headers, fault).await
}

/// The fault of a request for a function, as its sender sees it.
pub(crate) async fn concealed(
    app: &App,
    function: &str,
    headers: &HeaderMap,
    fault: Fault,
) -> Fault {
    let hides = match fault.kind {
        FaultKind::NoSuchFunction | FaultKind::UsageKey => Ok(true),
        // The caller was authorised before.
        FaultKind::JobsUndeclared | FaultKind::Rate | FaultKind::NoSuchExport => Ok(false),
        // Other faults keep the function from being loaded.
        _ => is_closed(app, function, headers).await,
    };
    match hides {
        Ok(false) => fault,
        Ok(true) => hidden(app, function, headers).await,
        Err(fault) => fault,
    }
}

/// Returns whether a function is private and the sender has no key that may call it.
async fn is_closed(app: &App, function: &str, headers: &HeaderMap) -> Result<bool, Fault> {
    let number = match function_ref(function)? {
        FunctionRef::Number(number) => Some(number),
        FunctionRef::Name(name) => app.functions.named(name).await?,
    };
    let Some(number) = number else {
        return Ok(false);
    };
    let Some(function) = app.store.function(number).await? else {
        return Ok(false);
    };
    let keys = (function.usage_key_hash.as_ref(), &function.admin_key_hash);
    Ok(keys.0.is_some() && !shows_key(app, number, keys, headers).await?)
}

/// The fault of a function that does not exist or that the sender may not know about.
async fn hidden(app: &App, function: &str, headers: &HeaderMap) -> Fault {
    let function = truncate(function);
    let sent = match sent_key(app, headers, None).await {
        Ok(sent) => sent,
        Err(fault) => return fault,
    };
    let sees_all = match &sent {
        SentKey::Operator => true,
        SentKey::Made(key) => key.function_id.is_none() && key.scopes.allow(Scope::Call),
        _ => false,
    };
    if sees_all {
        return Fault::no_such_function(function);
    }
    let message = format!(
        "There is no function {function}, or it is private.{} A private function takes its usage key, or a key of scope `call`: send it as `Authorization: Bearer KEY`.",
        sent.public()
    );
    let mut fault = Fault::new(FaultKind::HiddenFunction, message);
    fault.detail = Some(sent.private());
    fault
}

/// The fault of a call for its caller: the output of the code is included for those who may read its log, and for
/// everyone on the server of `iof dev`.
pub(crate) async fn disclosed(
    app: &App,
    function: &str,
    headers: &HeaderMap,
    fault: Fault,
) -> Fault {
    if fault.printed().is_none() {
        return fault;
    }
    match app.dev || reads_log(app, function, headers).await {
        true => fault.disclosed(),
        false => fault.withheld(),
    }
}

/// Returns whether the sender may read the log of a function.
pub(crate) async fn reads_log(app: &App, function: &str, headers: &HeaderMap) -> bool {
    let Some(given) = given(headers) else {
        return false;
    };
    if app.keys.is_operator(headers) {
        return true;
    }
    let Ok(function) = function_ref(function) else {
        return false;
    };
    let Ok(function) = function.load(app).await else {
        return false;
    };
    function.admin_key.matches(given)
        || matches!(api_key(app, headers).await, Ok(Some(key)) if key.scopes.allow(Scope::Read)
            && key.function_id.is_none_or(|own| own == function.id))
}

/// Refuses a job by a caller without a key, unless the function declares `jobs`: a job's outcome stays on the disk,
/// which anyone could otherwise fill.
///
/// # Errors
/// `jobs-undeclared`
async fn admit_job(app: &App, function: &LoadedFunction, headers: &HeaderMap) -> Result<(), Fault> {
    let keys = (function.usage_key.as_ref(), &function.admin_key);
    if shows_key(app, function.id, keys, headers).await? {
        return Ok(());
    }
    let message = "This function takes jobs (Prefer: respond-async) from holders of a key only: send its admin key or a key of scope `call` as `Authorization: Bearer KEY`, declare `jobs = true` in its function.toml, or call it without Prefer.";
    Err(Fault::new(FaultKind::JobsUndeclared, message))
}

/// Admits a sender who may call a function. Its usage key protects it, if it has one.
///
/// # Errors
/// `usage-key`
pub(crate) async fn admit(
    app: &App,
    id: i64,
    (usage_key, admin_key): (Option<&KeyHash>, &KeyHash),
    headers: &HeaderMap,
) -> Result<(), Fault> {
    if usage_key.is_none() || shows_key(app, id, (usage_key, admin_key), headers).await? {
        return Ok(());
    }
    let sent = sent_key(app, headers, None).await?;
    let message = format!(
        "Function {id} is private.{} Send its usage key, or a key of scope `call`, as `Authorization: Bearer KEY`.",
        sent.public()
    );
    let mut fault = Fault::new(FaultKind::UsageKey, message);
    fault.detail = Some(sent.private());
    Err(fault)
}

/// Returns whether the sender has a key that may call the function, private or not.
///
/// # Errors
/// `store`
async fn shows_key(
    app: &App,
    id: i64,
    (usage_key, admin_key): (Option<&KeyHash>, &KeyHash),
    headers: &HeaderMap,
) -> Result<bool, Fault> {
    let opens =
        |given: &str| usage_key.is_some_and(|key| key.matches(given)) || admin_key.matches(given);
    if given(headers).is_some_and(opens) || app.keys.is_operator(headers) {
        return Ok(true);
    }
    let key = api_key(app, headers).await?;
    let is_for = |own: Option<i64>| own.is_none_or(|own| own == id);
    Ok(key.is_some_and(|key| key.scopes.allow(Scope::Call) && is_for(key.function_id)))
}

/// The key of a request, if this server made it.
pub(crate) async fn api_key(app: &App, headers: &HeaderMap) -> Result<Option<ApiKey>, Fault> {
    match given(headers).filter(|key| key.starts_with(MADE_HERE)) {
        Some(given) => app.store.key(given).await.map_err(Fault::from),
        None => Ok(None),
    }
}
