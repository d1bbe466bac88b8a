// What tests of the server's own pages share: a browser that notes problems, and the programs that a page offers to copy.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

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
export async function picture(page, name) {
  for (const [suffix, width] of [["", 1000], ["-narrow", 340]]) {
    await page.setViewportSize({ width, height: 900 });
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wider <= 0, `${name}${suffix} is ${wider} pixels wider than its window`);
    if (process.env.SCREENSHOTS) {
      await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}${suffix}.png`), fullPage: true });
    }
  }
  await page.setViewportSize({ width: 1000, height: 900 });
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
