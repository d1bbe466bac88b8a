use rust_process_interface_library::Command;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::str;
use wasm_bindgen::prelude::*;

#[derive(Serialize, Deserialize, Debug)]
struct Mail {
  from: String,
  token: String,
  to: String,
  subject: String,
  mime: String,
  body: String
}

#[wasm_bindgen]
pub fn send_email(s: &str) -> String {
  let mail: Mail = serde_json::from_str(s).unwrap();
  let body = json!({
    "personalizations": [{ "to": [{ "email": &mail.to }] }],
    "from": { "email": &mail.from },
    "subject": &mail.subject,
    "content": [{ "type": &mail.mime, "value": &mail.body }]
  });
  let headers = String::from("{\"Content-Type\": \"application/json\",\"authorization\": \"Bearer ") + &mail.token + "\"}";

  let mut cmd = Command::new("http_proxy");
  cmd.arg("post").arg("https://api.sendgrid.com/v3/mail/send").arg(headers);
  for b in body.to_string().as_bytes() {
    cmd.stdin_u8(*b);
  }

  let out = cmd.output();
  if out.status != 0 {
    println!("Code: {}", out.status);
    println!("STDERR: {}", str::from_utf8(&out.stderr).unwrap());
    println!("STDOUT: {}", str::from_utf8(&out.stdout).unwrap());
    return out.status.to_string();
  }
  return str::from_utf8(&out.stdout).unwrap().to_string();
}

#[wasm_bindgen]
pub fn fetch(url: &str) -> Vec<u8> {
  let mut cmd = Command::new("http_proxy");
  return cmd.arg("get").arg(url).output().stdout;
}
