//! HTTP statuses of faults.
//!
//! Only the server speaks HTTP, so this file decides the status of every kind of fault. A new kind does not compile
//! until it has one.

use http::StatusCode;
use iof_fault::{Fault, FaultKind};

/// The true status of a fault, or the one that the failed function chose; never a success.
pub(crate) fn of_fault(fault: &Fault) -> StatusCode {
    let chosen = fault.function_status();
    let chosen = chosen.and_then(|status| StatusCode::from_u16(status.get()).ok());
    chosen.unwrap_or_else(|| of(fault.kind))
}

/// The status of a kind of fault; never a success.
pub(crate) const fn of(kind: FaultKind) -> StatusCode {
    use FaultKind as F;
    match kind {
        F::Arguments
        | F::BrokenEncoding
        | F::Callback
        | F::ClientGone
        | F::ContentRange
        | F::EphemeralKey
        | F::Fetch
        | F::Filter
        | F::HostHeader
        | F::InvalidModule
        | F::JobOption
        | F::Json
        | F::KeyWish
        | F::Last
        | F::Multipart
        | F::Name
        | F::NotWasm
        | F::Path
        | F::Query
        | F::Request
        | F::Rollout
        | F::Secret
        | F::SecretPlacement
        | F::Signature
        | F::TargetUrl => StatusCode::BAD_REQUEST,
        F::ConsoleSession | F::Key | F::UsageKey => StatusCode::UNAUTHORIZED,
        // The usage key of 2020 is in its own header, which is not HTTP authentication.
        F::AdminKey
        | F::CallerRequest
        | F::Ceiling
        | F::JobsUndeclared
        | F::Origin
        | F::Scope
        | F::UsageKeyHeader => StatusCode::FORBIDDEN,
        F::CallbackRoute
        | F::HiddenFunction
        | F::NoSuchCall
        | F::NoSuchExport
        | F::NoSuchFunction
        | F::NoSuchJob
        | F::NoSuchSchedule
        | F::NoSuchKey
        | F::NoSuchRoute
        | F::NoSuchSecret
        | F::NoSuchValue
        | F::NoSuchVersion => StatusCode::NOT_FOUND,
        F::Method => StatusCode::METHOD_NOT_ALLOWED,
        F::BodyWait => StatusCode::REQUEST_TIMEOUT,
        F::IdempotencyKey
        | F::JobCancelled
        | F::JobConflict
        | F::NameTaken
        | F::RolloutConflict
        | F::SecretNotSet => StatusCode::CONFLICT,
        F::EphemeralValue
        | F::FormFields
        | F::JsonDepth
        | F::JsonValues
        | F::ModuleSize
        | F::MultipartParts
        | F::OversizedBody
        | F::RequestBody
        | F::SchemaSteps
        | F::SecretValue
        | F::State => StatusCode::PAYLOAD_TOO_LARGE,
        F::UriSize => StatusCode::URI_TOO_LONG,
        F::Charset
        | F::ContentEncoding
        | F::ContentTransferEncoding
        | F::ContentType
        | F::UnsupportedKind => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        F::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        F::CompileMemory
        | F::CompileTime
        | F::CompilerFailed
        | F::Declaration
        | F::Description
        | F::ModuleExports
        | F::ModuleFunctions
        | F::ModuleInstance
        | F::ModuleMemories
        | F::ModuleMemory
        | F::ModuleNames
        | F::ModuleComponents
        | F::ModuleNesting
        | F::ModuleTableElements
        | F::ModuleTables
        | F::Prime
        | F::UnknownImport
        | F::UnsupportedFeature
        | F::UnsupportedType => StatusCode::UNPROCESSABLE_ENTITY,
        // Waiting helps at a function's own limit (429); at the server's, another server helps, too (503).
        F::ConsoleAttempts | F::FunctionConcurrency | F::JobsQueue | F::Rate | F::RateLimit => {
            StatusCode::TOO_MANY_REQUESTS
        }
        F::HeadSize => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        F::Commands
        | F::Internal
        | F::JobLost
        | F::SecretUnreadable
        | F::Stack
        | F::StorageTransactions
        | F::StoreFailed => StatusCode::INTERNAL_SERVER_ERROR,
        F::TransferEncoding | F::Upgrade => StatusCode::NOT_IMPLEMENTED,
        // The server is a gateway between the caller and code or servers of others.
        F::BadPointer
        | F::BadResponse
        | F::BadResult
        | F::Exit
        | F::FunctionError
        | F::GuestError
        | F::MissingImport
        | F::NoAllocator
        | F::NoJavascript
        | F::NoMemory
        | F::NotRecorded
        | F::StorageBatch
        | F::StorageKey
        | F::StorageMissing
        | F::StorageNotGranted
        | F::StorageOrder
        | F::Trap
        | F::EgressDenied
        | F::EgressAddress
        | F::EgressUrl
        | F::EgressHeader
        | F::EgressDns
        | F::EgressConnect
        | F::EgressTls
        | F::EgressTimeoutConnect
        | F::EgressTimeoutFirstByte
        | F::EgressTimeoutIdle
        | F::EgressTimeoutTotal
        | F::EgressRequestTooLarge
        | F::EgressResponseTooLarge
        | F::EgressTooManyRedirects
        | F::EgressBusy
        | F::EgressEncoded
        | F::EgressProtocol
        | F::CallbackStatus => StatusCode::BAD_GATEWAY,
        F::BodyMemory
        | F::CompileQueue
        | F::Concurrency
        | F::ConsoleSessions
        | F::ConsoleStreams
        | F::Jobs
        | F::OpenFiles
        | F::Queue
        | F::QueueWait
        | F::ScratchBacklog
        | F::Stopping
        | F::StoreBusy
        | F::StoreUnreachable => StatusCode::SERVICE_UNAVAILABLE,
        F::BetweenBytes | F::FirstByte | F::GuestCpu | F::JobExpired | F::WallTime => {
            StatusCode::GATEWAY_TIMEOUT
        }
        F::CommandInput
        | F::EphemeralShare
        | F::EphemeralTotal
        | F::Files
        | F::Handles
        | F::JobsFunctionSize
        | F::JobsSize
        | F::Log
        | F::Memory
        | F::Output
        | F::ResponseHead
        | F::Scratch
        | F::ScratchDirectories
        | F::Storage
        | F::StorageValue
        | F::StoreFull
        | F::StreamedBody => StatusCode::INSUFFICIENT_STORAGE,
        F::CallbackDepth => StatusCode::LOOP_DETECTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/FAULTS.md");

    #[test]
    fn no_status_is_a_success() {
        for kind in FaultKind::ALL {
            let status = of(*kind);
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{kind:?}"
            );
        }
    }

    /// The documentation page lists all codes: a changed code has to change there, where a reviewer sees it.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "no runtime runs here")]
    fn the_page_of_faults_is_the_list() {
        let page = page();
        if std::env::var_os("IOF_WRITE_DOCS").is_some() {
            std::fs::write(PAGE, page).unwrap();
            return;
        }
        let known = std::fs::read_to_string(PAGE).unwrap_or_default();
        assert!(
            known == page,
            "docs/FAULTS.md differs from the kinds of iof-fault. Write it again: IOF_WRITE_DOCS=1 cargo test -p iof-server the_page_of_faults"
        );
    }

    fn page() -> String {
        let mut page = "\
# Faults

The codes that programs read: `fault` in an answer of `/v1`, the header `iof-fault` everywhere. A code stays the same across
releases; the sentence beside it may change. The code of a limit is the name of its setting with dashes
([LIMITS.md](LIMITS.md)). `function:` and a word is the code that a function gave an error of its own, status 502 or the one
that it chose. On the API of 2020 the status is in `iof-status`.

This page is written by a test, from the list in `crates/fault`.

| code | source | status | meaning |
|---|---|---|---|
"
        .to_owned();
        let mut kinds = FaultKind::ALL.to_vec();
        kinds.sort_by_key(|kind| (kind.as_str(), of(*kind).as_u16(), kind.meaning()));
        for kind in kinds {
            let (code, source) = (kind.as_str(), kind.source().as_str());
            let (status, meaning) = (of(kind).as_u16(), kind.meaning());
            let _ = writeln!(page, "| `{code}` | {source} | {status} | {meaning} |");
        }
        page
    }
}
