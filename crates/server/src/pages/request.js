// The request of a call: as it is sent, as a curl command, and as JavaScript. All three are made from the same parts.
//
// `{ kind, ... }` is one of: none; text `{ text, type }`; file `{ file, type }`; form `{ parts: [name, text or file] }`.

// The body of a form for an export. The fields throw if a value does not fit.
function jsonBody(fields, quiet) {
  const given = read(fields, quiet);
  // Bytes are sent unchanged, together with the other arguments as parts of a form, as a curl command can, too.
  if (fields.some((one) => one.isFile)) {
    return { kind: "form", parts: given.map(([name, { bytes }]) => [name, bytes]) };
  }
  const members = given.map(([name, { json }]) => `${JSON.stringify(name)}:${json}`);
  return { kind: "text", text: `{${members.join(",")}}`, type: "application/json" };
}

// All fields are read, so that each shows its problem.
function read(fields, quiet) {
  const [given, wrong] = [[], []];
  for (const one of fields) {
    try {
      const value = one.read(quiet);
      if (value) given.push([one.name, value]);
    } catch (error) {
      wrong.push([one, error]);
    }
  }
  if (wrong.length) {
    if (!quiet) wrong[0][0].input.focus();
    throw wrong[0][1];
  }
  return given;
}

function send(path, body) {
  const init = { method: "POST", headers: headers() };
  if (body.kind === "text") {
    init.body = body.text;
    init.headers["content-type"] = body.type;
  } else if (body.kind === "file") {
    init.body = body.file;
    init.headers["content-type"] = body.type;
  } else if (body.kind === "form") {
    init.body = new FormData();
    // The line ends of a text that is sent as a string would be changed.
    for (const [name, part] of body.parts) init.body.append(name, part instanceof File ? part : new Blob([part]), part.name ?? name);
  }
  return fetch(path, init);
}

// A text as a word of a POSIX shell.
function quoted(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

// The name of a file in `-F name=@"file"`, in which curl interprets backslashes.
function inForm(name) {
  return `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function curl(path, body) {
  const words = ["curl -sS"];
  if (key()) words.push('-H "authorization: Bearer $IOF_KEY"');
  if (body.kind === "none") words.push("-X POST");
  if (body.type) words.push(`-H ${quoted(`content-type: ${body.type}`)}`);
  if (body.kind === "text") words.push(`--data-raw ${quoted(body.text)}`);
  if (body.kind === "file") words.push(`--data-binary ${quoted(`@${body.file.name}`)}`);
  for (const [name, part] of body.parts ?? []) {
    const value = part instanceof File ? `-F ${quoted(`${name}=@${inForm(part.name)}`)}` : `--form-string ${quoted(`${name}=${part}`)}`;
    words.push(value);
  }
  // A form without parts is still a form.
  if (body.parts?.length === 0) words.push("-X POST");
  words.push(quoted(location.origin + path));
  return words.join(" \\\n  ");
}

function javascript(path, body) {
  const text = (of) => JSON.stringify(of);
  const lines = [];
  const files = body.kind === "file" || body.parts?.some(([, part]) => part instanceof File);
  if (files) lines.push('import { readFile } from "node:fs/promises";', "");
  if (body.kind === "form") {
    lines.push("const form = new FormData();");
    for (const [name, part] of body.parts) {
      const blob = part instanceof File ? `await readFile(${text(part.name)})` : text(part);
      lines.push(`form.append(${text(name)}, new Blob([${blob}]), ${text(part.name ?? name)});`);
    }
  }
  lines.push(`const response = await fetch(${text(location.origin + path)}, {`, '  method: "POST",');
  const sent = [];
  if (key()) sent.push("authorization: `Bearer ${process.env.IOF_KEY}`");
  if (body.type) sent.push(`"content-type": ${text(body.type)}`);
  if (sent.length) lines.push(`  headers: { ${sent.join(", ")} },`);
  if (body.kind === "text") lines.push(`  body: ${text(body.text)},`);
  if (body.kind === "file") lines.push(`  body: await readFile(${text(body.file.name)}),`);
  if (body.kind === "form") lines.push("  body: form,");
  lines.push("});", "console.log(response.status, await response.text());");
  return lines.join("\n");
}

// A text to copy, which `make` makes again while it is open.
function snippet(title, make) {
  const code = element("pre", { tabIndex: 0 });
  const copy = element("button", { type: "button", className: "quiet", textContent: "Copy" });
  const hint = element("p", { className: "hint" });
  const box = element("details", { className: "snippet" }, element("summary", { textContent: title }), code, copy, hint);
  const show = () => {
    if (!box.open) return;
    try {
      const body = make();
      code.textContent = body.text;
      hint.textContent = body.hint;
      copy.disabled = false;
    } catch (error) {
      code.textContent = "";
      hint.textContent = error.message;
      copy.disabled = true;
    }
  };
  box.addEventListener("toggle", show);
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      copy.textContent = "Copied";
    } catch {
      // Only pages over https or from this machine may use the clipboard.
      getSelection().selectAllChildren(code);
      copy.textContent = "Selected";
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 2_000);
  });
  return { box, show };
}
