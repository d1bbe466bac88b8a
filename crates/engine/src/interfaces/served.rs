//! Every function and resource that components may import, by interface. A test asks the linker for each of them.

/// The release of WASI whose interfaces these are; guests of every earlier `0.2.x` are served.
pub(crate) const CURRENT: &str = "0.2.12";

/// The interface of stored values, and its draft that toolchains use.
const KEYVALUE: &str = "wasi:keyvalue/store";
pub(super) const KEYVALUE_DRAFT: &str = "0.2.0-draft2";

/// Interfaces without their version, and what they have.
pub(super) const INTERFACES: &[(&str, &[&str])] = &[
    ("iof:command/run", &["run"]),
    (
        "wasi:keyvalue/store",
        &[
            "bucket",
            "open",
            "[method]bucket.get",
            "[method]bucket.set",
            "[method]bucket.delete",
            "[method]bucket.exists",
            "[method]bucket.list-keys",
        ],
    ),
    (
        "wasi:cli/environment",
        &["get-environment", "get-arguments", "initial-cwd"],
    ),
    ("wasi:cli/exit", &["exit", "exit-with-code"]),
    ("wasi:cli/stdin", &["get-stdin"]),
    ("wasi:cli/stdout", &["get-stdout"]),
    ("wasi:cli/stderr", &["get-stderr"]),
    ("wasi:cli/terminal-input", &["terminal-input"]),
    ("wasi:cli/terminal-output", &["terminal-output"]),
    ("wasi:cli/terminal-stdin", &["get-terminal-stdin"]),
    ("wasi:cli/terminal-stdout", &["get-terminal-stdout"]),
    ("wasi:cli/terminal-stderr", &["get-terminal-stderr"]),
    (
        "wasi:clocks/monotonic-clock",
        &[
            "now",
            "resolution",
            "subscribe-instant",
            "subscribe-duration",
        ],
    ),
    ("wasi:clocks/wall-clock", &["now", "resolution"]),
    (
        "wasi:filesystem/types",
        &[
            "descriptor",
            "[method]descriptor.read-via-stream",
            "[method]descriptor.write-via-stream",
            "[method]descriptor.append-via-stream",
            "[method]descriptor.advise",
            "[method]descriptor.sync-data",
            "[method]descriptor.get-flags",
            "[method]descriptor.get-type",
            "[method]descriptor.set-size",
            "[method]descriptor.set-times",
            "[method]descriptor.read",
            "[method]descriptor.write",
            "[method]descriptor.read-directory",
            "[method]descriptor.sync",
            "[method]descriptor.create-directory-at",
            "[method]descriptor.stat",
            "[method]descriptor.stat-at",
            "[method]descriptor.set-times-at",
            "[method]descriptor.link-at",
            "[method]descriptor.open-at",
            "[method]descriptor.readlink-at",
            "[method]descriptor.remove-directory-at",
            "[method]descriptor.rename-at",
            "[method]descriptor.symlink-at",
            "[method]descriptor.unlink-file-at",
            "[method]descriptor.is-same-object",
            "[method]descriptor.metadata-hash",
            "[method]descriptor.metadata-hash-at",
            "directory-entry-stream",
            "[method]directory-entry-stream.read-directory-entry",
            "filesystem-error-code",
        ],
    ),
    ("wasi:filesystem/preopens", &["get-directories"]),
    ("wasi:http/outgoing-handler", &["handle"]),
    (
        "wasi:http/types",
        &[
            "fields",
            "[constructor]fields",
            "[static]fields.from-list",
            "[method]fields.get",
            "[method]fields.has",
            "[method]fields.set",
            "[method]fields.delete",
            "[method]fields.append",
            "[method]fields.entries",
            "[method]fields.clone",
            "incoming-request",
            "[method]incoming-request.method",
            "[method]incoming-request.path-with-query",
            "[method]incoming-request.scheme",
            "[method]incoming-request.authority",
            "[method]incoming-request.headers",
            "[method]incoming-request.consume",
            "outgoing-request",
            "[constructor]outgoing-request",
            "[method]outgoing-request.body",
            "[method]outgoing-request.method",
            "[method]outgoing-request.set-method",
            "[method]outgoing-request.path-with-query",
            "[method]outgoing-request.set-path-with-query",
            "[method]outgoing-request.scheme",
            "[method]outgoing-request.set-scheme",
            "[method]outgoing-request.authority",
            "[method]outgoing-request.set-authority",
            "[method]outgoing-request.headers",
            "request-options",
            "[constructor]request-options",
            "[method]request-options.connect-timeout",
            "[method]request-options.set-connect-timeout",
            "[method]request-options.first-byte-timeout",
            "[method]request-options.set-first-byte-timeout",
            "[method]request-options.between-bytes-timeout",
            "[method]request-options.set-between-bytes-timeout",
            "response-outparam",
            "[static]response-outparam.set",
            "incoming-response",
            "[method]incoming-response.status",
            "[method]incoming-response.headers",
            "[method]incoming-response.consume",
            "incoming-body",
            "[method]incoming-body.stream",
            "[static]incoming-body.finish",
            "future-trailers",
            "[method]future-trailers.subscribe",
            "[method]future-trailers.get",
            "outgoing-response",
            "[constructor]outgoing-response",
            "[method]outgoing-response.status-code",
            "[method]outgoing-response.set-status-code",
            "[method]outgoing-response.headers",
            "[method]outgoing-response.body",
            "outgoing-body",
            "[method]outgoing-body.write",
            "[static]outgoing-body.finish",
            "future-incoming-response",
            "[method]future-incoming-response.subscribe",
            "[method]future-incoming-response.get",
            "http-error-code",
        ],
    ),
    ("wasi:io/error", &["error", "[method]error.to-debug-string"]),
    (
        "wasi:io/poll",
        &[
            "pollable",
            "[method]pollable.ready",
            "[method]pollable.block",
            "poll",
        ],
    ),
    (
        "wasi:io/streams",
        &[
            "input-stream",
            "[method]input-stream.read",
            "[method]input-stream.blocking-read",
            "[method]input-stream.skip",
            "[method]input-stream.blocking-skip",
            "[method]input-stream.subscribe",
            "output-stream",
            "[method]output-stream.check-write",
            "[method]output-stream.write",
            "[method]output-stream.blocking-write-and-flush",
            "[method]output-stream.flush",
            "[method]output-stream.blocking-flush",
            "[method]output-stream.subscribe",
            "[method]output-stream.write-zeroes",
            "[method]output-stream.blocking-write-zeroes-and-flush",
            "[method]output-stream.splice",
            "[method]output-stream.blocking-splice",
        ],
    ),
    ("wasi:random/insecure-seed", &["insecure-seed"]),
    (
        "wasi:random/insecure",
        &["get-insecure-random-bytes", "get-insecure-random-u64"],
    ),
    (
        "wasi:random/random",
        &["get-random-bytes", "get-random-u64"],
    ),
    ("wasi:sockets/network", &["network"]),
    ("wasi:sockets/instance-network", &["instance-network"]),
    (
        "wasi:sockets/ip-name-lookup",
        &[
            "resolve-address-stream",
            "[method]resolve-address-stream.resolve-next-address",
            "[method]resolve-address-stream.subscribe",
            "resolve-addresses",
        ],
    ),
    (
        "wasi:sockets/tcp",
        &[
            "tcp-socket",
            "[method]tcp-socket.start-bind",
            "[method]tcp-socket.finish-bind",
            "[method]tcp-socket.start-connect",
            "[method]tcp-socket.finish-connect",
            "[method]tcp-socket.start-listen",
            "[method]tcp-socket.finish-listen",
            "[method]tcp-socket.accept",
            "[method]tcp-socket.local-address",
            "[method]tcp-socket.remote-address",
            "[method]tcp-socket.is-listening",
            "[method]tcp-socket.address-family",
            "[method]tcp-socket.set-listen-backlog-size",
            "[method]tcp-socket.keep-alive-enabled",
            "[method]tcp-socket.set-keep-alive-enabled",
            "[method]tcp-socket.keep-alive-idle-time",
            "[method]tcp-socket.set-keep-alive-idle-time",
            "[method]tcp-socket.keep-alive-interval",
            "[method]tcp-socket.set-keep-alive-interval",
            "[method]tcp-socket.keep-alive-count",
            "[method]tcp-socket.set-keep-alive-count",
            "[method]tcp-socket.hop-limit",
            "[method]tcp-socket.set-hop-limit",
            "[method]tcp-socket.receive-buffer-size",
            "[method]tcp-socket.set-receive-buffer-size",
            "[method]tcp-socket.send-buffer-size",
            "[method]tcp-socket.set-send-buffer-size",
            "[method]tcp-socket.subscribe",
            "[method]tcp-socket.shutdown",
        ],
    ),
    ("wasi:sockets/tcp-create-socket", &["create-tcp-socket"]),
    (
        "wasi:sockets/udp",
        &[
            "udp-socket",
            "[method]udp-socket.start-bind",
            "[method]udp-socket.finish-bind",
            "[method]udp-socket.stream",
            "[method]udp-socket.local-address",
            "[method]udp-socket.remote-address",
            "[method]udp-socket.address-family",
            "[method]udp-socket.unicast-hop-limit",
            "[method]udp-socket.set-unicast-hop-limit",
            "[method]udp-socket.receive-buffer-size",
            "[method]udp-socket.set-receive-buffer-size",
            "[method]udp-socket.send-buffer-size",
            "[method]udp-socket.set-send-buffer-size",
            "[method]udp-socket.subscribe",
            "incoming-datagram-stream",
            "[method]incoming-datagram-stream.receive",
            "[method]incoming-datagram-stream.subscribe",
            "outgoing-datagram-stream",
            "[method]outgoing-datagram-stream.check-send",
            "[method]outgoing-datagram-stream.send",
            "[method]outgoing-datagram-stream.subscribe",
        ],
    ),
    ("wasi:sockets/udp-create-socket", &["create-udp-socket"]),
];

/// The name of an interface, and its version: `wasi:cli/exit@0.2.3` is `wasi:cli/exit` and `0.2.3`.
pub(crate) fn split(import: &str) -> (&str, Option<&str>) {
    match import.split_once('@') {
        Some((interface, version)) => (interface, Some(version)),
        None => (import, None),
    }
}

/// Returns whether a version of an interface is one that is served: any release of WASI 0.2 and of our own 0.1, and the one
/// draft of an interface that was not released.
pub(crate) fn is_version(interface: &str, version: Option<&str>) -> bool {
    let Some(version) = version else { return false };
    let minor = match interface {
        KEYVALUE => return version == KEYVALUE_DRAFT,
        _ if interface.starts_with("iof:") => "0.1.",
        _ => "0.2.",
    };
    let number = version.strip_prefix(minor);
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Returns whether an imported interface is served, with its version.
pub(crate) fn is_interface(import: &str) -> bool {
    let (interface, version) = split(import);
    is_version(interface, version) && INTERFACES.iter().any(|(name, _)| *name == interface)
}

/// Returns whether an item of an imported interface is served: a function or a resource.
pub(crate) fn has(import: &str, item: &str) -> bool {
    let (interface, version) = split(import);
    let known = INTERFACES.iter().find(|(name, _)| *name == interface);
    is_version(interface, version) && known.is_some_and(|(_, items)| items.contains(&item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Capacity;
    use crate::limits::Limits;
    use wasmtime::component::Component;

    fn pooled() -> wasmtime::Engine {
        crate::pool::engine(&Limits::default(), 2, &Capacity::of(2)).unwrap()
    }

    /// Each is there, under its name: an import of another type is refused for its type, and not because it is missing.
    #[test]
    fn the_linker_has_what_is_listed() {
        let engine = pooled();
        let linker = super::super::linker(&engine).unwrap();
        let refused = |interface: &str, item: &str| {
            // A type that no function of WASI takes.
            let odd = "(param \"x\" (tuple u8 u8 u8))";
            let import = match item.split_once(']') {
                Some((kind, method)) => {
                    let resource = method.split('.').next().unwrap();
                    let function = match kind {
                        "[constructor" => format!("{odd} (result (own $r))"),
                        "[static" => odd.to_owned(),
                        _ => format!("(param \"self\" (borrow $r)) {odd}"),
                    };
                    format!(
                        "(export \"{resource}\" (type $r (sub resource)))
                         (export \"{item}\" (func {function}))"
                    )
                }
                None => format!("(export \"{item}\" (func {odd}))"),
            };
            let version = match interface {
                KEYVALUE => KEYVALUE_DRAFT,
                _ if interface.starts_with("iof:") => "0.1.0",
                _ => "0.2.0",
            };
            let source =
                format!("(component (import \"{interface}@{version}\" (instance {import})))");
            let source = wat::parse_str(source).unwrap();
            let component = Component::new(&engine, source).unwrap();
            format!("{:?}", linker.instantiate_pre(&component).err().unwrap())
        };
        let mut count = 0;
        for (interface, items) in INTERFACES {
            for item in *items {
                let why = refused(interface, item);
                assert!(!why.contains("missing"), "{interface} {item}: {why}");
                assert!(
                    why.contains("type mismatch") || why.contains("expected"),
                    "{interface} {item}: {why}"
                );
                count += 1;
            }
        }
        assert!(count > 130);
        let why = refused("wasi:cli/exit", "leave");
        assert!(!why.contains("type mismatch"), "{why}");
    }

    #[test]
    fn versions_are_releases_of_0_2() {
        for served in ["wasi:cli/exit@0.2.0", "wasi:cli/exit@0.2.12"] {
            assert!(has(served, "exit"), "{served}");
        }
        for other in [
            "wasi:cli/exit",
            "wasi:cli/exit@0.2.0-rc-2023-11-10",
            "wasi:cli/exit@0.3.0",
            "wasi:cli/exit@1.0.0",
            "wasi:cli/leave@0.2.0",
        ] {
            assert!(!has(other, "exit"), "{other}");
        }
    }
}
