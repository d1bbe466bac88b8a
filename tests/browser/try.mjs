// node try.mjs PAGE FOLDER PICTURE PRIVATE KEY OLD: calls functions from the pages that their server makes of what they say
// of themselves. PICTURE is a file in FOLDER; KEY opens the log of the function at PRIVATE; OLD is one of 2020.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { pasted, picture, shot, withPage } from "./page.mjs";

const [url, folder, file, private_, key, old] = process.argv.slice(2);

await withPage(async (page) => {
  const form = (name) => page.locator("form", { has: page.getByRole("heading", { name, exact: true }) });
  const fill = async (name, fields) => {
    for (const [field, value] of Object.entries(fields)) {
      const input = page.locator(`[id="${name}-${field}"]`);
      if ((await input.getAttribute("type")) === "file") await input.setInputFiles(value);
      else if ((await input.evaluate((of) => of.tagName)) === "SELECT") await input.selectOption(value);
      else await input.fill(value);
    }
  };
  const press = async (name) => {
    const made = form(name);
    const before = await made.locator("dd").allInnerTexts();
    await made.getByRole("button", { name: "Call", exact: true }).click();
    await made.locator("button[type=submit]:enabled").waitFor();
    return { made, before };
  };
  const call = async (name, fields) => {
    await fill(name, fields);
    const { made } = await press(name);
    const result = made.locator(".result");
    await result.waitFor();
    return {
      kind: await result.getAttribute("data-kind"),
      title: await result.locator("h3").innerText(),
      text: (await result.locator(".content > pre").allTextContents())[0],
    };
  };
  const copied = async (name, kind) => {
    const box = form(name).locator("details", { has: page.locator("summary", { hasText: kind }) });
    if ((await box.getAttribute("open")) === null) await box.locator("summary").click();
    await box.locator("pre, .hint").filter({ hasText: /./ }).first().waitFor();
    return box.locator("pre").innerText();
  };
  // More exports than one look takes.
  const all = async () => {
    await page.locator("form").first().waitFor();
    while (await page.locator("#more").isVisible()) await page.locator("#more").click();
  };
  const good = (text) => ({ kind: "good", title: "It returned", text });

  await page.goto(url);
  assert.equal(await page.locator("#key").isVisible(), false, "a public function takes no key");
  await page.locator("#version").filter({ hasText: "version 1" }).waitFor();
  assert.equal(await page.getByRole("link", { name: "All functions" }).getAttribute("href"), "/");
  assert.match(await page.getByRole("link", { name: "OpenAPI document" }).getAttribute("href"), /\/openapi\.json$/);
  await picture(page, "function");
  await all();

  assert.deepEqual(await call("add", { a: "2", b: "40" }), good("42"));
  assert.deepEqual(await call("shout", { text: "hi" }), good("HI"));
  const point = await call("echo_point", { value: '{"north": 1.5, "east": 2}' });
  assert.deepEqual(JSON.parse(point.text), { north: 1.5, east: 2, label: null });
  assert.deepEqual(await call("fail_text", { message: "<b>why</b>" }), { kind: "fault", title: "<b>why</b>", text: undefined });
  assert.equal((await call("nothing", {})).kind, "good");

  // Numbers of 64 bits, both ways, also inside of JSON.
  for (const [name, value] of [["echo_u64", "18446744073709551615"], ["echo_u64", "9007199254740993"], ["echo_i64", "-9223372036854775808"]]) {
    assert.deepEqual(await call(name, { value }), good(value));
  }
  assert.deepEqual(await call("echo_json", { value: '{"a":[],"n":9007199254740993,"s":"a\\"{,:"}' }),
    good('{\n  "a": [],\n  "n": 9007199254740993,\n  "s": "a\\"{,:"\n}'));

  // What does not fit is said beside its field, and not sent.
  const refused = async (name, field, value, says) => {
    await fill(name, { [field]: value });
    await press(name);
    const said = await page.locator(`[id="${name}-${field}-problem"]`).innerText();
    assert.match(said, says);
    assert.match(said, new RegExp(`\`${field}\``), "it names the argument");
    assert.equal(await form(name).locator(".result").getAttribute("data-kind"), "fault");
  };
  await refused("echo_u8", "value", "256", /greater than 255/);
  await refused("echo_i64", "value", "9223372036854775808", /greater than/);
  await refused("echo_i32", "value", "", /is needed: a whole number/);
  await refused("echo_i32", "value", "1e3", /not a whole number: got 1e3/);
  await refused("echo_f64", "value", "abc", /not a number: got abc/);
  await refused("echo_json", "value", "{", /not JSON/);
  await refused("echo_bytes", "value", [], /is needed: a file/);
  // What may be left out, is.
  assert.deepEqual(await call("echo_option", { value: "" }), good("null"));
  assert.deepEqual(await call("echo_option", { value: "-7" }), good("-7"));

  // A picture goes in and comes out, and can be saved.
  await call("echo_bytes", { value: file });
  const shown = form("echo_bytes").locator(".result img");
  assert.ok(await shown.evaluate((of) => of.decode().then(() => of.naturalWidth > 0)));
  const [download] = await Promise.all([page.waitForEvent("download"), form("echo_bytes").getByRole("link", { name: "Download" }).click()]);
  assert.equal(download.suggestedFilename(), "echo_bytes.png");
  assert.deepEqual(readFileSync(await download.path()), readFileSync(file));

  // What is copied does what the page does.
  const hostile = "it's \"$HOME\" `id` \\ %s\n@two lines;type=x ü!";
  for (const kind of ["curl", "JavaScript"]) {
    const run = async (name) => pasted(kind, await copied(name, kind), folder).toString();
    const answered = (text) => (kind === "curl" ? text : `200 ${text}\n`);
    await fill("echo_u64", { value: "18446744073709551615" });
    assert.equal(await run("echo_u64"), answered("18446744073709551615"));
    await fill("echo_string", { value: hostile });
    assert.equal(await run("echo_string"), answered(hostile));
    await fill("raw_text", { text: hostile, type: "text/plain" });
    assert.ok((await run("raw_text")).includes(hostile));
    await run("nothing");
    const bytes = pasted(kind, await copied("echo_bytes", kind), folder);
    if (kind === "curl") assert.deepEqual(bytes, readFileSync(file));
    await fill("raw_bytes", { how: "file", file });
    const raw = pasted(kind, await copied("raw_bytes", kind), folder);
    if (kind === "curl") assert.deepEqual(raw, readFileSync(file));
  }
  assert.match(await copied("echo_bytes", "curl"), /^curl .*-F 'value=@"a .*picture.*\.png"'/s);
  // A text to copy marks no field that is not filled in yet.
  await copied("swallow", "curl");
  assert.equal(await page.locator("#half-number-problem").isVisible(), false);
  await copied("half", "curl");
  assert.equal(await page.locator("#half-number-problem").isVisible(), false);
  for (const name of ["echo_bytes", "echo_json", "echo_u8", "fail_text", "echo_string"]) await shot(form(name), `called-${name}`);
  await picture(page, "called");

  // Without a key there is no log; with one, what the call printed and took.
  const log = form("shout").locator(".result > div").last();
  assert.match(await log.innerText(), /for holders of a key/);
  await page.goto(private_);
  await page.locator("#key").waitFor();
  assert.match(await page.locator("#exports").innerText(), /private/);
  await picture(page, "private");
  await page.locator("#key").fill(key);
  await page.locator("#key").press("Enter");
  await all();
  const trapped = await call("panics", { message: "<i>as asked</i>" });
  assert.equal(trapped.kind, "fault");
  const facts = form("panics").locator(".result");
  await facts.getByText("CPU time").waitFor();
  assert.match(await facts.innerText(), /stderr\s+thread.*panicked.*\s+<i>as asked<\/i>/s);
  assert.match(await facts.innerText(), /version\s+1/);
  await fill("echo_string", { value: "with a key" });
  const line = await copied("echo_string", "curl");
  assert.ok(!line.includes(key), "a key is not copied");
  assert.equal(pasted("curl", line, folder, key).toString(), "with a key");
  assert.equal(pasted("JavaScript", await copied("echo_string", "JavaScript"), folder, key).toString(), "200 with a key\n");
  await shot(form("panics"), "keyed-panics");
  await picture(page, "keyed");
  // The key stays in this tab, until it is forgotten.
  await page.goto(url);
  assert.equal(await page.locator("#key").inputValue(), key);
  await page.locator("#key-sheet summary").click();
  await page.getByRole("button", { name: "Forget" }).click();
  await page.reload();
  assert.equal(await page.locator("#key").inputValue(), "");

  // A module of 2020 says nothing of its arguments: a text, a file, or several.
  await page.goto(old);
  assert.equal((await call("say", { text: "you" })).text, "hello you");
  // It takes one: an array is that.
  assert.equal((await call("say", { how: "json", json: '["them"]' })).text, 'hello ["them"]');
  assert.equal(pasted("curl", await copied("say", "curl"), folder).toString(), 'hello ["them"]');
  await fill("say", { how: "file", file });
  assert.match(await copied("say", "curl"), /--data-binary '@/);
  console.log("the page called what it found");
});
