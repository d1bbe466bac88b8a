//! Fuzz targets: functions that take arbitrary bytes and assert properties. A panic is a finding.
//!
//! `fuzz/` runs these functions with generated inputs; the tests below run them with the inputs that it found.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target reports a finding by a panic"
)]

mod imports;
mod lines;
mod shelf;

#[cfg(test)]
#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
pub(crate) use imports::context;
pub use imports::imports;
pub use lines::line_table;
#[cfg(test)]
pub(crate) use shelf::Shelf;

use crate::abi::{self, described, descriptor};
use crate::capability::{clock, random};
use crate::compile::Effort;
use crate::compile::limits::WorkerLimits;
use crate::compile::toolchain::Toolchain;
use crate::manifest::{Abi, Core, Export};
use crate::{Arg, CompileLimits, HostCallTape, HostResponses, Limits, StatedSignature, artefact};
use bytes::Bytes;
use iof_command::Request;
use iof_fault::{Fault, Source};
use std::time::{Duration, Instant};

/// A recording in JSON: reading, writing and playing it agree.
pub fn tape(data: &[u8]) {
    let Ok(responses) = serde_json::from_slice::<HostResponses>(data) else {
        return;
    };
    let json = serde_json::to_vec(&responses).unwrap();
    assert_eq!(
        serde_json::from_slice::<HostResponses>(&json).unwrap(),
        responses
    );
    // The values that batches and additions store are among the saves, so their own records are not played.
    let responses = HostResponses {
        commits: vec![],
        adds: vec![],
        ..responses
    };

    let tape = HostCallTape::player(responses.clone());
    for command in &responses.commands {
        let request = Request {
            args: command.args.clone(),
            env: command.env.clone(),
            stdin: command.stdin.0.clone(),
            timeout: Duration::ZERO,
        };
        let came = tape.play_command(&command.name, &request).unwrap();
        let (status, stdout, stderr) = came.unwrap();
        tape.note_command(&command.name, request, (status, &stdout, &stderr));
    }
    for load in &responses.loads {
        let value = tape.play_load(&load.key.0).unwrap();
        tape.note_load(&load.key.0, value.as_ref());
    }
    for save in &responses.saves {
        let saved = tape.play_save(&save.key.0, &save.value.0).unwrap();
        tape.note_save(&save.key.0, save.value.0.clone(), saved);
    }
    for _ in &responses.wall_clock {
        clock::wall(&tape);
    }
    for _ in &responses.monotonic_clock {
        clock::monotonic(&tape, Instant::now());
    }
    random::fill(Some(&tape), &mut vec![0; responses.random.0.len()]);
    assert_eq!(
        tape.responses(),
        Some(responses),
        "it is played as another call"
    );
}

/// The header of an artefact, up to its code, which is never run.
pub fn artefact_header(data: &[u8]) {
    let Ok((manifest, code)) = artefact::manifest(data) else {
        return;
    };
    // A file that claims four gigabytes does not allocate them, but would take long to compare.
    let code = code.unpacked(1 << 20).unwrap_or_default();
    let written = artefact::encode(&manifest, code).unwrap();
    let (again, _) = artefact::manifest(&written).unwrap();
    assert_eq!(
        serde_json::to_value(&again).unwrap(),
        serde_json::to_value(&manifest).unwrap()
    );
}

/// Descriptors, descriptions and stated signatures: the first byte chooses one.
pub fn description(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let signature = match kind % 4 {
        0 => descriptor::version(rest).and_then(|patch| descriptor::read(None, Some(patch)).ok()),
        1 => {
            // The highest bytes stand for the highest words.
            let code = |byte: &u8| match byte {
                250.. => u32::MAX - u32::from(255 - byte),
                small => u32::from(*small),
            };
            let codes: Vec<u32> = rest.iter().skip(1).map(code).collect();
            descriptor::makes_text(&codes);
            let version = rest.first().map(|patch| u32::from(*patch));
            descriptor::read(Some(&codes), version).ok()
        }
        2 => {
            let Ok((signature, described)) = described::read("f", rest) else {
                return;
            };
            assert_eq!(signature.params.len(), described.params.len());
            Some(signature)
        }
        _ => {
            let (stated, args) = rest.split_at(rest.iter().position(|b| *b == 0).unwrap_or(0));
            let stated = String::from_utf8_lossy(stated);
            let stated = match StatedSignature::parse(&stated) {
                Ok(stated) => Some(stated),
                Err(fault) => {
                    blame(&fault);
                    None
                }
            };
            let args = args.split(|byte| *byte == 0).map(Bytes::copy_from_slice);
            let args: Vec<_> = args.map(Arg::Text).collect();
            for params in 0..4 {
                let export = export(vec![Core::I32; params], vec![Core::I32]);
                if let Err(fault) = abi::plan(&export, &args, stated.as_ref(), true) {
                    blame(&fault);
                }
            }
            None
        }
    };
    let Some(signature) = signature else {
        return;
    };
    // The core type may or may not be that of the signature.
    for params in 0..6 {
        for results in 0..2 {
            let mut export = export(vec![Core::I32; params], vec![Core::I32; results]);
            let Ok(signature) = abi::bindgen::agrees(&export, signature.clone()) else {
                continue;
            };
            export.signature = Some(signature);
            let args = [Arg::Text(Bytes::from_static(b"[1,\"a\",null,2.5]"))];
            if let Err(fault) = abi::plan(&export, &args, None, true) {
                blame(&fault);
            }
            assert!(export.types().is_some());
        }
    }
}

/// An uploaded module: it is refused with a guest's fault, or its artefact can be read.
pub fn module(data: &[u8]) {
    // A larger module would take so long to compile that the fuzzer tries nothing else.
    if data.len() > 16 << 10 {
        return;
    }
    let compile = CompileLimits::default();
    let limits = WorkerLimits::new(&compile, &Limits::default());
    match Toolchain::new(&limits).and_then(|toolchain| toolchain.compile(data, Effort::Full)) {
        Ok(compiled) => artefact_header(&compiled.artefact),
        Err(fault) => blame(&fault),
    }
}

/// Panics on a fault of the host.
fn blame(fault: &Fault) {
    assert!(fault.kind.source() != Source::Host, "{fault:?}");
}

fn export(core_params: Vec<Core>, core_results: Vec<Core>) -> Export {
    Export {
        name: "f".into(),
        symbol: "f".into(),
        core_params,
        core_results,
        signature: None,
        described: None,
        unread: None,
        abi: Abi::Bindgen,
    }
}

#[cfg(test)]
mod tests {
    use super::replay::corpus;

    #[test]
    fn corpus_of_tapes() {
        corpus("engine_tape", super::tape);
    }

    #[test]
    fn corpus_of_artefacts() {
        corpus("engine_artefact", super::artefact_header);
    }

    #[test]
    fn corpus_of_descriptions() {
        corpus("engine_description", super::description);
    }

    #[test]
    fn corpus_of_modules() {
        corpus("engine_module", super::module);
    }

    #[test]
    fn corpus_of_lines() {
        corpus("engine_lines", super::line_table);
    }

    #[test]
    fn corpus_of_imports() {
        corpus("engine_imports", super::imports);
    }
}
