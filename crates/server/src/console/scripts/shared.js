// How a request of the console is authorised: by the cookie, which no script reads, and by the token of the session.
const csrf = document.querySelector('meta[name="iof-csrf"]')?.content ?? "";
// The address of the function whose calls the page makes.
const base = document.getElementById("exports")?.dataset.call ?? "";

// Returns whether the session has a key. The key itself is at the server.
function key() {
  return document.body.dataset.keyed ?? "";
}

function headers(more = {}) {
  return { ...more, "iof-console": csrf };
}

function wantsKey() {
  return false;
}

// Asks the API for something. Throws what it says if it refuses.
async function request(method, path, body, type) {
  const init = { method, headers: headers(type ? { "content-type": type } : {}) };
  if (body !== undefined) init.body = body;
  const response = await fetch(path, init);
  const text = await response.text();
  if (response.ok) return text ? JSON.parse(text) : null;
  if (response.headers.get("iof-fault") === "console-session") location.reload();
  let said = `The server answered ${response.status}.`;
  try {
    said = JSON.parse(text).error;
  } catch { /* not one of its faults */ }
  throw new Error(said);
}
