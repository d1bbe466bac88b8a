//! stub
use bytes::Bytes; use std::sync::Arc; use std::time::Duration; use uuid::Uuid;
#[derive(Debug)] pub struct Request { pub args: Vec<String>, pub env: Vec<(String,String)>, pub stdin: Bytes, pub timeout: Duration }
pub struct Output { pub status: i32, pub stdout: Bytes, pub stderr: Bytes }
#[derive(Debug,Default)] pub struct Grants;
#[derive(Debug)] pub struct CallContext { pub call: Uuid, pub function: Arc<str>, pub grants: Arc<Grants>, pub deadline: tokio::time::Instant }
pub enum Refusal { NotGranted, NotFound, TimedOut }
#[derive(Default)] pub struct Registry;
impl Registry { pub async fn run(&self, _c: &CallContext, _n: &str, _r: Request) -> Result<Output, Refusal> { Err(Refusal::NotFound) } }
