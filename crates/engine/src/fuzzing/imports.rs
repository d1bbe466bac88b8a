//! A fuzz target that calls every import of a guest, in any order and with any arguments.
//!
//! One module imports everything that the host serves and is compiled once; the input is a program that it interprets:
//! a byte that chooses the import, then its arguments. So an input takes microseconds, and a new import needs no change
//! here.

use super::blame;
use super::shelf::Shelf;
use crate::compile::Effort;
use crate::compile::limits::WorkerLimits;
use crate::compile::toolchain::Toolchain;
use crate::config::wasm_config;
use crate::state::CallState;
use crate::{
    Arg, Capacity, CompileLimits, Engine, EngineConfig, Function, HostCallTape, Invocation, Limits,
    host,
};
use async_trait::async_trait;
use bytes::Bytes;
use bytesize::ByteSize;
use iof_command::{CallContext, Command, Grants, Output, Registry, Request};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use wasmtime::{Extern, Store};

/// The time limit of one program, because some wait.
const TIME: Duration = Duration::from_millis(100);
/// The most bytes of one program.
const PROGRAM: usize = 4096;

struct World {
    runtime: Runtime,
    engine: Engine,
    function: Function,
    /// The parent of scratch directories.
    _scratch: TempDir,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// Runs a program of calls, which ends in a value or in a guest's fault.
pub fn imports(data: &[u8]) {
    let (mode, program) = data.split_first().unwrap_or((&0, &[]));
    let program = Bytes::copy_from_slice(program.get(..PROGRAM).unwrap_or(program));
    let world = &*WORLD;
    world.runtime.block_on(async {
        let invocation = Invocation {
            export: "run",
            args: vec![Arg::Bytes(program)],
            signature: None,
            environment: Arc::default(),
            context: context(),
            limits: None,
            tape: (mode & 1 == 1).then(|| HostCallTape::recorder(1 << 10)),
            instances: None,
            spent: None,
        };
        if let Err(fault) = world.engine.call(&world.function, invocation).await.result {
            blame(&fault);
        }
    });
}

impl World {
    fn new() -> Self {
        let limits = Limits {
            guest_cpu: TIME,
            memory: ByteSize::mib(4),
            output: ByteSize::kib(64),
            log: ByteSize::kib(4),
            scratch: ByteSize::kib(64),
            command_input: ByteSize::kib(64),
            storage: ByteSize::kib(64),
            storage_value: ByteSize::kib(4),
            ..Limits::default()
        };
        let compile = CompileLimits::default();
        let module = wat::parse_str(interpreter(&limits)).unwrap();
        let toolchain = Toolchain::new(&WorkerLimits::new(&compile, &limits)).unwrap();
        let artefact = toolchain.compile(&module, Effort::Full).unwrap().artefact;
        let scratch = tempfile::tempdir().unwrap();
        let mut commands = Registry::new();
        commands.register(Echo);
        let config = EngineConfig {
            limits,
            compile,
            concurrency: 1,
            idle_instances: 0,
            idle_memory: 0,
            capacity: Capacity::of(1),
            worker: vec![],
            open_files: 64,
            scratch: scratch.path().join("calls"),
        };
        let storage = Arc::<Shelf>::default();
        let engine = Engine::new(config, Arc::new(commands), storage).unwrap();
        let function = engine.load(&artefact).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            runtime,
            engine,
            function,
            _scratch: scratch,
        }
    }
}

pub(crate) fn context() -> CallContext {
    let mut grants = Grants::as_shipped();
    grants.commands.insert("echo".into());
    CallContext {
        call: uuid::Uuid::new_v4(),
        function: "fuzz".into(),
        function_id: 1,
        version: 1,
        grants: Arc::new(grants),
        secrets: Arc::default(),
        depth: 0,
        deadline: tokio::time::Instant::now() + TIME,
        trace: None,
    }
}

/// The text of the module. Its memory begins with data that arguments may point to: names, vectors, and words that
/// calls have written.
fn interpreter(limits: &Limits) -> String {
    let wasm = wasmtime::Engine::new(&wasm_config(limits)).unwrap();
    let mut store = Store::new(&wasm, CallState::of_no_call(Arc::new(limits.clone())));
    let linker = host::linker(&wasm).unwrap();
    let mut served: Vec<_> = linker
        .iter(&mut store)
        .filter_map(|(module, name, item)| match item {
            Extern::Func(function) => Some((module.to_owned(), name.to_owned(), function)),
            _ => None,
        })
        .collect();
    served.sort_by(|(a, b, _), (c, d, _)| (a, b).cmp(&(c, d)));

    let (mut imports, mut calls) = (String::new(), String::new());
    for (at, (module, name, function)) in served.iter().enumerate() {
        let ty = function.ty(&store);
        let (mut params, mut results) = (String::new(), String::new());
        let (mut words, mut drops) = (String::new(), String::new());
        for param in ty.params() {
            let _ = write!(params, " {param}");
            let _ = write!(words, " (call ${param})");
        }
        for result in ty.results() {
            let _ = write!(results, " {result}");
            drops.push_str(" drop");
        }
        let _ = writeln!(
            imports,
            "(import {module:?} {name:?} (func $import{at} (param{params}) (result{results})))"
        );
        let _ = writeln!(
            calls,
            "(if (i32.eq (local.get $choice) (i32.const {at})) (then{words} call $import{at}{drops}))"
        );
    }
    let count = served.len();
    format!(
        r#"(module {imports}
        (memory (export "memory") 2)
        (data (i32.const 8) "a\00b\00..\00/a\00a/b\00http_proxy\00echo\00[1,2]\00f")
        (data (i32.const 64) "\00\02\00\00\10\00\00\00\00\02\00\00\40\00\00\00\f0\ff\ff\ff\20\00\00\00\00\04\00\00\00\10\00\00")
        (data (i32.const 96) "0123456789abcdef0123456789abcdef0123456789abcdef")
        (global $at (mut i32) (i32.const 0))
        (global $end (mut i32) (i32.const 0))
        (global $heap (mut i32) (i32.const 65536))
        (func (export "__wbindgen_malloc") (param i32) (result i32)
          (global.get $heap)
          (global.set $heap (i32.add (global.get $heap)
            (i32.and (i32.add (local.get 0) (i32.const 15)) (i32.const 0xfff0)))))
        (func $byte (result i32)
          (if (i32.ge_u (global.get $at) (global.get $end)) (then (return (i32.const 0))))
          (i32.load8_u (global.get $at))
          (global.set $at (i32.add (global.get $at) (i32.const 1))))
        (func $long (result i32)
          (i32.or (i32.or (call $byte) (i32.shl (call $byte) (i32.const 8)))
            (i32.or (i32.shl (call $byte) (i32.const 16)) (i32.shl (call $byte) (i32.const 24)))))
        ;; Small numbers as they are; then words of memory from 512 on; then any word.
        (func $i32 (result i32) (local $byte i32)
          (local.set $byte (call $byte))
          (if (i32.lt_u (local.get $byte) (i32.const 160)) (then (return (local.get $byte))))
          (if (i32.lt_u (local.get $byte) (i32.const 192)) (then (return
            (i32.load offset=512 (i32.shl (i32.sub (local.get $byte) (i32.const 160)) (i32.const 2))))))
          (if (i32.lt_u (local.get $byte) (i32.const 224)) (then (return
            (i32.add (i32.const 512) (i32.shl (i32.sub (local.get $byte) (i32.const 192)) (i32.const 2))))))
          (call $long))
        (func $i64 (result i64)
          (if (result i64) (i32.and (call $byte) (i32.const 1))
            (then (i64.extend_i32_s (call $i32)))
            (else (i64.or (i64.extend_i32_u (call $long))
              (i64.shl (i64.extend_i32_u (call $long)) (i64.const 32))))))
        (func $f32 (result f32) (f32.reinterpret_i32 (call $long)))
        (func $f64 (result f64) (f64.reinterpret_i64 (call $i64)))
        (func (export "run") (param i32 i32) (local $choice i32)
          (global.set $at (local.get 0))
          (global.set $end (i32.add (local.get 0) (local.get 1)))
          (loop $next
            (if (i32.ge_u (global.get $at) (global.get $end)) (then (return)))
            (local.set $choice (i32.rem_u (call $byte) (i32.const {count})))
            {calls}
            (br $next))))"#
    )
}

/// A command that prints its input.
struct Echo;

#[async_trait]
impl Command for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    async fn run(&self, _: &CallContext, request: Request) -> Output {
        Output {
            stdout: request.stdin,
            stderr: request.args.concat().into(),
            ..Output::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interpreter runs a program, as its output shows.
    #[test]
    fn a_program_runs() {
        let world = &*WORLD;
        let wasm = wasmtime::Engine::new(&wasm_config(&Limits::default())).unwrap();
        let mut store = Store::new(&wasm, CallState::of_no_call(Arc::default()));
        let mut names: Vec<_> = host::linker(&wasm)
            .unwrap()
            .iter(&mut store)
            .map(|(module, name, _)| (module.to_owned(), name.to_owned()))
            .collect();
        names.sort();
        let fd_write = names
            .iter()
            .position(|(_, name)| name == "fd_write")
            .unwrap();
        // A write to stdout: one vector, at 88, of 4096 bytes; the number of bytes written goes to 512.
        let program = [u8::try_from(fd_write).unwrap(), 1, 88, 1, 192];
        let outcome = world.runtime.block_on(async {
            let invocation = Invocation {
                export: "run",
                args: vec![Arg::Bytes(Bytes::copy_from_slice(&program))],
                signature: None,
                environment: Arc::default(),
                context: context(),
                limits: None,
                tape: None,
                instances: None,
                spent: None,
            };
            world.engine.call(&world.function, invocation).await
        });
        assert_eq!(outcome.result.unwrap(), crate::Value::Unit);
        assert_eq!(outcome.log.stdout.len(), 4096);
    }
}
