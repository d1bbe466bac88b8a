// node console.mjs URL KEY NAME MODULE NEXT DECLARATION: walks the console as a person does. KEY is a key of the server, NAME a
// function whose calls are recorded, MODULE and NEXT the files of two modules, DECLARATION that of a function.toml.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { accessible, noted, withPage } from "./page.mjs";

const [url, key, name, module, next, declaration] = process.argv.slice(2);
const api = async (method, path, body, more = {}) => {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", ...more };
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  return answer.text();
};

await withPage(async (page) => {
  const main = page.locator("main");
  const button = (label) => main.getByRole("button", { name: label, exact: true });
  const tab = async (label) => {
    await page.getByRole("navigation", { name: "Function" }).getByRole("link", { name: label, exact: true }).click();
    await page.waitForLoadState();
  };
  const place = (label) => page.getByRole("navigation", { name: "Console" }).getByRole("link", { name: label, exact: true }).click();

  // Sign in, with the keyboard only.
  await page.goto(`${url}/console/functions`);
  await page.locator("#key").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "key");
  await page.keyboard.type("wrong key");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  await page.keyboard.type(key);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${url}/console/functions`);
  assert.equal(await page.evaluate(() => document.cookie), "", "no script reads the cookie");
  assert.ok(!(await page.content()).includes(key), "the key is not in the page");
  // The first press of Tab leads past the navigation.
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");

  // The list, and a search.
  await main.getByRole("link", { name, exact: true }).waitFor();
  await page.getByRole("searchbox").fill("no such");
  await page.keyboard.press("Enter");
  await page.getByText("No function has a name with “no such” in it.").waitFor();
  await accessible(page, "nothing found");

  // The overview stays up to date by itself.
  await place("Overview");
  await main.locator(".figure", { hasText: "Health" }).getByText("ready").waitFor();
  const faults = main.locator("#fault-table tbody tr");
  const before = await faults.count();
  await page.evaluate(() => { window.same = document.querySelector("#overview"); });
  await api("POST", `/v1/functions/${name}/call/fail_text`, { message: "<b>in the overview</b>" });
  await main.getByText("<b>in the overview</b>").first().waitFor();
  assert.ok((await faults.count()) >= Math.min(before + 1, 8));
  assert.ok(await page.evaluate(() => window.same === document.querySelector("#overview")), "the page was not loaded again");
  // Nothing moves when the page is brought up to date.
  const shifts = await noted(page, "layout-shift", 3_000);
  assert.ok(shifts < 0.02, `the page moved by ${shifts}`);

  // A deploy by drop, as a new function.
  await place("Functions");
  await main.getByRole("link", { name: "Deploy", exact: true }).click();
  await button("Deploy").click();
  await main.getByText("The module is missing").waitFor();
  const dropped = await page.evaluateHandle(([files]) => {
    const data = new DataTransfer();
    for (const [of, base64, type] of files) {
      const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
      data.items.add(new File([bytes], of, { type }));
    }
    return data;
  }, [[module, declaration].map((file) => [basename(file), readFileSync(file).toString("base64"), ""])]);
  await page.dispatchEvent(".drop", "drop", { dataTransfer: dropped });
  assert.equal(await page.locator("#module").evaluate((input) => input.files[0].name), basename(module));
  await main.locator("#name").fill("dropped");
  await button("Deploy").click();
  await main.getByRole("heading", { name: "Deployed" }).waitFor();
  assert.match(await main.locator(".deployed").innerText(), /dropped, number \d+[\s\S]*admin key/i);
  await accessible(page, "deployed");
  await main.getByRole("link", { name: "Open the function" }).click();
  await page.getByRole("heading", { name: "dropped", exact: true }).waitFor();

  // Two more versions: a canary, whose part is set with the keyboard, and one that is not run.
  await tab("Versions");
  const deployNext = async (rollout) => {
    await page.locator("#module").setInputFiles(next);
    await page.locator("#rollout").selectOption({ label: rollout });
    await button("Deploy").click();
    await main.getByRole("heading", { name: "Deployed" }).waitFor();
    await page.reload();
  };
  await deployNext("10 % of the calls, as a canary");
  await main.getByText("canary 10 %").waitFor();
  await main.getByRole("link", { name: "with 1", exact: true }).click();
  const difference = main.locator("#difference");
  await difference.waitFor();
  assert.match(await difference.innerText(), /function\.toml[\s\S]*none: the server's defaults/);
  await tab("Overview");
  await page.locator("#percent").focus();
  for (let presses = 0; presses < 20; presses += 1) await page.keyboard.press("ArrowRight");
  assert.equal(await page.locator("output").innerText(), "30");
  await button("Set").click();
  await page.locator("#rollout td", { hasText: "30 %" }).waitFor();
  assert.match(await page.locator("#rollout").innerText(), /active\s+70 %/);
  await button("Promote the canary").click();
  await page.getByText("All calls run version 2.").waitFor();
  await tab("Versions");
  await button("Roll back").click();
  await page.locator("#versions tbody tr").nth(1).filter({ hasText: "active" }).waitFor();

  // A call by its form, and its row in the log, which follows.
  await place("Functions");
  await main.getByRole("link", { name, exact: true }).click();
  await tab("Call");
  const form = page.locator("form", { has: page.getByRole("heading", { name: "shout", exact: true }) });
  while (!(await form.isVisible())) await button("Show more exports").click();
  await form.locator("textarea").fill("from the console");
  await form.getByRole("button", { name: "Call", exact: true }).click();
  await form.getByText("FROM THE CONSOLE").waitFor();
  await form.getByText("CPU time").waitFor();
  // An earlier call is filled in once more.
  await form.locator("textarea").fill("something else");
  await form.locator("summary", { hasText: "Earlier calls" }).click();
  await form.getByText(/: 200, [\d.]+ ms$/).waitFor();
  await form.getByRole("button", { name: "Fill in" }).click();
  assert.equal(await form.locator("textarea").inputValue(), "from the console");
  await form.locator("summary", { hasText: "curl" }).click();
  const snippet = form.locator(".snippet pre").first();
  await snippet.filter({ hasText: "curl" }).waitFor();
  const line = await snippet.innerText();
  assert.ok(line.includes("$IOF_KEY") && !line.includes(key), line);
  await accessible(page, "call");
  await tab("Log");
  const rows = page.locator("#log tbody tr");
  await rows.first().waitFor();
  await page.evaluate(() => { window.same = document.querySelector("#log"); });
  await api("POST", `/v1/functions/${name}/call/panics`, { message: "<i>followed</i>" });
  await page.locator("#log tbody tr").first().filter({ hasText: "<i>followed</i>" }).waitFor();
  assert.ok(await page.evaluate(() => window.same === document.querySelector("#log")), "the page was not loaded again");
  await page.getByLabel("Faults only").check();
  await button("Search").click();
  await rows.first().waitFor();
  assert.ok((await rows.locator(".state").allInnerTexts()).every((text) => text !== "ok"));

  // The latency of this function as a map, as the overview has it of all.
  await tab("Overview");
  await page.locator("#summary svg.map rect").first().waitFor();
  assert.match(await page.locator("#summary svg.map").getAttribute("aria-label"), /^Latency: [1-9]\d* calls$/);

  // A recording, run again.
  await tab("Recordings");
  await button("Replay on 1").first().click();
  await page.getByRole("heading", { name: /^Replay on version 1: the same/ }).waitFor();
  await accessible(page, "replayed");
  await tab("Outbound");
  await main.getByText("The function has sent no request").waitFor();

  // Jobs: one that failed is retried, and its retry appears by itself. One job runs, so that another waits and is cancelled.
  await tab("Jobs");
  const job = (state) => main.locator("#job-table tbody tr").filter({ has: page.locator(".state", { hasText: state }) });
  const jobs = await main.locator("#job-table tbody tr").count();
  await accessible(page, "jobs");
  await job("done, failed").getByRole("button", { name: /^Retry job/ }).first().click();
  await page.waitForFunction((count) => document.querySelectorAll("#job-table tbody tr").length > count, jobs);
  await page.goto(`${url}/console/functions/spinner/jobs`);
  for (const _ of [1, 2]) await api("POST", "/v1/functions/spinner/call/spin", undefined, { prefer: "respond-async" });
  await page.reload();
  await job("running").getByText("cannot be cancelled").waitFor();
  await job("queued").getByRole("button", { name: /^Cancel job/ }).click();
  await job("queued").waitFor({ state: "detached" });

  // Schedules: with their next times, paused and resumed; the name has signs that a path and a page have to escape.
  await page.goto(`${url}/console/functions/${name}/jobs`);
  await tab("Schedules");
  const schedule = main.locator("#schedules tbody tr", { hasText: "new/year <1>" });
  assert.equal(await schedule.locator("time").count(), 5);
  await accessible(page, "schedules");
  await schedule.getByRole("button", { name: "Pause schedule new/year <1>" }).click();
  await schedule.getByText("paused", { exact: true }).waitFor();
  assert.equal(await schedule.locator("time").count(), 0);
  await accessible(page, "a paused schedule");
  await schedule.getByRole("button", { name: "Resume schedule new/year <1>" }).click();
  await schedule.getByText("paused", { exact: true }).waitFor({ state: "detached" });

  // Stored values: found by the beginning of their keys, shown in three forms, deleted.
  await page.goto(`${url}/console/functions/${name}/storage`);
  await main.getByRole("searchbox").fill("users/");
  await page.keyboard.press("Enter");
  await page.waitForURL(/prefix=users/);
  assert.equal(await main.locator("#values tbody tr").count(), 2);
  await main.getByRole("link", { name: "users/<b>1</b>", exact: true }).click();
  const value = page.locator("#value");
  await value.getByText('"mail": "<i>ada@example.com</i>"').waitFor();
  await accessible(page, "a value");
  await value.getByRole("link", { name: "hex", exact: true }).click();
  await value.locator("pre", { hasText: /^00000000 {2}7b 22/ }).waitFor();
  await value.getByRole("link", { name: "text", exact: true }).click();
  await value.getByText('{"mail":"<i>ada@example.com</i>"}').waitFor();
  await main.locator("#values tr", { hasText: "users/2" }).getByRole("button").click();
  await button("Really delete?").click();
  await page.waitForFunction(() => document.querySelectorAll("#values tbody tr").length === 1);

  // A secret, set and deleted; it is never shown.
  await tab("Secrets");
  await page.locator("#secret").fill("API_TOKEN");
  await page.locator("#value").fill("never shown");
  await button("Set").click();
  await main.locator("#secrets code", { hasText: "API_TOKEN" }).waitFor();
  assert.ok(!(await page.content()).includes("never shown"));
  await button("Delete").click();
  await button("Really delete?").click();
  await page.getByText("No secrets are set.").waitFor();

  // A key, made and deleted.
  await place("Keys");
  await page.locator("#label").fill("<b>for a test</b>");
  await page.locator("#function").fill(name);
  await page.getByLabel(/^read/).check();
  await button("Create").click();
  const made = await main.locator(".once code").innerText();
  assert.match(made, /^iof_/);
  await accessible(page, "a new key");
  await page.reload();
  assert.ok(!(await page.content()).includes(made), "it is shown once");
  await main.locator("tr", { hasText: "<b>for a test</b>" }).getByRole("button").click();
  await button("Really delete?").click();
  await page.getByText("No keys yet.").waitFor();

  // The audit log has all of it, with the key and the surface.
  await place("Audit");
  const changes = main.locator("#changes tbody tr");
  for (const [action, function_] of [["key.delete", "the server"], ["secret.set", name], ["version.promote", "dropped"], ["function.create", "dropped"], ["value.delete", name]]) {
    const row = changes.filter({ hasText: action }).filter({ hasText: function_ }).first();
    assert.match(await row.innerText(), /key 1 of the server\s+console/, action);
  }
  await accessible(page, "audit");

  // The palette, with the keyboard only: a page, a function, a page of a function; and a press beside it.
  const palette = page.getByRole("dialog", { name: "Go to" });
  const options = palette.getByRole("option");
  const type = async (text) => {
    await page.keyboard.press("Control+K");
    assert.equal(await page.evaluate(() => document.activeElement.id), "palette-input");
    await page.keyboard.type(text);
  };
  await type("outb");
  await options.filter({ hasText: /^Outbound/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(`${url}/console/outbound`);
  await type(name.slice(1, 5));
  await options.filter({ hasText: name }).waitFor();
  await accessible(page, "palette");
  assert.equal(await options.first().getAttribute("aria-selected"), "true");
  await page.keyboard.press("Enter");
  await page.waitForURL(new RegExp(`/console/functions/\\d+$`));
  await page.getByRole("heading", { name, exact: true }).waitFor();
  await type(`${name} log`);
  await options.filter({ hasText: `${name}: Log` }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/log$/);
  await type("no such thing");
  await palette.getByText("Nothing found.").waitFor();
  await accessible(page, "palette, nothing found");
  await page.keyboard.press("Escape");
  await palette.waitFor({ state: "hidden" });
  await page.getByRole("button", { name: /^Go to/ }).click();
  await palette.waitFor();
  await page.mouse.click(5, 5);
  await palette.waitFor({ state: "hidden" });

  await place("Outbound");
  await place("Server");
  await page.getByRole("navigation", { name: "Server" }).getByRole("link", { name: "Settings" }).click();
  await main.locator("tr", { hasText: "console.step" }).getByText("file").waitFor();
  assert.ok(!(await page.content()).includes(key));

  // Deleted with its name typed.
  await page.goto(`${url}/console/functions/dropped/keys`);
  await button("Delete").click();
  await page.getByText("Type dropped first.").waitFor();
  await page.locator("[data-repeat]").fill("dropped");
  await button("Delete").click();
  await page.waitForURL(`${url}/console/functions`);
  assert.equal(await main.getByRole("link", { name: "dropped" }).count(), 0);

  // A page that does not exist, and the end of the session.
  await page.goto(`${url}/console/functions/<script>alert(1)</script>`);
  await page.getByText("There is nothing at /console/functions/<script>").waitFor();
  await accessible(page, "a fault");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${url}/console/sign-in`);
  await page.goto(`${url}/console`);
  await page.locator("#key").waitFor();
  console.log("the console did what it shows");
});
