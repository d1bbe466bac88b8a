// The key that a page stores and sends with its requests.
const KEY = "iof-key";

// If the browser stores nothing, the key is only in the field.
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

// Calls `changed` when the reader enters another key, or removes it.
function watchKey(changed) {
  const note = () => { $("key-state").textContent = key() ? "in use" : "none"; };
  const set = () => { kept.set(key()); note(); changed(); };
  $("key").value = kept.get();
  note();
  $("key").addEventListener("change", set);
  $("key").addEventListener("keydown", (event) => { if (event.key === "Enter") $("key").blur(); });
  $("forget").addEventListener("click", () => { $("key").value = ""; set(); });
}

// Opens the field for the key if the server requires one.
function wantsKey(response) {
  const wants = response.status === 403 || response.headers.has("www-authenticate");
  if (wants) $("key-sheet").open = true;
  return wants;
}
