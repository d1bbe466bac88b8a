// A field for an argument. Its `read` returns the argument as `{ json, bytes }`: its text in JSON, and the content of a
// part of a form; `null` if it is left out. A value that does not fit is refused with the name of the field.
const LARGEST_FILE = 256 << 20;

class Misfit extends Error {}

function field(id, name, schema, required, root) {
  const [own, nullable] = withoutNull(schema, root);
  const make = kindOf(own);
  const { input, what, read } = make(id, own, required, root);
  const note = `${what}${required ? "" : ", may be left out"}`;
  const problem = element("p", { className: "problem", id: `${id}-problem`, hidden: true });
  const label = element("label", { htmlFor: id }, name, element("small", { textContent: note }));
  const box = element("div", { className: wide(input) ? "field wide" : "field" }, label, input, problem);
  const say = (text) => {
    [problem.textContent, problem.hidden] = [text, !text];
    input.setAttribute("aria-invalid", text ? "true" : "false");
    input.setAttribute("aria-describedby", problem.id);
  };
  input.addEventListener("input", () => say(""));
  return {
    name, box, input, isFile: input.type === "file",
    // Throws if the field has no valid argument, and shows the reason beside the field unless it is read for a text to
    // copy.
    read: (quiet) => {
      try {
        const value = read();
        if (value) return value;
        if (!required) return null;
        if (nullable) return { json: "null", bytes: "null" };
        throw new Misfit(`\`${name}\` is needed: ${what}.`);
      } catch (error) {
        if (!(error instanceof Misfit)) throw error;
        const text = error.message.replace("$", `\`${name}\``);
        if (!quiet) say(text);
        throw new Misfit(text);
      }
    },
  };
}

function wide(input) {
  return input.tagName === "TEXTAREA" || input.type === "file";
}

function kindOf(schema) {
  const type = schema?.type;
  if (schema?.contentEncoding === "base64") return file;
  if (schema?.enum?.every((one) => typeof one === "string")) return choice;
  if (type === "boolean") return truth;
  if (type === "integer") return integer;
  if (type === "number") return number;
  if (type === "string") return text;
  return json;
}

function asText(json) {
  return { json, bytes: json };
}

function integer(id, schema) {
  const input = element("input", { id, inputMode: "numeric", autocomplete: "off", spellcheck: false });
  const ranges = { int64: [-(2n ** 63n), 2n ** 63n - 1n], uint64: [0n, 2n ** 64n - 1n] };
  const bound = (of) => (Number.isSafeInteger(of) ? BigInt(of) : undefined);
  const [least, most] = ranges[schema.format] ?? [bound(schema.minimum), bound(schema.maximum)];
  const read = () => {
    const typed = input.value.trim();
    if (!typed) return null;
    if (!/^[+-]?\d+$/.test(typed)) throw new Misfit(`$ is not a whole number: got ${typed}.`);
    const value = BigInt(typed.replace(/^\+/, ""));
    const low = least !== undefined && value < least;
    const high = most !== undefined && value > most;
    if (low || high) throw new Misfit(`$ is ${low ? "less than" : "greater than"} ${low ? least : most}.`);
    return asText(value.toString());
  };
  return { input, what: "a whole number", read };
}

function number(id) {
  const input = element("input", { id, inputMode: "decimal", autocomplete: "off", spellcheck: false });
  const read = () => {
    const typed = input.value.trim();
    if (!typed) return null;
    if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(typed)) throw new Misfit(`$ is not a number: got ${typed}.`);
    return asText(typed);
  };
  return { input, what: "a number", read };
}

function truth(id, _, required) {
  const of = (value) => element("option", { value, textContent: value || "(left out)" });
  const input = element("select", { id }, ...(required ? [] : [of("")]), of("true"), of("false"));
  return { input, what: "true or false", read: () => (input.value ? asText(input.value) : null) };
}

function choice(id, schema, required) {
  const of = (value, label) => element("option", { value, textContent: label });
  const all = schema.enum.map((one) => of(JSON.stringify(one), one));
  const input = element("select", { id }, ...(required ? [] : [of("", "(left out)")]), ...all);
  return { input, what: "one of these", read: () => (input.value ? asText(input.value) : null) };
}

function text(id, schema, required) {
  const input = element("textarea", { id, rows: 1, className: "text", spellcheck: false });
  const read = () => {
    if (!input.value && !required) return null;
    return { json: JSON.stringify(input.value), bytes: input.value };
  };
  return { input, what: "text", read };
}

function file(id) {
  const input = element("input", { id, type: "file" });
  const read = () => {
    const chosen = input.files[0];
    if (!chosen) return null;
    if (chosen.size > LARGEST_FILE) throw new Misfit(`$ is larger than ${LARGEST_FILE >> 20} MiB. Send it with curl.`);
    return { bytes: chosen };
  };
  return { input, what: "a file", read };
}

function json(id, schema, required, root) {
  const value = required ? JSON.stringify(sample(schema, root), null, 2) : "";
  const input = element("textarea", { id, spellcheck: false, value, rows: Math.min(12, Math.max(3, value.split("\n").length)) });
  const read = () => {
    const typed = input.value.trim();
    if (!typed) return null;
    try {
      JSON.parse(typed);
    } catch (error) {
      throw new Misfit(`$ is not JSON: ${error.message}`);
    }
    return asText(typed);
  };
  return { input, what: "JSON", read };
}
