// The functions that the reader may see, page by page.
const ROWS = 50;
// The last number before each earlier page, for going back.
let before = [];
let last = 0;
let asked = 0;

function page(function_) {
  return `/v1/functions/${encodeURIComponent(function_)}/try`;
}

function row(of) {
  const name = of.name ?? String(of.function);
  const title = element("a", { href: page(name), textContent: of.name ?? `function ${of.function}` });
  const head = element("p", { className: "name" }, title);
  if (of.private) head.append(element("span", { className: "tag", textContent: "private" }));
  const calls = of.invocations === 1 ? "1 call" : `${of.invocations.toLocaleString("en")} calls`;
  const facts = element("p", { className: "note", textContent: `version ${of.version}, ${calls}` });
  const row = element("li", {}, head, facts);
  // The API of 2020 writes this if no description was sent.
  if (of.description && of.description !== "undefined") row.append(element("p", { className: "about", textContent: of.description }));
  return row;
}

function say(text, bad = false) {
  $("message").textContent = text;
  $("message").classList.toggle("problem", bad);
  $("message").hidden = !text;
}

// Private functions are shown only to holders of a key for them, even if the server lists all functions to everyone.
function showsPrivate(about) {
  return about.key?.kind === "server" || (about.key?.kind === "made" && about.key.scopes?.includes("read"));
}

async function load() {
  const turn = ++asked;
  const about = (await ask("/v1/server")).answer;
  const query = new URLSearchParams({ after: last, limit: ROWS });
  const filter = $("filter").value.trim().toLowerCase();
  if (filter) query.set("name", filter);
  if (!showsPrivate(about)) query.set("private", "false");
  const { response, answer } = await ask(`/v1/functions?${query}`);
  // The reader requested something else meanwhile.
  if (turn !== asked) return;
  $("dev").hidden = about.dev !== true;
  // The link is shown if there is a console and the reader may use it: on a server without keys, every reader may.
  if ($("console")) $("console").hidden = about.takes_keys && !["server", "made"].includes(about.key?.kind);
  $("functions").replaceChildren();
  $("pager").hidden = true;
  if (!response.ok) {
    wantsKey(response);
    say(key() ? answer.error : "This server lists its functions to holders of a key.", Boolean(key()));
    return;
  }
  const found = answer.functions;
  $("functions").append(...found.map(row));
  $("pager").hidden = !answer.more && before.length === 0;
  $("back").disabled = before.length === 0;
  $("next").disabled = !answer.more;
  $("range").textContent = `page ${before.length + 1}`;
  $("next").dataset.after = found.at(-1)?.function ?? last;
  say(found.length ? "" : filter ? `No function that you may see has “${filter}” in its name.` : "There is no function that you may see.");
}

function failed(error) {
  say(`The server did not answer: ${error.message}`, true);
}

function reload() {
  [before, last] = [[], 0];
  load().catch(failed);
}

let typing;
$("filter").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(reload, 200);
});
$("next").addEventListener("click", () => {
  before.push(last);
  last = Number($("next").dataset.after);
  load().catch(failed);
});
$("back").addEventListener("click", () => {
  last = before.pop() ?? 0;
  load().catch(failed);
});
$("open").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  if (name) location.assign(page(name));
});
watchKey(reload);
reload();
