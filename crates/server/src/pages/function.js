// The page of a function: a form for each of its exports.
const EXPORTS = 30;
const base = location.pathname.replace(/\/try$/, "");
const name = decodeURIComponent(base.split("/").pop());
let left = [];
let loaded = false;

const title = /^\d+$/.test(name) ? `Function ${name}` : name;
document.querySelector("h1").textContent = title;
document.title = `${title} – iof`;
$("document").href = `${base}/openapi.json`;

function more() {
  $("exports").append(...left.splice(0, EXPORTS).map(([path, { post }, root]) => form(path, post, root)));
  $("more").hidden = left.length === 0;
}

async function load() {
  const { response, answer } = await ask(`${base}/openapi.json`);
  $("exports").replaceChildren();
  $("more").hidden = true;
  if (!response.ok) {
    wantsKey(response);
    $("exports").append(element("p", { className: "sheet problem", textContent: answer.error }));
    return;
  }
  loaded = true;
  $("version").textContent = `version ${answer.info.version} · `;
  $("about").textContent = answer.info.description ?? "";
  // Some exports also have an address below /fn, which takes the same.
  const calls = Object.entries(answer.paths).filter(([path]) => path.startsWith("/v1/"));
  left = calls.map(([path, operations]) => [path, operations, answer]);
  if (left.length === 0) $("exports").append(element("p", { className: "sheet", textContent: "It exports nothing that can be called." }));
  more();
}

function reload() {
  load().catch((error) => {
    $("exports").replaceChildren(element("p", { className: "sheet problem", textContent: `The server did not answer: ${error.message}` }));
  });
}

$("more").addEventListener("click", more);
// The contents of the forms are kept.
watchKey(() => {
  if (loaded) document.querySelectorAll(".snippet").forEach((one) => one.dispatchEvent(new Event("toggle")));
  else reload();
});
reload();
