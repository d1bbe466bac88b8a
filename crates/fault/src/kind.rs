//! The closed list of faults.
//!
//! More than 400 lines: the table of all faults.

use crate::Source;
use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($source:ident { $($(#[doc = $meaning:literal])+ $kind:ident = $code:literal,)+ })+) => {
        /// A kind of fault.
        ///
        /// Two kinds may share a code where clients need one word and the server two statuses; they therefore travel between
        /// processes by their variant's name, not by their code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum FaultKind {
            $($($(#[doc = $meaning])+ $kind,)+)+
        }

        impl FaultKind {
            /// Every kind, by source.
            pub const ALL: &[Self] = &[$($(Self::$kind,)+)+];

            /// The stable code: small letters and dashes. The code of a limit is the name of its setting.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($(Self::$kind => $code,)+)+
                }
            }

            /// The party at fault.
            pub const fn source(self) -> Source {
                match self {
                    $($(Self::$kind => Source::$source,)+)+
                }
            }

            /// One sentence on what the fault means.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $($(Self::$kind => concat!($($meaning),+).trim_ascii(),)+)+
                }
            }
        }
    };
}

kinds! {
    Client {
        /// The admin key of the API of 2020 is missing or wrong.
        AdminKey = "admin-key",
        /// The arguments do not fit the export.
        Arguments = "arguments",
        /// The description of a callback cannot be used.
        Callback = "callback",
        /// A fetch or callback to this server names a route that does not run functions.
        CallbackRoute = "callback-route",
        /// A caller named a fetch or callback that the version does not allow.
        CallerRequest = "caller-request",
        /// A version declares more than the server allows.
        Ceiling = "ceiling",
        /// The charset of the body is not known.
        Charset = "charset",
        /// The client left before the function had answered.
        ClientGone = "client-gone",
        /// The session of the console has ended, or the request lacks its token.
        ConsoleSession = "console-session",
        /// The content coding of the body is not known.
        ContentEncoding = "content-encoding",
        /// The body is not in the content coding that its header names.
        BrokenEncoding = "content-encoding",
        /// The request sends a part of a body, and bodies are taken whole.
        ContentRange = "content-range",
        /// The transfer encoding of a part of a form is not known.
        ContentTransferEncoding = "content-transfer-encoding",
        /// The content type is not one that the route takes.
        ContentType = "content-type",
        /// The `function.toml` is not valid.
        Declaration = "declaration",
        /// The module's description of a function cannot be read, or a schema in it cannot be checked.
        Description = "description",
        /// A declared secret cannot be attached as the version declares.
        SecretPlacement = "declaration",
        /// The key of an ephemeral value is too long.
        EphemeralKey = "ephemeral-key",
        /// The description of a fetch cannot be used.
        Fetch = "fetch",
        /// A caller named a fetch or callback whose URL is not one.
        TargetUrl = "egress-url",
        /// The parameter `filterBy` is not a list of known fields.
        Filter = "filter",
        /// The header `Host` is not valid.
        HostHeader = "host",
        /// The module is not valid.
        InvalidModule = "invalid-module",
        /// The compiler ended without an answer about the module.
        CompilerFailed = "invalid-module",
        /// Another request was sent under the same idempotency key before.
        IdempotencyKey = "idempotency-key",
        /// The job was cancelled before its function ran.
        JobCancelled = "job-cancelled",
        /// The job cannot be cancelled or retried in its state.
        JobConflict = "job-state",
        /// A header of a job has a value that cannot be used.
        JobOption = "job-option",
        /// The function takes jobs from holders of a key only.
        JobsUndeclared = "jobs-undeclared",
        /// The body is not JSON of the form that the route takes.
        Json = "json",
        /// A key of the server is needed.
        Key = "key",
        /// A key cannot be made as asked.
        KeyWish = "key-wish",
        /// The parameter `last` is not a whole number.
        Last = "last",
        /// The path does not have this method.
        Method = "method",
        /// The request names a host that this server is not.
        Misdirected = "misdirected",
        /// The body is not valid multipart/form-data, or lacks a part.
        Multipart = "multipart",
        /// A function cannot have this name.
        Name = "name",
        /// Another function has this name.
        NameTaken = "name-taken",
        /// The call is not recorded.
        NoSuchCall = "no-such-call",
        /// The function does not have this export.
        NoSuchExport = "no-such-export",
        /// The function does not exist.
        NoSuchFunction = "no-such-function",
        /// The function does not exist, or is private and the sender shows no key that calls it.
        HiddenFunction = "no-such-function",
        /// The job does not exist, or its outcome is not kept any more.
        NoSuchJob = "no-such-job",
        /// The key does not exist, or nothing is stored under it.
        NoSuchKey = "no-such-key",
        /// The path leads nowhere.
        NoSuchRoute = "no-such-route",
        /// The active version does not declare a schedule of this name.
        NoSuchSchedule = "no-such-schedule",
        /// The function does not have a secret of this name.
        NoSuchSecret = "no-such-secret",
        /// The function stores no value under this key.
        NoSuchValue = "no-such-value",
        /// The function does not have this version.
        NoSuchVersion = "no-such-version",
        /// The bytes are not a WebAssembly module.
        NotWasm = "not-wasm",
        /// The request comes from a page of another origin.
        Origin = "origin",
        /// The path is not percent-encoded UTF-8.
        Path = "path",
        /// The module's own set-up at upload, `iof_prime`, failed.
        Prime = "prime",
        /// A parameter of the query is unknown, repeated or out of range.
        Query = "query",
        /// The request ended before its body was complete.
        Request = "request",
        /// A rollout cannot be made as asked.
        Rollout = "rollout",
        /// A rollout contradicts the versions that run.
        RolloutConflict = "rollout",
        /// The key lacks the scope that the route takes.
        Scope = "scope",
        /// The name or value of a secret is not valid.
        Secret = "secret",
        /// The version declares a secret that is not set.
        SecretNotSet = "secret-not-set",
        /// The stated signature cannot be read, or does not fit the export.
        Signature = "signature",
        /// The transfer encoding of the body is not known.
        TransferEncoding = "transfer-encoding",
        /// The module imports what this server does not serve.
        UnknownImport = "unknown-import",
        /// The module needs a WebAssembly proposal that this server does not serve.
        UnsupportedFeature = "unsupported-feature",
        /// The component is of a kind that this server does not run.
        UnsupportedKind = "unsupported-kind",
        /// An export has types that a call cannot carry.
        UnsupportedType = "unsupported-type",
        /// The request asks for another protocol on its connection.
        Upgrade = "upgrade",
        /// A key is needed to call a private function.
        UsageKey = "usage-key",
        /// The usage key of the API of 2020 is missing or wrong.
        UsageKeyHeader = "usage-key",
    }
    Guest {
        /// The function handed over an address outside of its memory.
        BadPointer = "bad-pointer",
        /// The function returned bytes that are not a value of the export's type.
        BadResult = "bad-result",
        /// The function answered with a response that cannot be sent.
        BadResponse = "response",
        /// The function ended itself instead of returning.
        Exit = "exit",
        /// The function returned an error without a code of its own; `function:` and a code where it chose one.
        FunctionError = "error",
        /// The function threw, or returned an error of wasm-bindgen.
        GuestError = "guest-error",
        /// The function called an import that this server does not serve.
        MissingImport = "missing-import",
        /// The module exports no allocator, which text and bytes need.
        NoAllocator = "no-allocator",
        /// The function called JavaScript.
        NoJavascript = "no-javascript",
        /// The module exports no memory, which the import needs.
        NoMemory = "no-memory",
        /// A replayed call asked for what the recorded one did not.
        NotRecorded = "not-recorded",
        /// A batch of changes in the storage is not one.
        StorageBatch = "storage-batch",
        /// The function named a storage key of a length that keys do not have.
        StorageKey = "storage-key",
        /// The function loaded a storage key under which it has stored nothing.
        StorageMissing = "storage-missing",
        /// The version does not declare the storage that the function used.
        StorageNotGranted = "storage-not-granted",
        /// The function used its storage in an order that has no meaning.
        StorageOrder = "storage-order",
        /// The function's code trapped.
        Trap = "trap",
    }
    Outbound {
        /// The grants do not cover the request.
        EgressDenied = "egress-denied",
        /// The host resolves to an address that functions cannot reach.
        EgressAddress = "egress-address",
        /// The URL cannot be requested.
        EgressUrl = "egress-url",
        /// A header of the request cannot be sent.
        EgressHeader = "egress-header",
        /// The host's name does not resolve.
        EgressDns = "egress-dns",
        /// The connection failed.
        EgressConnect = "egress-connect",
        /// TLS failed.
        EgressTls = "egress-tls",
        /// The connection took too long.
        EgressTimeoutConnect = "egress-timeout-connect",
        /// The response took too long to begin.
        EgressTimeoutFirstByte = "egress-timeout-first-byte",
        /// The response paused too long.
        EgressTimeoutIdle = "egress-timeout-idle",
        /// The whole exchange took too long.
        EgressTimeoutTotal = "egress-timeout-total",
        /// The request is larger than the server sends.
        EgressRequestTooLarge = "egress-request-too-large",
        /// The response is larger than the server takes.
        EgressResponseTooLarge = "egress-response-too-large",
        /// The response redirects too often.
        EgressTooManyRedirects = "egress-too-many-redirects",
        /// Too many outbound requests are under way.
        EgressBusy = "egress-busy",
        /// The body of the response is not in the coding that its header names.
        EgressEncoded = "egress-encoded",
        /// The response is not HTTP.
        EgressProtocol = "egress-protocol",
        /// A callback was not answered with success.
        CallbackStatus = "callback-status",
    }
    Limit {
        /// All bodies in memory take as much as they may together.
        BodyMemory = "body-memory",
        /// The body takes more memory than all bodies may together.
        OversizedBody = "body-memory",
        /// The function paused too long in its answer.
        BetweenBytes = "between-bytes",
        /// The body took too long to arrive.
        BodyWait = "body-wait",
        /// Functions call each other back too often.
        CallbackDepth = "callback-depth",
        /// The function answered with more headers than a response may have.
        ResponseHead = "response-head",
        /// A command was given too much input.
        CommandInput = "command-input",
        /// The call ran too many commands.
        Commands = "commands",
        /// The compile took too much memory.
        CompileMemory = "compile-memory",
        /// Too many uploads wait to be compiled.
        CompileQueue = "compile-queue",
        /// The compile took too long.
        CompileTime = "compile-time",
        /// As many calls are under way as the server has room for.
        Concurrency = "concurrency",
        /// As many calls of the function are under way as its version declares.
        FunctionConcurrency = "concurrency",
        /// The address has sent too many wrong keys to the console.
        ConsoleAttempts = "console-attempts",
        /// As many sessions of the console are open as there may be.
        ConsoleSessions = "console-sessions",
        /// The session has as many event streams open as it may have.
        ConsoleStreams = "console-streams",
        /// The share of one address in the ephemeral storage is full.
        EphemeralShare = "ephemeral-share",
        /// The ephemeral storage is full.
        EphemeralTotal = "ephemeral-total",
        /// The ephemeral value is too large.
        EphemeralValue = "ephemeral-value",
        /// The function took too long to begin its answer.
        FirstByte = "first-byte",
        /// The call had too many files open.
        Files = "files",
        /// The form has too many fields.
        FormFields = "form-fields",
        /// The function's code held a core too long.
        GuestCpu = "guest-cpu",
        /// The component held too many resources.
        Handles = "handles",
        /// The header fields of the request are too large.
        HeadSize = "head-size",
        /// The job did not begin within its time.
        JobExpired = "job-expired",
        /// Too many jobs are not done.
        Jobs = "jobs",
        /// The jobs of the function take too much of the disk.
        JobsFunctionSize = "jobs-function-size",
        /// All jobs take too much of the disk.
        JobsSize = "jobs-size",
        /// Too many jobs of the function wait.
        JobsQueue = "jobs-queue",
        /// The JSON is nested too deep.
        JsonDepth = "json-depth",
        /// An argument has too many values to be checked.
        JsonValues = "json-values",
        /// The function printed too much.
        Log = "log",
        /// The function wanted too much memory.
        Memory = "memory",
        /// The module begins with more memory than a call may have.
        ModuleMemory = "memory",
        /// The component waits, and has more instances of components than may wait at once.
        ModuleComponents = "module-components",
        /// The module exports too many functions.
        ModuleExports = "module-exports",
        /// The module defines too many functions.
        ModuleFunctions = "module-functions",
        /// The module has more globals, imports and functions in tables than an instance has room for.
        ModuleInstance = "module-instance",
        /// The module has more memories than an instance has room for.
        ModuleMemories = "module-memories",
        /// The component nests others too deep.
        ModuleNesting = "module-nesting",
        /// The module has an import or export with too long a name.
        ModuleNames = "module-names",
        /// The module is too large.
        ModuleSize = "module-size",
        /// The module has a table with too many elements.
        ModuleTableElements = "module-table-elements",
        /// The module has too many tables.
        ModuleTables = "module-tables",
        /// The body has too many parts.
        MultipartParts = "multipart-parts",
        /// All calls together have too many files open.
        OpenFiles = "open-files",
        /// The function returned too much.
        Output = "output",
        /// Too many calls wait for their turn.
        Queue = "queue",
        /// The call waited too long for its turn.
        QueueWait = "queue-wait",
        /// The function is called more often than its version declares.
        Rate = "rate",
        /// The address sends requests too often.
        RateLimit = "rate-limit",
        /// The body of the request is too large.
        RequestBody = "request-body",
        /// An argument takes too many steps to be checked against its schema.
        SchemaSteps = "schema-steps",
        /// The call wrote too much below `/`.
        Scratch = "scratch",
        /// Too many files of earlier calls wait to be removed.
        ScratchBacklog = "scratch-backlog",
        /// The call made too many directories.
        ScratchDirectories = "scratch-directories",
        /// The secret is too long.
        SecretValue = "secret-value",
        /// The function's code recursed too deep.
        Stack = "stack",
        /// The state or callback of the function is too large.
        State = "state",
        /// The function has stored too much.
        Storage = "storage",
        /// The call used its storage too often.
        StorageTransactions = "storage-transactions",
        /// The function stored too large a value.
        StorageValue = "storage-value",
        /// The function answered with more than it may stream.
        StreamedBody = "streamed-body",
        /// Path and query of the request are too long.
        UriSize = "uri-size",
        /// The call took too long.
        WallTime = "wall-time",
    }
    Host {
        /// The server failed; its log says why.
        Internal = "internal",
        /// The server ended too often while the job ran.
        JobLost = "job-lost",
        /// A secret of the function is encrypted under a key that the server does not have.
        SecretUnreadable = "secret-unreadable",
        /// The server is stopping.
        Stopping = "stopping",
        /// The store is busy, or does not answer.
        StoreBusy = "store",
        /// The disk of the store is full.
        StoreFull = "store",
        /// The store failed.
        StoreFailed = "store",
        /// The database of the fleet cannot be reached. Functions that are loaded keep answering.
        StoreUnreachable = "store-unreachable",
    }
}

#[cfg(test)]
mod tests;
