// What tests of the server's own pages share: a browser that notes problems, and the programs that a page offers to copy.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// A browser, a page of it, and the list to which its errors and dialogs are added. Chromium is the system's: IOF_CHROMIUM, or
// /usr/bin/chromium.
export async function open() {
  const browser = await chromium.launch({
    executablePath: process.env.IOF_CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  const problems = [];
  page.on("pageerror", (error) => problems.push(`page error: ${error}`));
  page.on("dialog", (dialog) => problems.push(`dialog: ${dialog.message()}`));
  return { browser, page, problems };
}

// Runs `test` with a page of a browser, and fails for whatever the page complains of. SCREENSHOTS names a folder for pictures.
export async function withPage(test) {
  const { browser, page, problems } = await open();
  try {
    page.on("console", (message) => {
      // A request that is refused is one that answers an error.
      const refused = /status of [45]/.test(message.text());
      if (message.type() === "error" && !refused) problems.push(message.text());
    });
    await test(page);
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
  }
}

// Keeps a picture, in a wide and in a narrow window, neither of which scrolls sideways.
export async function picture(page, name, [wide, narrow] = [1000, 340]) {
  for (const [suffix, width] of [["", wide], ["-narrow", narrow]]) {
    await page.setViewportSize({ width, height: 900 });
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wider <= 0, `${name}${suffix} is ${wider} pixels wider than its window`);
    if (process.env.SCREENSHOTS) {
      await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}${suffix}.png`), fullPage: true });
    }
  }
  await page.setViewportSize({ width: wide, height: 900 });
}

// Fails for whatever axe-core finds on a page: contrast, names, roles, order.
export async function accessible(page, name) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const told = found.violations.map((one) => `${one.id}: ${one.help}\n${one.nodes.map((node) => `  ${node.html}\n  ${node.failureSummary}`).join("\n")}`);
  assert.equal(told.length, 0, `${name}\n${told.join("\n")}`);
}

// The sum of what a page reports of itself in some time, such as how far its parts moved.
export function noted(page, type, milliseconds) {
  return page.evaluate(([type, milliseconds]) => new Promise((done) => {
    let sum = 0;
    const observer = new PerformanceObserver((list) => list.getEntries().forEach((one) => { sum += one.value; }));
    observer.observe({ type, buffered: false });
    setTimeout(() => done(sum), milliseconds);
  }), [type, milliseconds]);
}

// Keeps a picture of a part of a page.
export async function shot(part, name) {
  if (process.env.SCREENSHOTS) await part.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
}

// Runs what the page offers to copy, as whoever pastes it.
export function pasted(kind, text, folder, key = "") {
  const options = { cwd: folder, env: { ...process.env, IOF_KEY: key }, encoding: "buffer" };
  if (kind === "curl") return execFileSync("bash", ["-c", text], options);
  const file = join(folder, "pasted.mjs");
  writeFileSync(file, text);
  return execFileSync("node", [file], options);
}
