// A page that stays up to date: when the server says that there is something new, the page is read again, and what differs
// in its live parts is put in place. The server makes all of it, so nothing here makes markup.

// Times in the zone of the reader, as wide as they came.
function localTimes(root) {
  for (const one of root.querySelectorAll("time[datetime]")) {
    const at = new Date(one.getAttribute("datetime"));
    if (Number.isNaN(at.getTime())) continue;
    const two = (number) => String(number).padStart(2, "0");
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const shown = one.dataset.recent === undefined ? day : day.slice(5);
    one.textContent = `${shown} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    one.title = at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
  }
}

// Makes `now` like `next`. Nodes that stay the same stay, and with them the focus, a selection, and what is open.
function become(now, next) {
  if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName) {
    now.replaceWith(document.importNode(next, true));
    return;
  }
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue;
    return;
  }
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name) && name !== "open") now.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (name !== "open" && now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  const known = new Map([...now.children].filter((one) => one.id).map((one) => [one.id, one]));
  let place = now.firstChild;
  for (const one of [...next.childNodes]) {
    const same = one.id ? known.get(one.id) : null;
    if (same) {
      if (same !== place) now.insertBefore(same, place);
      become(same, one);
      place = same.nextSibling;
    } else if (!one.id && place && !place.id) {
      const after = place.nextSibling;
      become(place, one);
      place = after;
    } else {
      now.insertBefore(document.importNode(one, true), place);
    }
  }
  while (place) {
    const after = place.nextSibling;
    place.remove();
    place = after;
  }
}

function readAgain() {
  return new Promise((done, failed) => {
    const asked = new XMLHttpRequest();
    asked.open("GET", location.href);
    // A page that is only left open does not keep its session.
    asked.setRequestHeader("iof-live", "1");
    asked.responseType = "document";
    asked.onload = () => {
      if (asked.status === 401) location.reload();
      else if (asked.status === 200 && asked.response) done(asked.response);
      else failed(new Error(`The server answered ${asked.status}.`));
    };
    asked.onerror = () => failed(new Error("The server did not answer."));
    asked.send();
  });
}

let reading = false;

async function refresh() {
  if (reading || document.hidden) return;
  reading = true;
  try {
    const next = await readAgain();
    localTimes(next);
    for (const now of document.querySelectorAll("[data-live]")) {
      const part = next.getElementById(now.id);
      if (part) become(now, part);
    }
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  } finally {
    reading = false;
  }
}

function follow() {
  const address = document.body.dataset.events;
  if (!address) return;
  const events = new EventSource(address);
  events.addEventListener("new", refresh);
  events.addEventListener("error", () => {
    document.body.classList.add("stale");
    // The browser tries again by itself, unless it was refused: then the page finds out why.
    if (events.readyState !== EventSource.CLOSED) return;
    setTimeout(() => {
      refresh();
      follow();
    }, 5_000);
  });
}
