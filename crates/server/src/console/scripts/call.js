// The forms of a function's exports, as on its page for callers.
const FORMS = 30;

async function startCalls() {
  if (!base) return;
  const { response, answer } = await ask(`${base}/openapi.json`);
  const box = $("exports");
  box.replaceChildren();
  if (!response.ok) {
    box.append(element("p", { className: "alert bad", textContent: answer.error }));
    return;
  }
  const left = Object.entries(answer.paths);
  if (left.length === 0) box.append(element("p", { className: "sheet", textContent: "It has no exports that can be called." }));
  const more = () => {
    box.append(...left.splice(0, FORMS).map(([path, { post }]) => form(path, post, answer)));
    $("more").hidden = left.length === 0;
  };
  $("more").addEventListener("click", more);
  more();
}
