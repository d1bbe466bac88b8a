//! `iof deploy`: a module, or the build of a folder, becomes a function or its next version.

mod summary;
mod variables;

use crate::args::Deploy;
use crate::build;
use crate::client::{Client, segment};
use crate::functions::{ask, path};
use crate::output::json;
use crate::print;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use iof_build::{Built, Options};
use serde_json::Value as Json;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use summary::Summary;

/// A module, its declaration, and its name.
pub(crate) struct Package {
    pub(crate) module: Vec<u8>,
    pub(crate) declaration: Option<String>,
    pub(crate) name: String,
    /// The modules and interfaces that it imports.
    pub(crate) imports: Vec<String>,
}

impl Package {
    /// Notes on its declaration; `allowed` lists the internal hosts and ports that the server lets it reach.
    pub(crate) fn notes(&self, allowed: &[String]) -> Vec<String> {
        match &self.declaration {
            Some(declaration) => iof_server::declaration_notes(declaration, allowed, &self.imports),
            // Without a declaration, it gets the server's default grants.
            None => vec![],
        }
    }
}

/// The options of a deploy.
#[derive(Default)]
pub(crate) struct DeployOptions {
    pub(crate) private: bool,
    pub(crate) canary: Option<u8>,
    pub(crate) idle: bool,
    /// True if the server ends with this process: the admin key is then not stored.
    pub(crate) passing: bool,
}

/// The package that a build made.
///
/// # Errors
/// A message with the path of the file that cannot be read.
pub(crate) async fn package_of(built: &Built) -> Result<Package, String> {
    let module = tokio::fs::read(&built.module)
        .await
        .map_err(|error| format!("{}: {error}", built.module.display()))?;
    Ok(Package {
        module,
        declaration: built.declaration.as_deref().map(read).transpose()?,
        name: built.package.clone(),
        imports: build::imports(&built.summary),
    })
}

pub(crate) async fn run(deploy: Deploy) -> Result<ExitCode, String> {
    // The client comes before the build, so that a wrong option or an unreachable server does not cost a minute first.
    let client = Client::new(&deploy.remote)?;
    agree(&client, deploy.remote.dev).await?;
    let sources = sources(&deploy.path, deploy.package.as_deref())?;
    if let (true, Some(option)) = (sources.len() > 1, of_one(&deploy)) {
        let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
        return Err(format!(
            "{option} is for one function: got {} ({}). Choose one with -p NAME.",
            names.len(),
            names.join(", ")
        ));
    }
    // All packages are read before the first is deployed, so that a mistake in one changes nothing.
    let mut packages = vec![];
    for source in sources {
        packages.push(package(&deploy, source).await?);
    }
    let several = packages.len() > 1;
    let mut answers = vec![];
    for package in packages {
        let deployed = put_one(&client, &deploy, package).await?;
        if deploy.remote.json {
            answers.push(deployed.answer);
        }
    }
    Ok(match (deploy.remote.json, answers.pop()) {
        (true, Some(only)) if !several => json(&only),
        (true, last) => {
            answers.extend(last);
            json(&serde_json::json!({ "functions": answers }))
        }
        (false, _) => ExitCode::SUCCESS,
    })
}

/// A given option that can apply to one function only.
fn of_one(deploy: &Deploy) -> Option<&'static str> {
    let name = deploy.name.is_some().then_some("--name");
    name.or(deploy.function.is_some().then_some("--function"))
}

/// The package of a source, with the options applied.
async fn package(deploy: &Deploy, source: Source) -> Result<Package, String> {
    let declaration = match (&deploy.function, &source.declaration) {
        (Some(file), _) | (None, Some(file)) => Some(read(file)?),
        (None, None) => None,
    };
    let declaration = variables::apply(declaration, deploy.env.as_deref(), &deploy.set)?;
    let bytes = tokio::fs::read(&source.module).await;
    let bytes = bytes.map_err(|error| format!("{}: {error}", source.module.display()))?;
    if !bytes.starts_with(b"\0asm") {
        return Err(format!(
            "{}: not a WebAssembly module: got {} bytes without the header of one. `iof build` makes one from a crate.",
            source.module.display(),
            bytes.len()
        ));
    }
    // The server reports an invalid module.
    let summary = iof_build::Summary::of(&bytes);
    Ok(Package {
        imports: summary
            .map(|summary| build::imports(&summary))
            .unwrap_or_default(),
        module: bytes,
        declaration,
        name: deploy.name.clone().unwrap_or(source.name),
    })
}

/// Deploys one package, and prints the changes for people.
async fn put_one(client: &Client, deploy: &Deploy, package: Package) -> Result<Deployment, String> {
    let wishes = DeployOptions {
        private: deploy.private,
        canary: deploy.canary,
        idle: deploy.idle,
        passing: false,
    };
    for note in package.notes(&[]) {
        build::say(&format!("note: {note}"));
    }
    let deployed = put(client, package, &wishes).await?;
    if deploy.remote.json {
        return Ok(deployed);
    }
    let function = name_of(&deployed.answer);
    let client = Client::new_like(client, &function);
    let place = path(&function);
    let document = client
        .ask(Method::GET, &format!("{place}/openapi.json"), "")
        .await;
    // The summary leaves out facts that a key of scope `deploy` may not see.
    let after = client.ask(Method::GET, &place, "").await;
    print(&summary::of(&Summary {
        client: &client,
        deployment: &deployed,
        document: document.ok().as_ref(),
        after: after.ok().as_ref(),
        wishes: &wishes,
        server: &deploy.remote.option(),
    }));
    Ok(deployed)
}

/// Checks that the server is reachable, and that a deploy to the server of `iof dev` is intended: the next save
/// replaces the deployed version.
async fn agree(client: &Client, agreed: bool) -> Result<(), String> {
    let about = client.about().await?;
    if about["dev"] != true || agreed {
        return Ok(());
    }
    let what = format!(
        "{} is the server of `iof dev`: the next save replaces the deployed version, and its data is deleted with target/",
        client.origin()
    );
    if !std::io::stdin().is_terminal() {
        return Err(format!(
            "{what}. Add --dev to confirm; else start `iof serve`, and name it with --server."
        ));
    }
    ask(
        &format!("{what}. Deploy to it? [y/N] "),
        "nothing was deployed",
    )
}

/// A module, with its declaration and its name.
struct Source {
    module: PathBuf,
    declaration: Option<PathBuf>,
    /// The name of the function, from the name of the file or the package.
    name: String,
}

/// The modules of a path: a file, or the modules built from a folder.
fn sources(place: &Path, package: Option<&str>) -> Result<Vec<Source>, String> {
    if place.is_dir() {
        let packages = build::functions(place, package)?.into_iter();
        let built = packages.map(|package| {
            let options = Options {
                package: Some(package),
                ..Options::default()
            };
            let built = build::once(place, &options)?;
            Ok(Source {
                module: built.module,
                declaration: built.declaration,
                name: built.package,
            })
        });
        return built.collect();
    }
    if let Some(package) = package {
        return Err(format!(
            "--package is for the folder of a workspace: got {package} and {}. Leave one out.",
            place.display()
        ));
    }
    if !place.is_file() {
        return Err(format!(
            "{} does not exist: name a module (.wasm), or the folder of a crate",
            place.display()
        ));
    }
    let name = place
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let beside = place.with_file_name("function.toml");
    Ok(vec![Source {
        module: place.to_owned(),
        declaration: beside.is_file().then_some(beside),
        name,
    }])
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// A function that was deployed.
pub(crate) struct Deployment {
    /// The server's answer.
    pub(crate) answer: Json,
    /// Success if the admin key is stored, or the reason why it is not: the server shows it only once.
    pub(crate) kept: Option<Result<(), String>>,
    /// The function before the deploy, if the key may read it.
    pub(crate) before: Option<Json>,
}

/// Deploys the next version of the function of that name, or a new function.
///
/// # Errors
/// The error of the server.
pub(crate) async fn put(
    client: &Client,
    package: Package,
    wishes: &DeployOptions,
) -> Result<Deployment, String> {
    let name = package.name.to_ascii_lowercase().replace('_', "-");
    let (content_type, body) = form(&package);
    let (headers, body) = ([(CONTENT_TYPE, content_type)], Bytes::from(body));
    let rollout = match wishes {
        DeployOptions {
            canary: Some(percent),
            ..
        } => format!("?canary={percent}"),
        DeployOptions { idle: true, .. } => "?idle=true".to_owned(),
        _ => String::new(),
    };
    let known = Client::new_like(client, &name);
    let numbered = name.bytes().all(|byte| byte.is_ascii_digit());
    // Without a key, the function can only be a new one.
    if numbered || known.has_key().await? {
        // The function is looked up first, because a module may be large.
        let shown = known.send(Method::GET, &path(&name), &[], "").await?;
        if shown.status() != StatusCode::NOT_FOUND || numbered {
            let before = match shown.status() {
                StatusCode::OK => known.json(shown).ok(),
                _ => None,
            };
            let next = format!("{}/versions{rollout}", path(&name));
            let answer = known
                .send(Method::POST, &next, &headers, body.clone())
                .await?;
            // Without a key for a function, a client cannot learn whether it exists.
            let hidden = matches!(
                answer.status(),
                StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
            );
            if numbered || !hidden {
                let answer = known.json(answer)?;
                return Ok(Deployment {
                    answer,
                    kept: None,
                    before,
                });
            }
        }
    }
    let name_in_query = segment(&name);
    let create = format!(
        "/v1/functions?name={name_in_query}&private={}",
        wishes.private
    );
    let answer = client.send(Method::POST, &create, &headers, body).await?;
    if answer.status() == StatusCode::CONFLICT {
        return Err(taken(client, &known, &name).await);
    }
    let answer = client.json(answer)?;
    let kept = match answer["admin_key"].as_str() {
        Some(key) if !wishes.passing => {
            let names = [answer["function"].to_string(), name];
            Some(client.remember(&names, key).await)
        }
        _ => None,
    };
    Ok(Deployment {
        answer,
        kept,
        before: None,
    })
}

/// The message for a taken name without a key for it, with all ways to get access.
async fn taken(client: &Client, known: &Client, name: &str) -> String {
    let keyless = client
        .about()
        .await
        .is_ok_and(|about| about["takes_keys"] != true);
    let operator = match keyless {
        true => "start the server with a key (IOF_AUTH_KEYS=KEY iof serve), and ",
        false => "with a key of the server, ",
    };
    format!(
        "there is a function {name} already, and no key for it here{}. --key (IOF_KEY) takes its admin key or one of scope deploy; if its admin key is lost, {operator}`iof key rotate {name} --key KEY` makes another; --name takes another name.",
        known.reasons()
    )
}

/// A module and its declaration, as a form.
fn form(package: &Package) -> (HeaderValue, Vec<u8>) {
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let mut body = vec![];
    let mut part = |name: &str, content: &[u8]| {
        body.extend(
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n")
                .into_bytes(),
        );
        body.extend(content);
        body.extend(b"\r\n");
    };
    if let Some(declaration) = &package.declaration {
        part("function", declaration.as_bytes());
    }
    part("module", &package.module);
    body.extend(format!("--{boundary}--\r\n").into_bytes());
    let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
    // Hexadecimal digits are always a valid header value.
    (
        content_type.unwrap_or(HeaderValue::from_static("multipart/form-data")),
        body,
    )
}

/// The name of a deployed function, or its number.
pub(crate) fn name_of(deployed: &Json) -> String {
    let name = deployed["name"].as_str().map(str::to_owned);
    name.unwrap_or_else(|| deployed["function"].to_string())
}
