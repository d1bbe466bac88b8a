// The answer to a call, shown as text or as an image, but never as markup.
const SHOWN = 200_000;

// The type of an image by its first bytes; the type that the function states is not trusted.
function picture(bytes) {
  const starts = (...of) => of.every((byte, at) => byte === null || bytes[at] === byte);
  if (starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return "image/png";
  if (starts(0xff, 0xd8, 0xff)) return "image/jpeg";
  if (starts(0x47, 0x49, 0x46, 0x38)) return "image/gif";
  if (starts(0x52, 0x49, 0x46, 0x46, null, null, null, null, 0x57, 0x45, 0x42, 0x50)) return "image/webp";
  return null;
}

// Bytes as text, if they are valid UTF-8.
function asItIs(bytes) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return /[\0-\x08\x0e-\x1f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}

function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < 3) [value, unit] = [value / 1024, unit + 1];
  return bytes === 1 ? "1 byte" : `${unit ? value.toFixed(1) : value} ${units[unit]}`;
}

// The area for the answers of one form.
function answerBox(exportName) {
  const title = element("h3");
  const content = element("div", { className: "content" });
  const facts = element("dl");
  const log = element("div");
  const box = element("section", { className: "result", hidden: true }, title, content, facts, log);
  box.setAttribute("role", "status");
  let urls = [];

  const clear = () => {
    urls.forEach((url) => URL.revokeObjectURL(url));
    urls = [];
    content.replaceChildren();
    facts.replaceChildren();
    log.replaceChildren();
  };
  const url = (bytes, type) => {
    urls.push(URL.createObjectURL(new Blob([bytes], { type })));
    return urls.at(-1);
  };
  const fact = (name, value) => {
    if (value === null || value === undefined || value === "") return;
    facts.append(element("dt", { textContent: name }), element("dd", { textContent: value }));
  };
  const show = (kind, said) => {
    box.dataset.kind = kind;
    title.textContent = said;
    box.hidden = false;
  };

  return {
    box,
    failed: (message) => {
      clear();
      show("fault", "The call was not made");
      content.append(element("p", { textContent: message }));
    },
    show: (response, buffer, took) => {
      clear();
      const bytes = new Uint8Array(buffer);
      const type = response.headers.get("content-type") ?? "";
      const header = (name) => response.headers.get(name);
      const fault = header("iof-fault");
      const text = asItIs(bytes);
      const problem = fault && type.startsWith("application/json") ? faultIn(text) : null;
      show(fault ? "fault" : response.ok ? "good" : "answer", problem ?? (response.ok ? "It returned" : `It answered ${response.status}`));
      if (problem === null) content.append(...body(bytes, text, type));
      fact("status", `${response.status}${fault ? `, ${fault}` : ""}`);
      fact("time", `${took.toFixed(1)} ms`);
      if (!fault) fact("type", type);
      if (bytes.length && !fault) fact("size", size(bytes.length));
      fact("call", header("iof-call"));
    },
    log: (row, why) => {
      if (!row) {
        log.replaceChildren(element("p", { className: "note", textContent: why }));
        return;
      }
      fact("version", row.version);
      fact("CPU time", `${(row.guest_us / 1000).toFixed(3)} ms`);
      for (const stream of ["stdout", "stderr"]) {
        if (row[stream]) log.append(element("h4", { textContent: stream }), element("pre", { textContent: row[stream] }));
      }
      if (!row.stdout && !row.stderr) log.append(element("p", { className: "note", textContent: "It printed nothing." }));
    },
  };

  function body(bytes, text, type) {
    if (bytes.length === 0) return [element("p", { className: "note", textContent: "Nothing." })];
    const shown = [];
    const kind = picture(bytes);
    if (kind) {
      shown.push(element("img", { src: url(bytes, kind), alt: "The picture that the function returned" }));
    } else if (text !== null) {
      const long = text.length > SHOWN;
      let known = text;
      if (type.startsWith("application/json") && !long) {
        try {
          JSON.parse(text);
          known = pretty(text);
        } catch { /* shown unchanged */ }
      }
      shown.push(element("pre", { textContent: known.slice(0, SHOWN) }));
      if (long) shown.push(element("p", { className: "note", textContent: `The first ${SHOWN.toLocaleString("en")} characters; the rest is in the file.` }));
    } else {
      shown.push(element("p", { textContent: `${size(bytes.length)} that are not text.` }));
    }
    const ending = kind ? kind.split("/")[1] : text === null ? "bin" : type.startsWith("application/json") ? "json" : "txt";
    const download = element("a", { href: url(bytes, "application/octet-stream"), download: `${exportName}.${ending}`, textContent: "Download" });
    if (kind || text === null || text.length > 500) shown.push(element("p", {}, download));
    return shown;
  }
}

// The message of a fault.
function faultIn(text) {
  try {
    return String(JSON.parse(text).error);
  } catch {
    return null;
  }
}
