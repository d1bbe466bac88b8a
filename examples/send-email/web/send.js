// The form of the functions send_email and send_mail. Nothing that a server says is ever put into the page as markup.
const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
// The token is asked for, unless the link names the function to which the server's operator gave one.
const asksToken = query.get("function") !== "send_mail";
const MESSAGE = ["from", "token", "to", "subject", "mime", "body"].filter((name) => asksToken || name !== "token");
const NEEDS = {
  from: "Who is the mail from?",
  to: "Who gets the mail?",
  token: "The mail service needs a token.",
  subject: "A subject, please.",
  body: "There is no message yet.",
  server: "The address of the server, such as http://127.0.0.1:8080.",
  id: "The number that the upload answered as wasm_id.",
};

if (!asksToken) {
  delete NEEDS.token;
  $("token-field").hidden = true;
  $("function").textContent = "send_mail";
}
$("server").value = query.get("server") ?? (location.protocol.startsWith("http") ? location.origin : "");
$("id").value = query.get("id") ?? "";
for (const name of MESSAGE) if (name !== "token" && query.has(name)) $(name).value = query.get(name);
$("where").open = !query.has("id");
showWhere();
for (const name of ["server", "id"]) $(name).addEventListener("input", showWhere);
for (const name of Object.keys(NEEDS)) $(name).addEventListener("input", () => problem(name, ""));
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!$("send").disabled && complete()) send();
});

function showWhere() {
  $("where-now").textContent = $("id").value ? `${$("id").value} at ${$("server").value}` : "";
}

function problem(name, text) {
  const field = $(name);
  const shown = $(`${name}-problem`);
  shown.textContent = text;
  shown.hidden = !text;
  field.setAttribute("aria-invalid", text ? "true" : "false");
  field.setAttribute("aria-errormessage", shown.id);
}

function complete() {
  let first;
  for (const name of Object.keys(NEEDS)) {
    const field = $(name);
    const wrong = !field.value.trim() || (field.type === "url" && !field.validity.valid);
    const badAddress = !wrong && field.type === "email" && !field.validity.valid;
    problem(name, wrong ? NEEDS[name] : badAddress ? "This is not an email address." : "");
    if (wrong || badAddress) first ??= field;
  }
  if (!first) return true;
  if ($("where").contains(first)) $("where").open = true;
  first.focus();
  return false;
}

async function send() {
  const message = Object.fromEntries(MESSAGE.map((name) => [name, $(name).value]));
  const server = $("server").value.trim().replace(/\/+$/, "");
  const url = `${server}/api/run/${encodeURIComponent($("id").value.trim())}/${asksToken ? "send_email" : "send_mail"}`;
  $("send").disabled = true;
  $("send-label").textContent = "Sending…";
  $("result").hidden = true;
  try {
    // text/plain keeps this a simple request: the browser asks no permission of the server beforehand.
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "text/plain" },
      body: JSON.stringify(message),
    });
    report(response, await response.text(), message.to);
  } catch (error) {
    show("network", "The server did not answer", `${server} could not be reached, or does not let this page call it.`, {
      facts: { "browser says": error.message },
    });
  } finally {
    $("send").disabled = false;
    $("send-label").textContent = "Send";
  }
}

// An answer is the function's own only when the server says so: `iof-status` is the true status of the call, while
// the HTTP status of /api is 200 for failures too, as clients of 2020 expect.
function report(response, answer, to) {
  const header = (name) => response.headers.get(name);
  const fault = header("iof-fault");
  const status = Number(header("iof-status") ?? response.status);
  const facts = { call: header("iof-call") };
  if (fault || !response.ok || status >= 400) {
    show("fault", "The mail was not sent", header("iof-message") ?? `The server answered ${status}.`, {
      answer,
      facts: { fault, status, ...facts },
    });
  } else if (answer === "") {
    show("sent", "The mail is sent", `It is on its way to ${to}. Check the inbox.`, { facts });
  } else if (/^-?\d+$/.test(answer)) {
    show("answer", "The mail was not sent", "The function could not reach the mail service. Its command ended with the status:", { answer, facts });
  } else {
    show("answer", "The mail was not sent", "The mail service or the function answered:", { answer: pretty(answer), facts });
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function show(kind, title, text, { answer = "", facts = {} } = {}) {
  $("result").dataset.kind = kind;
  $("result-title").textContent = title;
  $("result-text").textContent = text;
  $("result-answer").textContent = answer;
  $("result-answer").hidden = !answer;
  const list = $("result-facts");
  list.replaceChildren();
  for (const [name, value] of Object.entries(facts)) {
    if (value === null || value === undefined || value === "") continue;
    const term = document.createElement("dt");
    const detail = document.createElement("dd");
    term.textContent = name;
    detail.textContent = value;
    list.append(term, detail);
  }
  list.hidden = !list.childElementCount;
  $("result").hidden = false;
  $("result").focus({ preventScroll: true });
  $("result").scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}
