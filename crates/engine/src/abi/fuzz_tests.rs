//! Real runs of guests that return arbitrary words: a call ends in a value or a fault, and nothing outside the guest's
//! memory is read or written.

use super::guest::{Guest, Handles};
use crate::abi::objects::{Holder, Objects};
use crate::accounting::MemoryAccounting;
use crate::limits::LimitExceeded;
use crate::manifest::{Abi, Core, Export};
use crate::memory::BadPointer;
use crate::{Arg, Limits, StatedSignature, Value};
use iof_fault::{Fault, Source};
use proptest::prelude::*;
use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use wasmtime::{Engine, Linker, Module, Store, Val};

/// Four words that tests set: the results of the allocator and of the functions.
const TEXT: &str = r#"(module
    (memory (export "memory") 2 2)
    (global $m (export "m") (mut i32) (i32.const 0)) (global $a (export "a") (mut i32) (i32.const 0))
    (global $b (export "b") (mut i32) (i32.const 0)) (global $c (export "c") (mut i32) (i32.const 0))
    (func (export "malloc") (param i32) (result i32) (global.get $m))
    (func (export "malloc_aligned") (param i32 i32) (result i32) (global.get $m))
    (func (export "area") (param i32 i32 i32)
      (i32.store (i32.and (local.get 0) (i32.const 0xfff0)) (global.get $a))
      (i32.store offset=4 (i32.and (local.get 0) (i32.const 0xfff0)) (global.get $b))
      (i32.store offset=12 (i32.and (local.get 0) (i32.const 0xfff0)) (global.get $c)))
    (func (export "pair") (param i32 i32) (result i32 i32) (global.get $a) (global.get $b))
    (func (export "fallible") (param i32 i32) (result i32 i32 i32 i32)
      (global.get $a) (global.get $b) (global.get $c) (global.get $c))
    (func (export "answer") (param i32 i32) (result i32) (global.get $a)))"#;
/// The size of the guest's memory, in bytes.
const MEMORY: usize = 2 << 16;
const OUTPUT: u64 = 1 << 10;

struct World {
    engine: Engine,
    module: Module,
}

impl World {
    /// The guest, compiled once for all cases.
    fn get() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(Self::new)
    }

    fn new() -> Self {
        let engine = Engine::new(&crate::config::wasm_config(&Limits::default())).unwrap();
        let module = Module::new(&engine, wat::parse_str(TEXT).unwrap()).unwrap();
        Self { engine, module }
    }

    /// Calls `export` in a fresh instance whose memory was filled before.
    fn call(&self, export: &Export, call: &Call) -> Result<Value, wasmtime::Error> {
        let signature = call
            .signature
            .map(|text| StatedSignature::parse(text).unwrap());
        let args = [Arg::Text(call.text.clone().into())];
        let plan = super::plan(export, &args, signature.as_ref(), true)?;
        let mut store = Store::new(&self.engine, Texts::default());
        store.set_epoch_deadline(1);
        now(async {
            let instance = Linker::new(&self.engine)
                .instantiate_async(&mut store, &self.module)
                .await?;
            for (name, word) in ["m", "a", "b", "c"].into_iter().zip(call.words) {
                let global = instance.get_global(&mut store, name).unwrap();
                global.set(&mut store, Val::I32(word.cast_signed()))?;
            }
            let memory = instance.get_memory(&mut store, "memory").unwrap();
            for (at, bytes) in &call.memory {
                memory.write(&mut store, *at, bytes)?;
            }
            let index = |name: &str| self.module.get_export_index(name);
            let malloc = if call.align {
                "malloc_aligned"
            } else {
                "malloc"
            };
            let function = instance.get_func(&mut store, &export.symbol).unwrap();
            let mut guest = Guest {
                store: &mut store,
                instance,
                handles: Handles {
                    memory: index("memory"),
                    malloc: index(malloc).map(|malloc| (malloc, call.align)),
                },
            };
            super::call(&mut guest, function, plan, OUTPUT).await
        })
    }
}

/// The object table of a guest that makes no texts.
struct Texts(Objects, MemoryAccounting);

impl Default for Texts {
    fn default() -> Self {
        Self(
            Objects::default(),
            MemoryAccounting::new(&Limits::default()),
        )
    }
}

impl Holder for Texts {
    fn objects(&mut self) -> (&mut Objects, &mut MemoryAccounting) {
        (&mut self.0, &mut self.1)
    }
}

/// The circumstances of one call.
#[derive(Clone, Debug)]
struct Call {
    text: String,
    signature: Option<&'static str>,
    align: bool,
    words: [u32; 4],
    memory: Vec<(usize, Vec<u8>)>,
}

fn export(symbol: &str, params: usize, results: usize, abi: Abi) -> Export {
    Export {
        name: symbol.into(),
        symbol: symbol.into(),
        core_params: vec![Core::I32; params],
        core_results: vec![Core::I32; results],
        signature: None,
        described: None,
        unread: None,
        abi,
    }
}

/// The output of a future that never waits, which holds for a guest that is not interrupted.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the call waits"),
    }
}

/// Words at the edges of the ranges, and any others.
fn word() -> impl Strategy<Value = u32> {
    let edge = u32::try_from(MEMORY).unwrap();
    prop_oneof![
        0..64u32,
        edge - 64..edge + 64,
        u32::MAX - 64..=u32::MAX,
        1000..1100u32,
        any::<u32>(),
    ]
}

fn table() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![0..35u32, word()];
    let length = prop_oneof![0..16u32, word()];
    let entry = (word(), code, length).prop_map(|(pointer, code, length)| {
        [pointer, code, length]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect::<Vec<_>>()
    });
    prop::collection::vec(entry, 0..6).prop_map(|entries| entries.concat())
}

fn answer() -> impl Strategy<Value = Vec<u8>> {
    let count = prop_oneof![0..7u32, word()];
    let pointer = prop_oneof![Just(256u32), word()];
    (
        prop_oneof![4 => Just(0u8), 1 => any::<u8>()],
        pointer,
        count,
    )
        .prop_map(|(flag, pointer, count)| {
            [&[flag][..], &pointer.to_le_bytes(), &count.to_le_bytes()].concat()
        })
}

fn any_call() -> impl Strategy<Value = Call> {
    let signature = prop::sample::select(vec![
        None,
        Some("(string) -> string"),
        Some("(bytes) -> bytes"),
        Some("(i64) -> u64"),
        Some("(i32, i32) -> string"),
        Some("(string) -> [f64]"),
        Some("(string) -> [char]"),
        Some("(string) -> u32?"),
        Some("(string?) -> u32"),
        Some("(string) -> ()"),
        Some("([i16]) -> [i16]"),
    ]);
    let pointer = prop_oneof![Just(64u32), word()];
    // Any address, or the one at which the tests below put an answer and its table.
    let lain = prop_oneof![Just(128u32), word()];
    let memory = (answer(), table()).prop_map(|(answer, table)| vec![(128, answer), (256, table)]);
    (
        "[\\[\\]0-9,a-z\"]{0,20}|.{0,200}",
        signature,
        any::<bool>(),
        (pointer, lain, word(), word()),
        memory,
    )
        .prop_map(|(text, signature, align, (m, a, b, c), memory)| Call {
            text,
            signature,
            align,
            words: [m, a, b, c],
            memory,
        })
}

/// Returns whether the guest or the client is to blame for a fault, or the guest's own code trapped.
fn is_verdict(error: &wasmtime::Error) -> bool {
    error.is::<BadPointer>()
        || error.is::<super::bindgen::Returned>()
        || error
            .downcast_ref::<LimitExceeded>()
            .is_some_and(|reached| *reached == LimitExceeded::Output)
        || error
            .downcast_ref::<Fault>()
            .is_some_and(|fault| fault.kind.source() != Source::Host)
        || error.is::<wasmtime::Trap>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_words_end_in_a_value_or_a_fault(calls in prop::collection::vec(any_call(), 1..4)) {
        let world = World::get();
        let exports = [
            export("area", 3, 0, Abi::Bindgen),
            export("pair", 2, 2, Abi::Bindgen),
            export("fallible", 2, 4, Abi::Bindgen),
            export("answer", 2, 1, Abi::Bindgen),
            export("answer", 2, 1, Abi::Wasmedge),
        ];
        for (call, export) in calls.iter().flat_map(|call| exports.iter().map(move |export| (call, export))) {
            match world.call(export, call) {
                Ok(value) => prop_assert!(value.into_body().len() as u64 <= OUTPUT),
                Err(error) => prop_assert!(is_verdict(&error), "{}: {error:?}", export.name),
            }
        }
    }
}

/// The same guest with valid words, which shows that the test above reaches values and not only faults.
#[test]
fn meant_words_are_values() {
    let world = World::get();
    let call = Call {
        text: "hi".into(),
        signature: None,
        align: true,
        words: [64, 128, 3, 0],
        memory: vec![(128, b"yes".to_vec())],
    };
    for (name, params, results) in [("area", 3, 0), ("pair", 2, 2), ("fallible", 2, 4)] {
        let value = world.call(&export(name, params, results, Abi::Bindgen), &call);
        assert_eq!(value.unwrap(), Value::Text("yes".into()), "{name}");
    }
    let entry: Vec<u8> = [512, 31, 3]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    let call = Call {
        memory: vec![
            (128, b"\0\0\x01\0\0\x01\0\0\0".to_vec()),
            (256, entry),
            (512, b"yes".to_vec()),
        ],
        align: false,
        ..call
    };
    let value = world.call(&export("answer", 2, 1, Abi::Wasmedge), &call);
    assert_eq!(value.unwrap(), Value::Text("yes".into()));
}
