// node try.mjs PAGE: calls a function from the page that its server makes of what it says of itself.
// Chromium is the system's: IOF_CHROMIUM, or /usr/bin/chromium. SCREENSHOT names a file to keep.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [url] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.IOF_CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  const problems = [];
  page.on("pageerror", (error) => problems.push(`page error: ${error}`));
  page.on("console", (message) => {
    // A call that fails is a call that answers an error.
    if (message.type() === "error" && !message.text().includes("status of 4") && !message.text().includes("status of 5")) {
      problems.push(message.text());
    }
  });
  await page.goto(url);
  const form = (name) => page.locator("form", { has: page.getByRole("heading", { name, exact: true }) });
  const call = async (name, fields) => {
    const made = form(name);
    for (const [label, value] of Object.entries(fields)) await made.getByLabel(label).fill(value);
    await made.getByRole("button", { name: "Call" }).click();
    await made.locator("output pre").waitFor();
    return { text: await made.locator("output pre").innerText(), bad: (await made.locator("output").getAttribute("class")) === "bad" };
  };

  assert.equal(await page.locator("#key").isVisible(), false, "a public function takes no key");
  assert.deepEqual(await call("add", { a: "2", b: "40" }), { text: "42", bad: false });
  assert.deepEqual(await call("shout", { text: "hi" }), { text: "HI", bad: false });
  const point = await call("echo_point", { value: '{"north": 1.5, "east": 2}' });
  assert.deepEqual(JSON.parse(point.text), { north: 1.5, east: 2, label: null });
  assert.deepEqual(await call("fail_text", { message: "<b>why</b>" }), { text: "<b>why</b>", bad: true });
  assert.deepEqual(await call("nothing", {}), { text: "(nothing)", bad: false });
  const torn = await call("echo_json", { value: "{" });
  assert.ok(torn.bad && torn.text.startsWith("value is no JSON"), torn.text);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  assert.deepEqual(problems, []);
  console.log("the page called what it found");
} finally {
  await browser.close();
}
