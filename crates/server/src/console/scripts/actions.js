// Forms that ask the API for something: `data-action` is the method, `data-path` the address, `data-json` what the body
// begins with. `data-done` is what comes then: nothing shows the page again, a path leads there.

function bodyOf(made) {
  if (made.dataset.body) return [made.elements[made.dataset.body].value, "text/plain; charset=utf-8"];
  if (!made.dataset.json) return [undefined, undefined];
  const body = JSON.parse(made.dataset.json);
  for (const input of made.elements) {
    if (!input.name) continue;
    const value = input.value.trim();
    switch (input.dataset.type) {
      case "number": body[input.name] = Number(value); break;
      case "list": {
        body[input.name] ??= [];
        if (input.checked) body[input.name].push(input.value);
        break;
      }
      case "time": if (value) body[input.name] = new Date(value).toISOString(); break;
      case "optional": if (value) body[input.name] = value; break;
      default: body[input.name] = input.value;
    }
  }
  return [JSON.stringify(body), "application/json"];
}

function pathOf(made) {
  return made.dataset.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(made.elements[name].value.trim()));
}

// Returns whether the reader has to press once more.
function unsure(made, button) {
  if (!made.dataset.confirm || made.dataset.sure) return false;
  const label = button.textContent;
  made.dataset.sure = "yes";
  button.textContent = made.dataset.confirm;
  button.classList.add("bad");
  setTimeout(() => {
    delete made.dataset.sure;
    button.textContent = label;
    button.classList.remove("bad");
  }, 4_000);
  return true;
}

function sayIn(made, text, bad) {
  const box = made.querySelector(".outcome");
  box.classList.toggle("bad", bad);
  box.replaceChildren(text);
}

// A key that is shown this once.
function once(made, name, value) {
  const copy = element("button", { type: "button", className: "quiet", textContent: "Copy" });
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(value);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(made.querySelector(".outcome code"));
      copy.textContent = "Selected";
    }
  });
  const note = element("p", { className: "note", textContent: `The ${name}. It is shown only once.` });
  sayIn(made, element("div", { className: "once" }, note, element("code", { textContent: value }), copy), false);
}

function replayed({ recorded, replayed: now, same, differences }) {
  const box = $("replayed");
  const shown = (value) => element("pre", { textContent: typeof value === "string" ? value : JSON.stringify(value, null, 2) });
  const head = same ? "the same as the recorded call" : differences.length === 1 ? "1 difference" : `${differences.length} differences`;
  const rows = differences.map((one) => element("tr", {}, element("td", { textContent: one.what }), element("td", {}, shown(one.recorded)), element("td", {}, shown(one.replayed))));
  const cells = ["", `Recorded, version ${recorded.version}`, `Replayed, version ${now.version}`].map((textContent) => element("th", { scope: "col", textContent }));
  box.replaceChildren(element("h2", { textContent: `Replay on version ${now.version}: ${head}` }));
  if (same) box.append(shown(now.ended));
  else box.append(element("div", { className: "scroll", tabIndex: 0 }, element("table", {}, element("thead", {}, element("tr", {}, ...cells)), element("tbody", {}, ...rows))));
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
}

async function act(made, button) {
  if (made.dataset.same && made.querySelector("[data-repeat]").value !== made.dataset.same) {
    return sayIn(made, `Type ${made.dataset.same} first.`, true);
  }
  if (unsure(made, button)) return;
  button.disabled = true;
  try {
    const [body, type] = bodyOf(made);
    const answer = await request(made.dataset.action, pathOf(made), body, type);
    const done = made.dataset.done ?? "";
    sayIn(made, "", false);
    if (done.startsWith("/")) location.assign(done);
    else if (done === "replay") replayed(answer);
    else if (done) once(made, done === "key" ? `key ${answer.label}` : "admin key", answer[done]);
    else location.reload();
  } catch (error) {
    sayIn(made, error.message, true);
  } finally {
    button.disabled = false;
  }
}

function startActions() {
  document.addEventListener("submit", (event) => {
    const made = event.target;
    if (!made.dataset.action) return;
    event.preventDefault();
    act(made, event.submitter ?? made.querySelector("button[type=submit]"));
  });
  document.addEventListener("input", (event) => {
    if (event.target.type !== "range") return;
    event.target.form.querySelector("output").textContent = event.target.value;
  });
}
