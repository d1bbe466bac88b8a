//! The egress paths, behind one interface: the request, its path, and its outcome.
//!
//! Each way shows its failures in its own manner; here they are one: the code of docs/egress.md. What a way shows is
//! checked against that page on the way.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use iof_tests::{kinds::Kind, server::Server};
use reqwest::header::HeaderValue;
use serde_json::{Map, Value, json};

use crate::second_state::modules;

/// A way in which a request leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EgressPath {
    /// A module of this kind runs the command `http_proxy`.
    Command(Kind),
    /// A component of this kind sends it by `wasi:http`, and follows redirects itself.
    WasiHttp(Kind),
    /// `SSVM_Fetch` with a URL: in the header, or in the body what no header can say.
    FetchUrl,
    /// `SSVM_Fetch` with request options.
    FetchOptions,
    /// `SSVM_Callback` in the header.
    Callback,
}

impl EgressPath {
    pub(crate) fn is_command(self) -> bool {
        matches!(self, Self::Command(_))
    }

    pub(crate) fn is_wasi_http(self) -> bool {
        matches!(self, Self::WasiHttp(_))
    }
}

/// The paths that have the whole list, each with its ways.
pub(crate) const HTTP_PROXY: &[EgressPath] = &[EgressPath::Command(Kind::CoreFunction)];
pub(crate) const WASI_HTTP: &[EgressPath] = &[EgressPath::WasiHttp(Kind::HttpComponent)];
pub(crate) const SSVM_FETCH: &[EgressPath] = &[EgressPath::FetchUrl, EgressPath::FetchOptions];
pub(crate) const CALLBACK: &[EgressPath] = &[EgressPath::Callback];

/// Makes a test of each egress path out of `async fn name(ways: &[EgressPath])`; by `wasi:http`, of those named behind it.
macro_rules! on_every_path {
    ($($test:ident),+ $(,)?; wasi_http: $($wasi:ident),+ $(,)?) => {
        mod wasi_http {
            $(#[tokio::test] async fn $wasi() { super::$wasi($crate::egress::attacks::paths::WASI_HTTP).await; })+
        }
        $crate::egress::attacks::paths::on_every_path!($($test),+);
    };
    ($($test:ident),+ $(,)?) => {
        mod http_proxy {
            $(#[tokio::test] async fn $test() { super::$test($crate::egress::attacks::paths::HTTP_PROXY).await; })+
        }
        mod ssvm_fetch {
            $(#[tokio::test] async fn $test() { super::$test($crate::egress::attacks::paths::SSVM_FETCH).await; })+
        }
        mod callback {
            $(#[tokio::test] async fn $test() { super::$test($crate::egress::attacks::paths::CALLBACK).await; })+
        }
    };
}
pub(crate) use on_every_path;

/// A request that somebody asks for, in the words that it has.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttackRequest {
    url: Option<String>,
    /// Request options of Node, without headers and method.
    options: Option<Map<String, Value>>,
    method: Option<&'static str>,
    headers: Map<String, Value>,
}

impl AttackRequest {
    /// In the words of every way. Without a port it is the scheme's own.
    pub(crate) fn new(scheme: &str, host: &str, port: Option<u16>, path: &str) -> Self {
        let mut options = Map::new();
        options.insert("protocol".into(), format!("{scheme}:").into());
        options.insert("hostname".into(), host.into());
        options.insert("path".into(), path.into());
        if let Some(port) = port {
            options.insert("port".into(), port.into());
        }
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Self {
            options: Some(options),
            ..Self::url(format!("{scheme}://{host}{port}{path}"))
        }
    }

    /// `http` on its own port, as most of the pinned names are.
    pub(crate) fn http(host: &str, path: &str) -> Self {
        Self::new("http", host, None, path)
    }

    /// A text that only a URL can be.
    pub(crate) fn url(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into()),
            ..Self::default()
        }
    }

    /// Options that only options can be.
    pub(crate) fn options(options: &Value) -> Self {
        Self {
            options: options.as_object().cloned(),
            ..Self::default()
        }
    }

    /// With this method. Without, it is the way's own: GET, and POST for a callback.
    pub(crate) fn method(mut self, method: &'static str) -> Self {
        self.method = Some(method);
        self
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    fn to_options(&self) -> Option<String> {
        let mut options = self.options.clone()?;
        if let Some(method) = self.method {
            options.insert("method".into(), method.into());
        }
        options.insert("headers".into(), self.headers.clone().into());
        Some(Value::from(options).to_string())
    }
}

/// The outcome of a request.
#[derive(Debug)]
pub(crate) struct AttackOutcome {
    /// The call, under which the log has it.
    pub(crate) call: String,
    /// The body of the response, or how it failed.
    pub(crate) result: Result<Vec<u8>, Failure>,
}

/// The failure of a request, as the function or its caller is told.
#[derive(Debug)]
pub(crate) struct Failure {
    /// `iof-fault`, or `exit N` of a command.
    pub(crate) code: String,
    /// All that is told in words.
    pub(crate) words: String,
}

impl AttackOutcome {
    /// The response's body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match &self.result {
            Ok(body) => serde_json::from_slice(body).unwrap(),
            Err(failure) => panic!("{failure:?}"),
        }
    }
}

/// A server, and the functions that make requests.
pub(crate) struct World {
    pub(crate) server: Server,
    /// Functions of each way: a module of its kind, or one whose `echo` answers its argument.
    functions: Vec<(EgressPath, u64)>,
    /// The number of times that one was taken, so that they take turns.
    turn: AtomicUsize,
}

impl World {
    /// Takes a server that was just started.
    pub(crate) async fn of(server: Server, ways: &[EgressPath]) -> Self {
        let mut world = Self {
            server,
            functions: vec![],
            turn: AtomicUsize::new(0),
        };
        world.add_functions(ways).await;
        world
    }

    /// One more function for each of the ways: a function may have 32 requests under way.
    pub(crate) async fn add_functions(&mut self, ways: &[EgressPath]) {
        for &way in ways {
            let module = match way {
                EgressPath::Command(kind) | EgressPath::WasiHttp(kind) => kind.module(),
                _ => modules::hello(),
            };
            let function = self.server.upload(module).await;
            self.functions.push((way, function.id));
        }
    }

    fn one_of(&self, way: EgressPath) -> u64 {
        let functions = self.functions.iter().filter(|(of, _)| *of == way);
        let functions: Vec<_> = functions.map(|(_, function)| *function).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        functions[turn % functions.len()]
    }

    /// A server with this configuration.
    pub(crate) async fn start(config: impl Into<String>, ways: &[EgressPath]) -> Self {
        Self::of(Server::start(config).await, ways).await
    }

    /// Makes the request, if it can be said in this way.
    pub(crate) async fn ask(&self, way: EgressPath, ask: &AttackRequest) -> Option<AttackOutcome> {
        match way {
            // An argument of a command ends where a NUL is.
            EgressPath::Command(_) if ask.url.as_ref()?.contains('\0') => None,
            EgressPath::Command(kind) => self.command(kind, ask).await,
            // An authority is ASCII (RFC 3986), and the host checks it before it is a request.
            EgressPath::WasiHttp(_) if !ask.url.as_ref()?.is_ascii() => None,
            EgressPath::WasiHttp(kind) => self.wasi_http(kind, ask).await,
            EgressPath::FetchUrl if ask.method.is_some() || !ask.headers.is_empty() => None,
            EgressPath::FetchUrl => {
                Some(self.directed(way, "SSVM_Fetch", ask.url.as_deref()?).await)
            }
            EgressPath::FetchOptions => {
                Some(self.directed(way, "SSVM_Fetch", &ask.to_options()?).await)
            }
            EgressPath::Callback => Some(
                self.directed(way, "SSVM_Callback", &ask.to_options()?)
                    .await,
            ),
        }
    }

    /// Runs a scenario, which returns JSON.
    async fn scenario(
        &self,
        way: EgressPath,
        kind: Kind,
        name: &str,
        argument: &Value,
    ) -> (String, Value) {
        let argument = argument.to_string();
        let request = kind.request(&self.server, self.one_of(way), name, &[&argument]);
        let answer = self.server.answer(request).await;
        assert_eq!(answer.fault(), "", "{argument}: {answer:?}");
        (answer.header("iof-call").to_owned(), answer.json())
    }

    async fn command(&self, kind: Kind, ask: &AttackRequest) -> Option<AttackOutcome> {
        let mut args = vec![ask.method.unwrap_or("get").to_owned(), ask.url.clone()?];
        if !ask.headers.is_empty() {
            args.push(Value::from(ask.headers.clone()).to_string());
        }
        let request = json!({ "name": "http_proxy", "args": args, "timeout": 25_000 });
        let way = EgressPath::Command(kind);
        let (call, output) = self.scenario(way, kind, "command", &request).await;
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| output[name].as_str().unwrap());
        let result = match output["status"].as_i64().unwrap() {
            0 => {
                assert_eq!(stderr, "", "{ask:?}");
                Ok(stdout.as_bytes().to_vec())
            }
            status => {
                assert_eq!(stdout, "", "{ask:?}");
                let line = stderr.strip_prefix("http_proxy: ");
                let line = line.and_then(|line| line.strip_suffix('\n'));
                let words = line.expect("one line on stderr").to_owned();
                assert!(!words.contains('\n'), "{words:?}");
                let code = format!("exit {status}");
                Err(Failure { code, words })
            }
        };
        Some(AttackOutcome { call, result })
    }

    async fn wasi_http(&self, kind: Kind, ask: &AttackRequest) -> Option<AttackOutcome> {
        let method = ask.method.unwrap_or("GET");
        let request = json!({ "url": ask.url.as_ref()?, "method": method, "headers": ask.headers });
        let way = EgressPath::WasiHttp(kind);
        let (call, response) = self.scenario(way, kind, "fetch", &request).await;
        let result = match response["error"].as_str() {
            None => Ok(response["body"].as_str().unwrap().into()),
            Some(error) => Err(Failure {
                code: error.to_owned(),
                words: error.to_owned(),
            }),
        };
        Some(AttackOutcome { call, result })
    }

    async fn directed(&self, way: EgressPath, name: &str, value: &str) -> AttackOutcome {
        let path = format!("/api/run/{}/echo/bytes", self.one_of(way));
        let request = self.server.request("POST", &path);
        let request = match HeaderValue::from_bytes(value.as_bytes()) {
            Ok(header) => request
                .header("Content-Type", "application/octet-stream")
                .header(name, header)
                .body("result"),
            Err(_) => request
                .header("Content-Type", "application/json")
                .body(json!({ name: value }).to_string()),
        };
        let answer = self.server.answer(request).await;
        let call = answer.header("iof-call").to_owned();
        if answer.fault().is_empty() {
            let result = Ok(answer.body);
            return AttackOutcome { call, result };
        }
        let code = answer.fault().to_owned();
        assert_eq!(answer.json()["fault"], code, "{answer:?}");
        // A failure on the way is nobody's here; one of the request is the caller's.
        let status = if code.starts_with("egress-") {
            502
        } else {
            400
        };
        let truth = (answer.http.as_u16(), answer.status());
        assert!(
            truth == (status, status) || code == "callback-route",
            "{answer:?}"
        );
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        let words = format!("{error}\n{}", answer.header("iof-message"));
        let result = Err(Failure { code, words });
        AttackOutcome { call, result }
    }

    /// The outbound log: the last hop of each call, or the one that failed. Of requests that a component sends one by one, the
    /// records are written when their bodies have ended, in any order.
    pub(crate) fn outbound(&self) -> BTreeMap<String, Value> {
        let log = self.server.log();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut by_call = BTreeMap::new();
        for event in events.filter(|event| event["target"] == "iof::egress") {
            let Some(call) = event["call"].as_str() else {
                continue;
            };
            if event["outcome"] != "ok" || !by_call.contains_key(call) {
                by_call.insert(call.to_owned(), event);
            }
        }
        by_call
    }
}

/// The status with which `http_proxy` ends for a code.
pub(crate) fn exit_status(code: &str) -> i32 {
    match code {
        "egress-url" | "egress-header" => 2,
        "egress-denied" | "egress-address" => 3,
        "egress-dns" | "egress-connect" | "egress-tls" => 4,
        "egress-busy" => 5,
        code if code.starts_with("egress-timeout-") => 5,
        _ => 6,
    }
}

/// The start of the name of an error of `wasi:http` for a code.
pub(crate) fn wasi_error(code: &str) -> &'static str {
    match code {
        "egress-denied" => "ErrorCode::HttpRequestDenied",
        "egress-address" => "ErrorCode::DestinationIpProhibited",
        "egress-url" => "ErrorCode::HttpRequestUriInvalid",
        "egress-dns" => "ErrorCode::DnsError",
        "egress-connect" => "ErrorCode::ConnectionRefused",
        "egress-tls" => "ErrorCode::TlsProtocolError",
        "egress-timeout-connect" => "ErrorCode::ConnectionTimeout",
        "egress-response-too-large" => "ErrorCode::HttpResponseBodySize",
        _ => "ErrorCode::InternalError",
    }
}

/// The error that a guest of `wasi:http` gets for a URL that cannot be meant: it has no parts, its scheme is another, or the host of
/// it is not one that is reached.
pub(crate) const UNSENDABLE: [&str; 6] = [
    "unsendable",
    "ErrorCode::HttpRequestUriInvalid",
    "ErrorCode::HttpProtocolError",
    "ErrorCode::HttpRequestDenied",
    "ErrorCode::DestinationIpProhibited",
    "ErrorCode::DnsError",
];
