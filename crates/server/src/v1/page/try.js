"use strict";

// A form for each export, made of the function's own OpenAPI document.

const base = location.pathname.replace(/\/try$/, "");
const name = decodeURIComponent(base.split("/").pop());
const main = document.querySelector("main");
const key = document.querySelector("#key");
document.querySelector("h1").textContent = name;
document.title = `${name} - iof`;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function headers(more = {}) {
  return key.value ? { ...more, authorization: `Bearer ${key.value}` } : more;
}

// Text as it is, files as base64, everything else as JSON.
function field(id, schema, name, required, root) {
  const type = [schema?.type].flat()[0];
  const note = element("small", { textContent: ` ${describe(schema)}${required ? "" : ", may be left out"}` });
  const label = element("label", { htmlFor: id, textContent: name }, note);
  let input, read;
  if (type === "boolean") {
    input = element("input", { id, type: "checkbox" });
    read = async () => input.checked;
  } else if (type === "integer" || type === "number") {
    input = element("input", { id, type: "text", inputMode: "decimal" });
    read = async () => JSON.parse(input.value || "0");
  } else if (schema?.contentEncoding === "base64") {
    input = element("input", { id, type: "file" });
    read = async () => (input.files[0] ? await base64(input.files[0]) : "");
  } else if (type === "string") {
    input = element("input", { id, type: "text" });
    read = async () => input.value;
  } else {
    input = element("textarea", { id, spellcheck: false, value: JSON.stringify(sample(schema, root), null, 2) ?? "null" });
    read = async () => {
      try {
        return JSON.parse(input.value || "null");
      } catch (error) {
        throw new Error(`${name} is no JSON: ${error.message}`);
      }
    };
  }
  return { label, input, read };
}

function describe(schema) {
  if (schema?.contentEncoding === "base64") return "a file";
  const type = [schema?.type].flat()[0];
  return type ?? "JSON";
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1] ?? "");
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

// A value that the schema takes, as far as it is plain.
function sample(schema, root, depth = 0) {
  if (!schema || schema === true || depth > 8) return null;
  if (schema.$ref?.startsWith("#/")) {
    const found = schema.$ref.slice(2).split("/").reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], root);
    return sample(found, root, depth + 1);
  }
  if (schema.enum) return schema.enum[0];
  switch ([schema.type].flat()[0]) {
    case "object":
      return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, of]) => [name, sample(of, root, depth + 1)]));
    case "array": return [];
    case "integer": case "number": return Math.max(0, schema.minimum ?? 0);
    case "boolean": return true;
    case "string": return "";
    default: return null;
  }
}

function form(path, operation, root) {
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  const named = schema?.properties;
  const fields = named
    ? Object.entries(named).map(([name, of]) => [name, field(`${operation.operationId}-${name}`, of, name, schema.required?.includes(name), root)])
    : operation.requestBody ? [["text", field(`${operation.operationId}-text`, { type: "string" }, "text", false)]] : [];
  const button = element("button", { type: "submit", textContent: "Call" });
  const output = element("output");
  output.setAttribute("aria-live", "polite");
  const made = element("form", {}, element("h2", { textContent: operation.operationId }));
  const doc = [operation.summary, operation.description].filter(Boolean).join("\n\n");
  if (doc) made.append(element("p", { className: "doc", textContent: doc }));
  for (const [, { label, input }] of fields) made.append(label, input);
  made.append(button, output);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      let body, type;
      if (named) {
        body = JSON.stringify(Object.fromEntries(await Promise.all(fields.map(async ([name, { read }]) => [name, await read()]))));
        type = "application/json";
      } else if (fields.length) {
        body = await fields[0][1].read();
        type = "text/plain";
      }
      const began = performance.now();
      const response = await fetch(path, { method: "POST", body, headers: headers(type ? { "content-type": type } : {}) });
      await show(output, response, performance.now() - began);
    } catch (error) {
      output.className = "bad";
      output.replaceChildren(element("pre", { textContent: error.message }));
    } finally {
      button.disabled = false;
    }
  });
  return made;
}

async function show(output, response, took) {
  const type = response.headers.get("content-type") ?? "";
  const fault = response.headers.get("iof-fault");
  const call = response.headers.get("iof-call");
  output.className = response.ok ? "" : "bad";
  const about = element("p", { textContent: `${response.status}${fault ? ` ${fault}` : ""}, ${took.toFixed(1)} ms, call ${call}` });
  let text;
  if (type.startsWith("application/octet-stream")) {
    text = `${(await response.arrayBuffer()).byteLength} bytes`;
  } else {
    text = await response.text();
    if (type.startsWith("application/json")) {
      try {
        const json = JSON.parse(text);
        text = response.ok ? JSON.stringify(json, null, 2) : json.error;
      } catch { /* shown as it came */ }
    }
  }
  output.replaceChildren(about, element("pre", { textContent: text || "(nothing)" }));
}

async function load() {
  main.replaceChildren();
  const response = await fetch(`${base}/openapi.json`, { headers: headers() });
  const document = await response.json();
  if (!response.ok) {
    key.closest("label").hidden = response.status !== 401 && response.status !== 403;
    main.append(element("p", { className: "bad", textContent: document.error }));
    return;
  }
  key.closest("label").hidden = !document.components?.securitySchemes;
  for (const [path, { post }] of Object.entries(document.paths)) main.append(form(path, post, document));
}

key.addEventListener("change", load);
load().catch((error) => main.append(element("p", { className: "bad", textContent: error.message })));
