// The deploy of a module: files that are dropped or chosen, sent with their progress, and what the server made of them.

function give(input, file) {
  const files = new DataTransfer();
  files.items.add(file);
  input.files = files.files;
}

function drops(made) {
  const box = made.querySelector(".drop");
  const part = (name) => made.querySelector(`[data-part="${name}"]`);
  const over = (on) => (event) => {
    event.preventDefault();
    box.classList.toggle("over", on);
  };
  box.addEventListener("dragenter", over(true));
  box.addEventListener("dragover", over(true));
  box.addEventListener("dragleave", over(false));
  box.addEventListener("drop", (event) => {
    over(false)(event);
    for (const file of event.dataTransfer.files) give(part(/\.(toml|json)$/i.test(file.name) ? "function" : "module"), file);
  });
}

function deployPath(made) {
  const query = new URLSearchParams(made.querySelector("[data-rollout]")?.value ?? "");
  for (const input of made.querySelectorAll("[data-query]")) {
    const value = input.type === "checkbox" ? (input.checked ? "true" : "") : input.value.trim();
    if (value) query.set(input.dataset.query, value);
  }
  return query.size ? `${made.dataset.deploy}?${query}` : made.dataset.deploy;
}

// The body of the request: a form of both files, or only the module.
function deployBody(made) {
  const [module, declaration] = ["module", "function"].map((name) => made.querySelector(`[data-part="${name}"]`).files[0]);
  if (!module) throw new Error("The module is missing. Drop a .wasm file, or choose one.");
  if (!declaration) return [module, "application/wasm"];
  const body = new FormData();
  body.append("module", module);
  body.append("function", declaration);
  return [body, null];
}

function sent(made, path, body, type) {
  const bar = made.querySelector("progress");
  return new Promise((done, failed) => {
    const asked = new XMLHttpRequest();
    asked.open("POST", path);
    for (const [name, value] of Object.entries(headers(type ? { "content-type": type } : {}))) asked.setRequestHeader(name, value);
    asked.upload.onprogress = ({ loaded, total }) => { bar.value = total ? loaded / total : 0; };
    asked.onload = () => {
      let answer = { error: `The server answered ${asked.status}.` };
      try {
        answer = JSON.parse(asked.responseText);
      } catch { /* not one of its answers */ }
      if (asked.status === 201) done(answer);
      else failed(new Error(answer.error));
    };
    asked.onerror = () => failed(new Error("The server did not answer."));
    bar.hidden = false;
    asked.send(body);
  });
}

function deployed(made, { function: number, name, version, exports, warnings, secrets_not_set: missing, admin_key: admin }) {
  const facts = element("dl", { className: "facts" });
  const fact = (title, text) => facts.append(element("dt", { textContent: title }), element("dd", { textContent: text }));
  fact("Function", name ? `${name}, number ${number}` : `number ${number}`);
  fact("Version", String(version));
  fact("Exports", exports.length ? exports.join(", ") : "none that can be called");
  for (const warning of warnings ?? []) fact("Warning", warning);
  if (missing.length) fact("Not set yet", `the secrets ${missing.join(", ")}`);
  const link = element("a", { href: `/console/functions/${number}`, textContent: "Open the function" });
  const box = element("div", { className: "deployed" }, element("h2", { textContent: "Deployed" }), facts);
  sayIn(made, box, false);
  if (admin) {
    const note = element("p", { className: "note", textContent: "Its admin key changes and deletes it. It is shown only once." });
    box.append(element("div", { className: "once" }, note, element("code", { textContent: admin })));
  }
  box.append(element("p", {}, link));
}

function startDeploy() {
  for (const made of document.querySelectorAll("form[data-deploy]")) {
    drops(made);
    const button = made.querySelector("button[type=submit]");
    made.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      sayIn(made, "", false);
      try {
        const [body, type] = deployBody(made);
        deployed(made, await sent(made, deployPath(made), body, type));
      } catch (error) {
        sayIn(made, error.message, true);
      } finally {
        button.disabled = false;
        made.querySelector("progress").hidden = true;
      }
    });
  }
}
