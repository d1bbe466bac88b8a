//! The preparation of a call: find the function, authorise the caller, count the call, set its deadline.

use super::start::CallStart;
use crate::app::App;
use crate::body::BufferedBody;
use crate::body::larger_than;
use crate::call_log::CallerKind;
use crate::functions::LoadedFunction;
use crate::otlp::CallOrigin;
use axum::body::Body;
use http::{HeaderMap, HeaderName};
use iof_command::CallContext;
use iof_engine::{HostCallTape, StatedSignature};
use iof_fault::{Fault, FaultKind};
use iof_trace::CallTrace;
use std::future::Future;
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

/// The header that states the types of a call whose module does not declare them.
static SIGNATURE: HeaderName = HeaderName::from_static("iof-signature");

/// A reference to a function, as a client writes it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FunctionRef<'a> {
    Number(i64),
    /// The name that its owner gave it.
    Name(&'a str),
}

impl FunctionRef<'_> {
    /// Picks the version for one call of the function.
    ///
    /// # Errors
    /// `no-such-function`, or the fault that kept the function from being loaded.
    pub(crate) async fn load(self, app: &App) -> Result<Arc<LoadedFunction>, Fault> {
        match self {
            Self::Number(number) => app.functions.get(number).await,
            Self::Name(name) => app.functions.get_named(name).await,
        }
    }
}

/// The origin of a call: a client, or another call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The number of calls that led to this one.
    pub(crate) depth: u32,
    /// The deadline of the call that led to this one.
    pub(crate) deadline: Option<Instant>,
    /// The origin of this call, by the trace that it states.
    pub(crate) trace: CallOrigin,
}

impl Origin {
    /// The origin of a call that a client asks for.
    pub(crate) fn client(app: &App, headers: &HeaderMap) -> Self {
        Self {
            trace: app.otlp.client(headers),
            ..Self::default()
        }
    }
}

/// The credentials of a caller, which each API reads in its own way.
pub(crate) trait Credentials: Sync {
    /// Checks that the caller may call a function as the request does.
    ///
    /// # Errors
    /// The refusal.
    fn authorise(
        &self,
        app: &App,
        function: &LoadedFunction,
    ) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// A call that may run.
pub(crate) struct PreparedCall {
    pub(crate) function: Arc<LoadedFunction>,
    pub(crate) context: CallContext,
    pub(super) caller: CallerKind,
    /// The recorded answers of the host for a replay, of which no observer is told.
    pub(super) replayed: Option<HostCallTape>,
    /// The beginning of a job, which is told once it has its permits.
    pub(super) start: Option<Arc<CallStart>>,
}

impl PreparedCall {
    /// Prepares a call that a client or another call requests.
    ///
    /// # Errors
    /// `no-such-function`, the fault that kept the function from being loaded, the refusal of the credentials, `rate`.
    pub(crate) async fn new(
        app: &App,
        call: Uuid,
        function: FunctionRef<'_>,
        credentials: &impl Credentials,
        origin: Origin,
    ) -> Result<Self, Fault> {
        let trace = app.otlp.begin(origin.trace);
        let function = function.load(app).await?;
        credentials.authorise(app, &function).await?;
        if let Some(rate) = &function.granted.rate {
            rate.count()?;
        }
        let before = (origin.depth, origin.deadline);
        Ok(Self::at(call, function, before, trace))
    }

    /// Prepares a job: a call that was authorised and counted when it was accepted, or that a schedule makes.
    ///
    /// # Errors
    /// `no-such-function`, `no-such-version`, the fault that kept the version from being loaded.
    pub(crate) async fn accepted(
        app: &App,
        call: Uuid,
        (function, version): (i64, i64),
        caller: CallerKind,
    ) -> Result<Self, Fault> {
        let function = app.functions.exactly(function, version).await?;
        let trace = app.otlp.begin(CallOrigin::default());
        let timeout = function.granted.jobs.timeout;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        Ok(Self {
            caller,
            ..Self::at(call, function, (0, deadline), trace)
        })
    }

    /// The call, which tells `start` once it begins.
    pub(crate) fn started_by(self, start: Arc<CallStart>) -> Self {
        Self {
            start: Some(start),
            ..self
        }
    }

    /// Prepares a replay of a recorded call. The replay is a new call without secrets.
    pub(crate) fn replay(function: Arc<LoadedFunction>, tape: HostCallTape) -> Self {
        Self {
            replayed: Some(tape),
            ..Self::at(Uuid::new_v4(), function, (0, None), None)
        }
    }

    fn at(
        call: Uuid,
        function: Arc<LoadedFunction>,
        (depth, earlier): (u32, Option<Instant>),
        trace: Option<Arc<CallTrace>>,
    ) -> Self {
        let granted = &function.granted;
        let deadline = Instant::now() + granted.limits.wall_time;
        let context = CallContext {
            call,
            function: Arc::clone(&function.name),
            function_id: function.id,
            version: function.version,
            grants: Arc::clone(&granted.grants),
            secrets: Arc::clone(&granted.secrets),
            depth,
            deadline: earlier.map_or(deadline, |earlier| earlier.min(deadline)),
            trace,
        };
        Self {
            function,
            context,
            caller: CallerKind::Client,
            replayed: None,
            start: None,
        }
    }
}

/// The types of a call as its caller states them: the text, and the types read from it.
pub(crate) struct StatedTypes<'a> {
    pub(crate) text: &'a str,
    pub(super) signature: StatedSignature,
}

impl<'a> StatedTypes<'a> {
    /// Reads the header `iof-signature`, if there is one.
    ///
    /// # Errors
    /// `signature`
    pub(crate) fn of(headers: &'a HeaderMap) -> Result<Option<Self>, Fault> {
        let stated = headers.get(&SIGNATURE);
        let stated = stated.map(|text| text.to_str().unwrap_or_default());
        stated.map(Self::read).transpose()
    }

    /// Reads types from their text.
    ///
    /// # Errors
    /// `signature`
    pub(crate) fn read(text: &'a str) -> Result<Self, Fault> {
        let signature = StatedSignature::parse(text)?;
        Ok(Self { text, signature })
    }
}

/// Reads the body of a request to call a function.
///
/// # Errors
/// `request-body`, and the errors of [`BodyMemory::read`](crate::body::BodyMemory::read).
pub(crate) async fn read_body(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<BufferedBody, Fault> {
    let limit = app.settings.request_body;
    let too_large = || {
        larger_than(
            FaultKind::RequestBody,
            format_args!("server.request_body = {limit}"),
        )
    };
    app.bodies.read(headers, body, limit, too_large).await
}
