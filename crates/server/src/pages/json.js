// JSON as text. A number of JavaScript holds 53 bits and a number of a function 64, so the browser's parser only checks
// JSON that is sent or received; its values are never used.

// A JSON text with one value per line, and unchanged numbers.
function pretty(text) {
  let [out, depth, at] = ["", 0, 0];
  const line = () => `\n${"  ".repeat(depth)}`;
  while (at < text.length) {
    const sign = text[at];
    if (sign === '"') {
      const from = at;
      for (at += 1; text[at] !== '"'; at += 1) if (text[at] === "\\") at += 1;
      out += text.slice(from, at + 1);
    } else if (sign === "{" || sign === "[") {
      const close = sign === "{" ? "}" : "]";
      const rest = /^\s*/.exec(text.slice(at + 1, at + 1025))[0].length;
      if (text[at + 1 + rest] === close) {
        out += sign + close;
        at += 1 + rest;
      } else {
        depth += 1;
        out += sign + line();
      }
    } else if (sign === "}" || sign === "]") {
      depth -= 1;
      out += line() + sign;
    } else if (sign === ",") {
      out += sign + line();
    } else if (sign === ":") {
      out += ": ";
    } else if (!/\s/.test(sign)) {
      out += sign;
    }
    at += 1;
  }
  return out;
}

// A sample value for a simple schema.
function sample(schema, root, depth = 0) {
  schema = resolved(schema, root);
  if (!schema || schema === true || depth > 8) return null;
  if (schema.enum) return schema.enum[0];
  if (schema.default !== undefined) return schema.default;
  const choice = (schema.anyOf ?? schema.oneOf)?.find((one) => one.type !== "null");
  if (choice) return sample(choice, root, depth + 1);
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

// The schema to which a reference leads.
function resolved(schema, root) {
  for (let hops = 0; schema?.$ref?.startsWith("#/") && hops < 8; hops += 1) {
    const part = (at, name) => at?.[name.replaceAll("~1", "/").replaceAll("~0", "~")];
    schema = schema.$ref.slice(2).split("/").reduce(part, root);
  }
  return schema;
}

// A schema without null, and a flag that states whether it accepts null.
function withoutNull(schema, root) {
  schema = resolved(schema, root);
  const types = [schema?.type].flat();
  if (types.length > 1 && types.includes("null")) {
    const left = types.filter((type) => type !== "null");
    return [{ ...schema, type: left.length === 1 ? left[0] : left }, true];
  }
  const choices = schema?.anyOf ?? schema?.oneOf;
  const left = choices?.filter((one) => one.type !== "null");
  if (choices && left.length === 1 && choices.length === 2) return [resolved(left[0], root), true];
  return [schema, false];
}
