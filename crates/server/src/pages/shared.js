// What both pages have: elements, and the key that goes with requests. Nothing that a server says becomes markup.
const $ = (id) => document.getElementById(id);
const KEY = "iof-key";

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// A browser may keep nothing; the key is then in the field only.
const kept = {
  get: () => { try { return sessionStorage.getItem(KEY) ?? ""; } catch { return ""; } },
  set: (key) => { try { key ? sessionStorage.setItem(KEY, key) : sessionStorage.removeItem(KEY); } catch { /* in the field only */ } },
};

function key() {
  return $("key").value.trim();
}

function headers(more = {}) {
  return key() ? { ...more, authorization: `Bearer ${key()}` } : more;
}

// Asks the server. The body is JSON whether it went well or not.
async function ask(path) {
  const response = await fetch(path, { headers: headers() });
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  return { response, answer };
}

// Calls `changed` when the reader gives another key, or none.
function watchKey(changed) {
  const note = () => { $("key-state").textContent = key() ? "in use" : "none"; };
  const set = () => { kept.set(key()); note(); changed(); };
  $("key").value = kept.get();
  note();
  $("key").addEventListener("change", set);
  $("key").addEventListener("keydown", (event) => { if (event.key === "Enter") $("key").blur(); });
  $("forget").addEventListener("click", () => { $("key").value = ""; set(); });
}

// Opens the field for the key where the server wants one.
function wantsKey(response) {
  const wants = response.status === 403 || response.headers.has("www-authenticate");
  if (wants) $("key-sheet").open = true;
  return wants;
}
