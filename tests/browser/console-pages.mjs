// node console-pages.mjs URL KEY NAME [FOLDER]: looks at each page of the console, in light and dark and in two widths, of a server that
// has been called for a while; NAME is a function with a canary. With FOLDER, it makes the pictures of docs/console.md there.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { accessible, picture, withPage } from "./page.mjs";

const [url, key, name, folder] = process.argv.slice(2);
const own = `/console/functions/${name}`;
const pages = {
  overview: "/console", functions: "/console/functions", "nothing-found": "/console/functions?name=zz", new: "/console/functions/new",
  function: own, versions: `${own}/versions`, difference: `${own}/versions?from=1&to=2`, call: `${own}/call`, log: `${own}/log`,
  "function-outbound": `${own}/outbound`, recordings: `${own}/recordings`, jobs: `${own}/jobs`, schedules: `${own}/schedules`, storage: `${own}/storage`, value: `${own}/storage?key=users%2F1`,
  "no-value": `${own}/storage?prefix=zz&key=zz`, "function-audit": `${own}/audit`, audit: "/console/audit", secrets: `${own}/secrets`, keys: `${own}/keys`,
  outbound: "/console/outbound", "all-keys": "/console/keys", server: "/console/server", settings: "/console/server/settings",
  missing: "/console/functions/zz", nowhere: "/console/nowhere",
};

await withPage(async (page) => {
  await page.goto(`${url}/console`);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await accessible(page, `sign-in, ${colorScheme}`);
    await picture(page, `console-sign-in-${colorScheme}`, [1200, 360]);
  }
  await page.locator("#key").fill(key);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${url}/console`);
  const shoot = async (path, file, wait, height, then = async () => {}) => {
    await page.setViewportSize({ width: 1120, height });
    await page.goto(url + path);
    await page.locator(wait).first().waitFor();
    await then();
    const target = join(folder, `${file}.png`);
    await page.screenshot({ path: target });
    assert.ok(statSync(target).size <= 110 << 10, `${file}.png is larger than 110 KiB`);
  };
  await page.emulateMedia({ colorScheme: "light" });
  if (folder) {
    await shoot("/console", "overview", "#top-table tr", 600);
    await shoot("/console/functions", "functions", "#function-table tr", 460);
    await shoot(own, "function", "#rollout-table", 880);
    await shoot(`${own}/versions?from=1&to=2`, "difference", "#difference tr", 480);
    await shoot(`${own}/log?faults=only`, "log", "#log-table tr", 470);
    await shoot("/console/audit", "audit", "#changes tr", 400);
    await shoot(`${own}/storage?key=users%2F1`, "storage", "#value pre", 520);
    await shoot("/console/functions", "palette", "#function-table tr", 460, async () => {
      await page.keyboard.press("Control+K");
      await page.keyboard.type("mail");
      await page.getByRole("option", { name: /send-email/ }).waitFor();
    });
    await page.emulateMedia({ colorScheme: "dark" });
    await shoot("/console", "overview-dark", "#top-table tr", 600);
  }

  for (const [label, path] of Object.entries(pages)) {
    await page.goto(url + path);
    if (label === "call") await page.locator("#exports form").first().waitFor();
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await accessible(page, `${label}, ${colorScheme}`);
      await picture(page, `console-${label}-${colorScheme}`, [1200, 360]);
    }
  }
  await page.goto(`${url}/console`);
  await page.keyboard.press("Control+K");
  await page.keyboard.type("s");
  await page.getByRole("option").first().waitFor();
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await accessible(page, `palette, ${colorScheme}`);
    await picture(page, `console-palette-${colorScheme}`, [1200, 360]);
  }
  console.log("the pages are as they should be");
});
