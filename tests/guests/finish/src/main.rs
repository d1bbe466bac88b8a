//! The work of the wasm-bindgen tool on a module, without installing the tool.
//!
//! `finish RAW.wasm TARGET OUT.wasm [OUT.js]` finishes a module for the target `web` or `bundler`, or as
//! `classic`: the bundler's shape of before 2024, without reference types and multiple results, or as
//! `stripped`: the same from a module without names, whose allocator the tool then exports under other names;
//! `finish --shape MODULE.wasm` prints its imports, exports and custom sections, one a line.

use std::{error::Error, fs, path::Path, process::ExitCode};

use wasm_bindgen_cli_support::Bindgen;
use wasmparser::{ExternalKind, Parser, Payload, TypeRef, types::EntityType};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["--shape", module] => shape(Path::new(module)),
        [raw, target, out] => finish(Path::new(raw), target, Path::new(out), None),
        [raw, target, out, js] => finish(Path::new(raw), target, Path::new(out), Some(Path::new(js))),
        _ => Err("usage: finish RAW.wasm web|bundler|classic|stripped OUT.wasm [OUT.js] | finish --shape MODULE.wasm".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("finish: {e}");
            ExitCode::FAILURE
        }
    }
}

fn finish(raw: &Path, target: &str, out: &Path, js: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let mut module = fs::read(raw)?;
    let dropped: &[&str] = match target {
        "classic" => &["target_features"],
        "stripped" => &["target_features", "name"],
        _ => &[],
    };
    for section in dropped {
        module = without_section(&module, section)?;
    }
    let name = raw
        .file_stem()
        .ok_or("the module needs a file name")?
        .to_string_lossy();
    let mut bindgen = Bindgen::new();
    bindgen.input_bytes(&name, module).typescript(false);
    match target {
        "web" => bindgen.web(true)?,
        "bundler" | "classic" | "stripped" => bindgen.bundler(true)?,
        other => {
            return Err(format!("no target {other}: web, bundler, classic or stripped").into());
        }
    };
    let mut output = bindgen.generate_output()?;
    if let Some(js) = js {
        fs::write(js, output.js())?;
    }
    fs::write(out, output.wasm_mut().emit_wasm())?;
    Ok(())
}

/// The module without one custom section. What the tool may use is what `target_features` says.
fn without_section(module: &[u8], name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut kept = module[..8].to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if matches!(&payload, Payload::CustomSection(section) if section.name() == name) {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            kept.push(id);
            let mut length = range.len();
            while length > 0x7f {
                kept.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            kept.push(length as u8);
            kept.extend_from_slice(&module[range]);
        }
    }
    Ok(kept)
}

fn shape(module: &Path) -> Result<(), Box<dyn Error>> {
    let bytes = fs::read(module)?;
    let types = wasmparser::Validator::new().validate_all(&bytes)?;
    let types = types.as_ref();
    let signature = |kind: EntityType| match kind {
        EntityType::Func(id) => format!("func {}", types[id].unwrap_func()),
        other => format!("{other:?}"),
    };
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    let ty = types
                        .entity_type_from_import(&import)
                        .map_or_else(String::new, signature);
                    let tag = if matches!(import.ty, TypeRef::Func(_)) {
                        ""
                    } else {
                        " (not a function)"
                    };
                    println!("import {} {}: {ty}{tag}", import.module, import.name);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let ty = types
                        .entity_type_from_export(&export)
                        .map_or_else(String::new, signature);
                    let tag = if export.kind == ExternalKind::Func {
                        ""
                    } else {
                        " (not a function)"
                    };
                    println!("export {}: {ty}{tag}", export.name);
                }
            }
            Payload::StartSection { func, .. } => println!("start function {func}"),
            Payload::TableSection(tables) => {
                for table in tables {
                    println!("table {:?}", table?.ty);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    println!("memory {:?}", memory?);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    println!("global {:?}", global?.ty);
                }
            }
            Payload::CustomSection(section) => {
                println!("custom {} ({} bytes)", section.name(), section.data().len())
            }
            _ => {}
        }
    }
    Ok(())
}
