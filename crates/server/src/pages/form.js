// A form for an export of a function, made from the function's own OpenAPI document. The page defines `base`, the
// address of the function.
const LOGGED = 100;
const EARLIER = 10;

// The fields of an export, and the body that they make.
function fieldsOf(operation, root) {
  const id = (of) => `${operation.operationId}-${of}`;
  const content = operation.requestBody?.content;
  if (!content) return { boxes: [], body: () => ({ kind: "none" }) };
  const schema = resolved(content["application/json"]?.schema, root);
  if (schema?.properties) {
    const fields = Object.entries(schema.properties).map(([of, its]) => field(id(of), of, its, schema.required?.includes(of) ?? false, root));
    return { boxes: fields.map(({ box }) => box), body: (quiet) => jsonBody(fields, quiet) };
  }
  return whole(id, content);
}

// The body for a function that takes it unchanged, or for a module without a description: a text, a file, or arguments
// in an array.
function whole(id, content) {
  const raw = content["*/*"];
  const option = (value, textContent) => element("option", { value, textContent });
  const how = element("select", { id: id("how") }, option("text", "text"), option("file", "a file"));
  if (!raw) how.append(option("json", "several arguments, an array of JSON"));
  const text = field(id("text"), "Body", { type: "string" }, false);
  const typeOf = raw ? (raw.schema ? "application/json" : "text/plain") : "text/plain";
  const type = element("input", { id: id("type"), value: typeOf, spellcheck: false, autocomplete: "off" });
  const file = field(id("file"), "File", { contentEncoding: "base64" }, true);
  const several = field(id("json"), "Arguments", { type: "array" }, true);
  if (raw?.schema) text.input.value = JSON.stringify(sample(raw.schema, {}), null, 2) ?? "";
  const labelled = (of, label) => element("div", { className: "field" }, element("label", { htmlFor: of.id, textContent: label }), of);
  const boxes = [labelled(how, "Send"), labelled(type, "Content type"), text.box, file.box, several.box];
  const shown = () => {
    [text.box.hidden, file.box.hidden, several.box.hidden] = [how.value !== "text", how.value !== "file", how.value !== "json"];
    boxes[1].hidden = !raw;
  };
  how.addEventListener("change", () => {
    if (raw) type.value = how.value === "file" ? "application/octet-stream" : typeOf;
    shown();
  });
  shown();
  const body = (quiet) => {
    const its = (usual) => (raw ? type.value.trim() || usual : usual);
    if (how.value === "file") return { kind: "file", file: read([file], quiet)[0][1].bytes, type: its("application/octet-stream") };
    if (how.value === "json") return { kind: "text", text: read([several], quiet)[0][1].json, type: "application/json" };
    if (!text.input.value && !raw) return { kind: "none" };
    return { kind: "text", text: text.input.value, type: its("text/plain") };
  };
  return { boxes, body };
}

function form(path, operation, root) {
  const { boxes, body } = fieldsOf(operation, root);
  const heading = element("h2", {}, element("code", { textContent: operation.operationId }));
  const label = element("span", { textContent: "Call" });
  const button = element("button", { type: "submit" }, element("span", { className: "spinner", ariaHidden: "true" }), label);
  const answer = answerBox(operation.operationId);
  const keyed = () => (key() ? "Set IOF_KEY to the key before." : "");
  const files = (of) => [of.file, ...(of.parts ?? []).map(([, part]) => part)].some((part) => part instanceof File);
  const hint = (of) => [files(of) ? "Run it in the folder of the file." : "", keyed()].filter(Boolean).join(" ");
  const snippets = [["curl", curl], ["JavaScript", javascript]].map(([title, write]) => snippet(title, () => {
    const made = body(true);
    return { text: write(path, made), hint: hint(made) };
  }));
  const doc = [operation.summary, operation.description].filter(Boolean).join("\n\n");
  const made = element("form", { className: "sheet", noValidate: true }, heading);
  if (doc) made.append(element("p", { className: "about", textContent: doc }));
  if (boxes.length) made.append(element("div", { className: "fields" }, ...boxes));
  const earlier = earlierCalls(made);
  made.append(element("div", { className: "act" }, button), ...snippets.map(({ box }) => box), earlier.box, answer.box);
  made.addEventListener("input", () => snippets.forEach(({ show }) => show()));
  made.addEventListener("change", () => snippets.forEach(({ show }) => show()));
  made.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) made.requestSubmit();
  });
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    try {
      const sent = body();
      const values = earlier.values();
      const began = performance.now();
      const response = await send(path, sent);
      const bytes = await response.arrayBuffer();
      const took = performance.now() - began;
      answer.show(response, bytes, took);
      earlier.add(values, `${response.headers.get("iof-fault") ?? response.status}, ${took.toFixed(1)} ms`);
      logged(answer, response.headers.get("iof-call")).catch((error) => answer.log(null, `Its log could not be read: ${error.message}`));
    } catch (error) {
      answer.failed(error instanceof TypeError ? `The server did not answer: ${error.message}` : error.message);
    } finally {
      button.disabled = false;
    }
  });
  return made;
}

// What a form sent before, to be filled in once more, for as long as the page is open. A file cannot be filled in.
function earlierCalls(made) {
  const list = element("ul", { className: "plain earlier" });
  const box = element("details", { className: "snippet", hidden: true }, element("summary", { textContent: "Earlier calls" }), list);
  const inputs = () => [...made.querySelectorAll("input:not([type=file]), textarea, select")];
  const fill = (values) => {
    // Twice, because a choice may set what another field has.
    for (const event of ["change", "input"]) {
      inputs().forEach((input, at) => {
        input.value = values[at] ?? input.value;
        input.dispatchEvent(new Event(event, { bubbles: true }));
      });
    }
    inputs()[0]?.focus();
  };
  return {
    box,
    values: () => inputs().map((input) => input.value),
    add: (values, said) => {
      const again = element("button", { type: "button", className: "quiet", textContent: "Fill in" });
      again.addEventListener("click", () => fill(values));
      list.prepend(element("li", {}, element("span", { textContent: `${new Date().toLocaleTimeString()}: ${said}` }), again));
      if (list.children.length > EARLIER) list.lastChild.remove();
      box.hidden = false;
    },
  };
}

// The output and core time of a call, for readers with a key that may read logs.
async function logged(answer, call) {
  if (!call) return;
  if (!key()) return answer.log(null, "What it printed, and the CPU time that it took, is for holders of a key.");
  const { response, answer: rows } = await ask(`${base}/logs?limit=${LOGGED}`);
  if (!response.ok) return answer.log(null, "This key does not read the log of the function.");
  const row = rows.logs.find((one) => one.call === call);
  answer.log(row, "The log does not have the call any more.");
}
