// The palette: Ctrl-K or Cmd-K, a few letters, and Enter. It offers what the page's own links lead to, and the functions of the
// server by name; a second word chooses a page of a function.

// What the page links to: the parts of the console, the pages of this function, and what one can do here.
function placesHere() {
  const found = new Map();
  const add = (selector, kind) => {
    for (const link of document.querySelectorAll(selector)) {
      if (!found.has(link.href)) found.set(link.href, { label: link.textContent.trim(), kind, href: link.href });
    }
  };
  add(".top nav a", "page");
  add('.tabs a[href^="/console"]', document.querySelector("h1")?.textContent ?? "page");
  add("main a.button", "action");
  const out = document.querySelector(".holder button[type=submit]");
  return [...found.values(), { label: out.textContent, kind: "action", run: () => out.click() }];
}

function startPalette() {
  const box = $("palette");
  if (!box) return;
  const [input, list, note] = ["palette-input", "palette-list", "palette-note"].map($);
  const pages = JSON.parse(box.dataset.functions ?? "null");
  let [options, at, asked, waiting] = [[], 0, 0, 0];

  const choose = (next) => {
    at = options.length ? (next + options.length) % options.length : 0;
    for (const [index, one] of [...list.children].entries()) one.setAttribute("aria-selected", String(index === at));
    const chosen = list.children[at];
    if (chosen) input.setAttribute("aria-activedescendant", chosen.id);
    else input.removeAttribute("aria-activedescendant");
    chosen?.scrollIntoView({ block: "nearest" });
  };
  const go = (option) => {
    box.close();
    if (option.run) option.run();
    else location.assign(option.href);
  };
  const show = (found, chosen = 0) => {
    options = found;
    list.replaceChildren(...found.map((option, index) => {
      const one = element("li", { id: `palette-${index}` }, element("span", { textContent: option.label }), element("span", { className: "sub", textContent: option.kind }));
      one.setAttribute("role", "option");
      one.addEventListener("click", () => go(option));
      return one;
    }));
    choose(chosen);
  };
  const here = (words) => placesHere().filter(({ label, kind }) => words.every((word) => `${label} ${kind}`.toLowerCase().includes(word)));
  const ofFunction = ({ function: number, name, description }, rest) => {
    const label = name ?? `function ${number}`;
    const href = `/console/functions/${number}`;
    if (!rest.length) return [{ label, kind: description && description !== "undefined" ? description : "function", href }];
    const wanted = pages.filter(([, page]) => rest.every((word) => page.toLowerCase().includes(word)));
    return wanted.map(([path, page]) => ({ label: `${label}: ${page}`, kind: "function", href: path ? `${href}/${path}` : href }));
  };
  const search = async () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const mine = (asked += 1);
    const places = here(words);
    clearTimeout(waiting);
    note.textContent = "";
    show(places);
    if (!pages || !words.length) return;
    // Not for each letter of a word that is typed at once.
    await new Promise((done) => { waiting = setTimeout(done, 120); });
    try {
      const { functions, more } = await request("GET", `/v1/functions?limit=12&name=${encodeURIComponent(words[0])}`);
      // What was typed since has an answer of its own.
      if (mine !== asked) return;
      const found = [...places, ...functions.flatMap((one) => ofFunction(one, words.slice(1)))];
      // Those of the page stay before those of the server, and what is chosen with them.
      show(found, at);
      note.textContent = more ? "More functions match." : found.length ? "" : "Nothing found.";
    } catch (error) {
      if (mine === asked) note.textContent = error.message;
    }
  };
  const open = () => {
    input.value = "";
    box.showModal();
    input.focus();
    search();
  };

  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) choose(at + step);
    else if (event.key === "Enter" && options[at]) go(options[at]);
    else return;
    event.preventDefault();
  });
  // A press beside it closes it.
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.querySelector("[data-palette]").addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "k") return;
    event.preventDefault();
    if (box.open) box.close();
    else open();
  });
}
