// node pages.mjs SERVER PAGES KEYS: attacks a server from a page of another origin, from links, frames and forms, and
// under a name that leads to it. KEYS says whether the server has keys. Function 1 has a script as its state.
// Chromium is the system's: IOF_CHROMIUM, or /usr/bin/chromium.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [server, pages, with_keys] = process.argv.slice(2);
const keys = with_keys === "true";
const port = (url) => new URL(url).port;
const evil = `http://evil.test:${port(pages)}/`;
const browser = await chromium.launch({
  executablePath: process.env.IOF_CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--host-resolver-rules=MAP evil.test 127.0.0.1, MAP rebound.test 127.0.0.1",
  ],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  const script = "<script>document.title='ran'</script>";
  const reflected = encodeURIComponent(script);

  // Links: reflected and stored.
  for (const path of [
    `/api/state/${reflected}`, "/api/state/1", "/api/ephemeral_storage/stored", `/api/executables/${reflected}`,
    `/api/${reflected}`, `/api/run/1/${reflected}`, `/api/log/${reflected}`,
  ]) {
    await page.goto(server + path);
    assert.notEqual(await page.title(), "ran", `a script of ${path} ran`);
  }

  // A form that a page fills in and sends: its answer is a function's result.
  await page.goto(evil);
  await Promise.all([
    page.waitForURL(`${server}/**`),
    page.evaluate(([url, script]) => {
      const form = document.createElement("form");
      Object.assign(form, { method: "post", enctype: "text/plain", action: url });
      const field = document.createElement("input");
      Object.assign(field, { name: "a", value: script });
      form.append(field);
      document.body.append(form);
      form.submit();
    }, [`${server}/api/run/1/echo`, script]),
  ]);
  assert.ok((await page.content()).includes("a="), "the function ran");
  assert.notEqual(await page.title(), "ran", "a script of a result ran");

  // A form that deploys.
  await page.goto(evil);
  const [deployed] = await Promise.all([
    page.waitForResponse((response) => response.url().startsWith(server)),
    page.waitForURL(`${server}/**`),
    page.evaluate((url) => {
      const form = document.createElement("form");
      Object.assign(form, { method: "post", enctype: "multipart/form-data", action: url });
      document.body.append(form);
      form.submit();
    }, `${server}/v1/functions`),
  ]);
  assert.equal(deployed.status(), 403);

  // Frames: none is shown, and none speaks.
  await page.goto(evil);
  const heard = await page.evaluate(async (urls) => {
    const heard = [];
    addEventListener("message", (event) => heard.push(`${event.origin}: ${event.data}`));
    for (const url of urls) {
      const frame = document.createElement("iframe");
      frame.src = url;
      document.body.append(frame);
    }
    await new Promise((done) => setTimeout(done, 1_500));
    return heard;
  }, ["/api/state/1", "/api/ephemeral_storage/stored", "/v1/functions/1/try", "/v1/functions"].map((path) => server + path));
  assert.deepEqual(heard, []);

  // Requests: what can be read.
  const read = (list) => page.evaluate(async (list) => {
    const outcomes = {};
    for (const [name, url, init] of list) {
      outcomes[name] = await fetch(url, init).then((answer) => answer.status, () => "blocked");
    }
    return outcomes;
  }, list);
  const json = { "content-type": "application/json" };
  const octets = { "content-type": "application/octet-stream" };
  const outcomes = await read([
    ["run", `${server}/api/run/1/say`, { method: "POST", headers: { "content-type": "text/plain" }, body: "x" }],
    ["run with a header", `${server}/api/run/1/say`, { method: "POST", headers: { "ssvm-usage-key": "x", ...octets }, body: "x" }],
    ["list", `${server}/api/executables`],
    ["source", `${server}/api/executables/1`],
    ["state", `${server}/api/state/1`],
    ["index", `${server}/`],
    ["nowhere", `${server}/nowhere`],
    ["upload", `${server}/api/executables`, { method: "POST", headers: octets, body: new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]) }],
    ["read ephemeral", `${server}/api/ephemeral_storage/stored`],
    ["write ephemeral", `${server}/api/ephemeral_storage/mine`, { method: "PUT", headers: json, body: "{}" }],
    ["delete ephemeral", `${server}/api/ephemeral_storage/stored`, { method: "DELETE" }],
    ["log", `${server}/api/log/1`],
    ["v1", `${server}/v1/functions`],
    ["v1 call", `${server}/v1/functions/1/call/say`, { method: "POST", body: "x" }],
    ["v1 openapi", `${server}/v1/openapi.json`],
    ["health", `${server}/healthz`],
    ["no-cors upload", `${server}/api/executables`, { method: "POST", mode: "no-cors", body: new Blob([new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])]) }],
  ]);
  const refused = keys ? 401 : "blocked";
  const open = keys ? 200 : "blocked";
  assert.deepEqual(outcomes, {
    run: 200,
    "run with a header": 200,
    list: refused,
    source: refused,
    state: open,
    index: open,
    nowhere: keys ? 404 : "blocked",
    upload: refused,
    "read ephemeral": refused,
    "write ephemeral": refused,
    "delete ephemeral": refused,
    log: open,
    v1: "blocked",
    "v1 call": "blocked",
    "v1 openapi": "blocked",
    health: "blocked",
    // Opaque to the page, and refused by the server: no type of a module.
    "no-cors upload": 0,
  });

  // Under a name of the attacker's that leads here: to the browser, that is one origin with its page.
  const rebound = `http://rebound.test:${port(server)}`;
  const answer = await page.goto(`${rebound}/v1/functions`);
  assert.equal(answer.status(), keys ? 401 : 421);
  const within = await page.evaluate(async (paths) => {
    const statuses = [];
    for (const path of paths) statuses.push(await fetch(path).then((answer) => answer.status, () => "blocked"));
    return statuses;
  }, ["/v1/functions", "/api/executables", "/api/state/1"]);
  assert.deepEqual(within, ["blocked", "blocked", "blocked"], "the policy of the page that is there");
  console.log("the page ran functions, and did nothing else");
} finally {
  await browser.close();
}
