//! Every limit of a call and of a compile, each with its default.
//!
//! The names are those of the settings under `[limits]` and `[compile]`; the fault code of each is its name with
//! dashes. Sizes are bytes (`"64MiB"`), times have units (`"30s"`). With the defaults, the worst allowed call harms no
//! other call on a small machine; raise them for functions that you trust.
//!
//! More than 400 lines: a limit consists of a default, an override and a fault, which stand together so that none is
//! forgotten.

use bytesize::ByteSize;
use iof_fault::{Fault, FaultKind};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Limits of one call. Settings under `[limits]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The time from the request's arrival to its answer, waiting included. Fault `wall-time`.
    #[serde(with = "humantime_serde")]
    pub wall_time: Duration,
    /// The time from the arrival of a request to the first byte of the answer of a function that answers HTTP requests.
    /// Fault `first-byte`.
    #[serde(with = "humantime_serde")]
    pub first_byte: Duration,
    /// The time for which such a function may keep a client waiting for the next bytes of its answer. Fault
    /// `between-bytes`.
    #[serde(with = "humantime_serde")]
    pub between_bytes: Duration,
    /// The body of a request to such a function, and that of its answer, which are not held in memory. Fault
    /// `streamed-body`.
    #[serde(with = "crate::size")]
    pub streamed_body: ByteSize,
    /// Time in which the function's own code may hold a core; waiting does not count. Fault `guest-cpu`.
    #[serde(with = "humantime_serde")]
    pub guest_cpu: Duration,
    /// All memories and tables of an instance together, with its heap of objects and exceptions. Fault `memory`.
    #[serde(with = "crate::size")]
    pub memory: ByteSize,
    /// The call stack of the function's code, the same for all functions. Fault `stack`.
    #[serde(with = "crate::size")]
    pub stack: ByteSize,
    /// The largest result of a function. Fault `output`.
    #[serde(with = "crate::size")]
    pub output: ByteSize,
    /// Bytes that a function prints, stdout and stderr together. Fault `log`.
    #[serde(with = "crate::size")]
    pub log: ByteSize,
    /// Bytes that a call writes below `/`, its scratch directory; a new file or directory counts 4 KiB. Fault `scratch`.
    #[serde(with = "crate::size")]
    pub scratch: ByteSize,
    /// Directories that a call makes below `/`, and so the depth of the deepest. Fault `scratch-directories`.
    pub scratch_directories: u32,
    /// Files and directories that a call has open at once. Fault `files`.
    pub files: u32,
    /// Resources that a component holds at once: streams, files, pollables and its own. Fault `handles`.
    pub handles: u32,
    /// The most commands that one call runs. Fault `commands`.
    pub commands: u32,
    /// Name, arguments, environment and stdin of one command together. Fault `command-input`.
    #[serde(with = "crate::size")]
    pub command_input: ByteSize,
    /// All values that a function keeps with `ssvm_storage_*`, keys included. Fault `storage`.
    #[serde(with = "crate::size")]
    pub storage: ByteSize,
    /// The largest value that a function keeps with `ssvm_storage_*`. Fault `storage-value`.
    #[serde(with = "crate::size")]
    pub storage_value: ByteSize,
    /// The most transactions of `ssvm_storage_*` that one call begins. Fault `storage-transactions`.
    pub storage_transactions: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_time: Duration::from_secs(30),
            first_byte: Duration::from_secs(30),
            between_bytes: Duration::from_secs(30),
            streamed_body: ByteSize::gib(1),
            guest_cpu: Duration::from_secs(10),
            memory: ByteSize::mib(128),
            stack: ByteSize::kib(512),
            output: ByteSize::mib(16),
            log: ByteSize::mib(1),
            scratch: ByteSize::mib(64),
            scratch_directories: 1_000,
            files: 100,
            handles: 1_000,
            commands: 100,
            command_input: ByteSize::mib(16),
            storage: ByteSize::mib(64),
            storage_value: ByteSize::mib(1),
            storage_transactions: 1_000,
        }
    }
}

/// Limits that a version declares under `[limits]` of its own: less than the server's settings of the same names.
/// The stack is missing, because one engine has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "each is the field of that name in `Limits`")]
pub struct LimitOverrides {
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub wall_time: Option<Duration>,
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<Duration>,
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub between_bytes: Option<Duration>,
    #[serde(with = "crate::size::option", skip_serializing_if = "Option::is_none")]
    pub streamed_body: Option<ByteSize>,
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub guest_cpu: Option<Duration>,
    #[serde(with = "crate::size::option", skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    #[serde(with = "crate::size::option", skip_serializing_if = "Option::is_none")]
    pub output: Option<ByteSize>,
    #[serde(with = "crate::size::option", skip_serializing_if = "Option::is_none")]
    pub log: Option<ByteSize>,
    #[serde(with = "crate::size::option", skip_serializing_if = "Option::is_none")]
    pub scratch: Option<ByteSize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch_directories: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handles: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<u32>,
    #[serde(with = "crate::size::option", skip_serializing_if = "Option::is_none")]
    pub command_input: Option<ByteSize>,
    #[serde(with = "crate::size::option", skip_serializing_if = "Option::is_none")]
    pub storage: Option<ByteSize>,
    #[serde(with = "crate::size::option", skip_serializing_if = "Option::is_none")]
    pub storage_value: Option<ByteSize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_transactions: Option<u32>,
}

impl Limits {
    /// These limits, lowered to those that a version declares.
    ///
    /// # Errors
    /// A clause that names a limit above the server's: `limits.memory = 1 GiB is more than this server's 128 MiB`.
    pub fn narrowed(&self, by: &LimitOverrides) -> Result<Self, String> {
        let mut limits = self.clone();
        for (name, limit, wish) in [
            ("wall_time", &mut limits.wall_time, by.wall_time),
            ("first_byte", &mut limits.first_byte, by.first_byte),
            ("between_bytes", &mut limits.between_bytes, by.between_bytes),
            ("guest_cpu", &mut limits.guest_cpu, by.guest_cpu),
        ] {
            narrow(name, limit, wish, humantime)?;
        }
        for (name, limit, wish) in [
            (
                "scratch_directories",
                &mut limits.scratch_directories,
                by.scratch_directories,
            ),
            ("files", &mut limits.files, by.files),
            ("handles", &mut limits.handles, by.handles),
            ("commands", &mut limits.commands, by.commands),
            (
                "storage_transactions",
                &mut limits.storage_transactions,
                by.storage_transactions,
            ),
        ] {
            narrow(name, limit, wish, of_count)?;
        }
        for (name, limit, wish) in [
            ("memory", &mut limits.memory, by.memory),
            ("streamed_body", &mut limits.streamed_body, by.streamed_body),
            ("output", &mut limits.output, by.output),
            ("log", &mut limits.log, by.log),
            ("scratch", &mut limits.scratch, by.scratch),
            ("command_input", &mut limits.command_input, by.command_input),
            ("storage", &mut limits.storage, by.storage),
            ("storage_value", &mut limits.storage_value, by.storage_value),
        ] {
            narrow(name, limit, wish, of_size)?;
        }
        Ok(limits)
    }
}

fn narrow<T: Copy + PartialOrd>(
    name: &str,
    limit: &mut T,
    wish: Option<T>,
    show: impl Fn(T) -> String,
) -> Result<(), String> {
    let Some(wish) = wish else { return Ok(()) };
    if wish > *limit {
        return Err(format!(
            "limits.{name} = {} is more than this server's {}",
            show(wish),
            show(*limit)
        ));
    }
    *limit = wish;
    Ok(())
}

fn of_size(size: ByteSize) -> String {
    size.to_string()
}

fn of_count(count: u32) -> String {
    count.to_string()
}

/// Limits of the work that an upload causes. Settings under `[compile]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompileLimits {
    /// The largest module. Fault `module-size`.
    #[serde(with = "crate::size")]
    pub module_size: ByteSize,
    /// The most functions that a module may define. Fault `module-functions`.
    pub module_functions: u32,
    /// The most functions that a module may export. Fault `module-exports`.
    pub module_exports: u32,
    /// The time from start to end of one compile. Fault `compile-time`.
    #[serde(with = "humantime_serde")]
    pub compile_time: Duration,
    /// Core time of one compile, all its threads together, in whole seconds, at least 1. Fault `compile-time`, too.
    #[serde(with = "humantime_serde")]
    pub compile_cpu: Duration,
    /// Memory of one compile. Fault `compile-memory`.
    #[serde(with = "crate::size")]
    pub compile_memory: ByteSize,
    /// The most bytes that are kept of a module's debug sections: the lines of its code, for its traps. A module with more is
    /// served without lines.
    #[serde(with = "crate::size")]
    pub line_table: ByteSize,
    /// The number of modules that are compiled at a time; 0 is one for each core.
    pub parallel: usize,
    /// The number of uploads that wait to be compiled; one more gets the fault `compile-queue`, status 503.
    pub compile_queue: usize,
    /// The treatment of a module with an import that the server does not serve.
    pub unknown_imports: UnknownImports,
}

/// The treatment of an import that the server does not serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownImports {
    /// The upload is refused, with a list. Fault `unknown-import`.
    #[default]
    Refuse,
    /// A call of the import faults. Fault `missing-import`.
    Fault,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            module_size: ByteSize::mib(64),
            module_functions: 100_000,
            module_exports: 1_000,
            compile_time: Duration::from_secs(30),
            compile_cpu: Duration::from_secs(30),
            compile_memory: ByteSize::gib(2),
            line_table: ByteSize::mib(8),
            parallel: 0,
            compile_queue: 256,
            unknown_imports: UnknownImports::Refuse,
        }
    }
}

/// The limit that ended a call. It travels as an error through wasm frames and comes out as a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit reached: {self:?}")]
pub(crate) enum LimitExceeded {
    WallTime,
    FirstByte,
    BetweenBytes,
    StreamedBody,
    GuestCpu,
    Memory,
    Stack,
    Output,
    Log,
    Scratch,
    ScratchDirectories,
    Files,
    Handles,
    Commands,
    CommandInput,
    Storage,
    StorageValue,
    StorageTransactions,
}

impl LimitExceeded {
    /// The fault of this limit, naming the setting and its value.
    pub(crate) fn fault(self, limits: &Limits) -> Fault {
        let time = |d: Duration| humantime(d);
        let (kind, what) = match self {
            Self::WallTime => (
                FaultKind::WallTime,
                format!(
                    "took longer than limits.wall_time = {}",
                    time(limits.wall_time)
                ),
            ),
            Self::FirstByte => (
                FaultKind::FirstByte,
                format!(
                    "began no answer within limits.first_byte = {}",
                    time(limits.first_byte)
                ),
            ),
            Self::BetweenBytes => (
                FaultKind::BetweenBytes,
                format!(
                    "paused in its answer for longer than limits.between_bytes = {}",
                    time(limits.between_bytes)
                ),
            ),
            Self::StreamedBody => (
                FaultKind::StreamedBody,
                format!(
                    "answered with more than limits.streamed_body = {}",
                    limits.streamed_body
                ),
            ),
            Self::GuestCpu => (
                FaultKind::GuestCpu,
                format!(
                    "computed longer than limits.guest_cpu = {}",
                    time(limits.guest_cpu)
                ),
            ),
            Self::Memory => (
                FaultKind::Memory,
                format!("wanted more than limits.memory = {}", limits.memory),
            ),
            Self::Stack => (
                FaultKind::Stack,
                format!("recursed deeper than limits.stack = {}", limits.stack),
            ),
            Self::Output => (
                FaultKind::Output,
                format!("returned more than limits.output = {}", limits.output),
            ),
            Self::Log => (
                FaultKind::Log,
                format!("printed more than limits.log = {}", limits.log),
            ),
            Self::Scratch => (
                FaultKind::Scratch,
                format!("wrote more files than limits.scratch = {}", limits.scratch),
            ),
            Self::ScratchDirectories => (
                FaultKind::ScratchDirectories,
                format!(
                    "made more directories than limits.scratch_directories = {}",
                    limits.scratch_directories
                ),
            ),
            Self::Files => (
                FaultKind::Files,
                format!("had more files open than limits.files = {}", limits.files),
            ),
            Self::Handles => (
                FaultKind::Handles,
                format!(
                    "held more resources than limits.handles = {}",
                    limits.handles
                ),
            ),
            Self::Commands => (
                FaultKind::Commands,
                format!("ran more than limits.commands = {}", limits.commands),
            ),
            Self::CommandInput => (
                FaultKind::CommandInput,
                format!(
                    "gave a command more than limits.command_input = {}",
                    limits.command_input
                ),
            ),
            Self::Storage => (
                FaultKind::Storage,
                format!("has stored more than limits.storage = {}", limits.storage),
            ),
            Self::StorageValue => (
                FaultKind::StorageValue,
                format!(
                    "stored a value larger than limits.storage_value = {}",
                    limits.storage_value
                ),
            ),
            Self::StorageTransactions => (
                FaultKind::StorageTransactions,
                format!(
                    "used its storage more often than limits.storage_transactions = {}",
                    limits.storage_transactions
                ),
            ),
        };
        Fault::new(
            kind,
            format!("The function {what}. Make it do less, or raise the setting."),
        )
    }
}

fn humantime(duration: Duration) -> String {
    humantime_serde::re::humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_lowers_and_never_raises() {
        let server = Limits::default();
        assert_eq!(
            format!("{:?}", server.narrowed(&LimitOverrides::default()).unwrap()),
            format!("{server:?}")
        );
        // Every field is compared: one unit above the server's limit is refused by name, and a lower limit applies.
        let fields = serde_json::to_value(&server).unwrap();
        for (name, _) in fields.as_object().unwrap() {
            if name == "stack" {
                continue;
            }
            let (more, less): (serde_json::Value, serde_json::Value) = match name.as_str() {
                "wall_time" | "first_byte" | "between_bytes" | "guest_cpu" => {
                    ("1h".into(), "1ms".into())
                }
                "commands"
                | "storage_transactions"
                | "scratch_directories"
                | "files"
                | "handles" => (1_000_000.into(), 1.into()),
                _ => ("2GiB".into(), "1KiB".into()),
            };
            let wish = |value: serde_json::Value| -> LimitOverrides {
                serde_json::from_value(serde_json::json!({ name: value })).unwrap()
            };
            let refused = server.narrowed(&wish(more)).unwrap_err();
            assert!(
                refused.starts_with(&format!("limits.{name} = ")),
                "{refused}"
            );
            let narrowed = serde_json::to_value(server.narrowed(&wish(less)).unwrap()).unwrap();
            assert_ne!(narrowed[name], fields[name], "{name}");
        }
        assert!(serde_json::from_str::<LimitOverrides>(r#"{"stack":"1KiB"}"#).is_err());
    }
}
