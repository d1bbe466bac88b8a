// node pictures.mjs PAGE SERVER ID PICTURE LABEL: chooses a picture in Chromium and reads what the page says of it.
// SCREENSHOT names a file to keep.
import assert from "node:assert/strict";
import { open } from "./page.mjs";

const [page_url, server, id, picture, label] = process.argv.slice(2);
const { browser, page, problems } = await open();
try {
  await page.goto(`${page_url}/?server=${encodeURIComponent(server)}&id=${id}`);
  await page.setInputFiles("#file", picture);
  await page.waitForSelector("#small:not([hidden])");
  const lines = (await page.locator("#labels li").allInnerTexts()).map((line) => line.trim());
  assert.equal(lines.length, 3);
  assert.ok(lines[0].startsWith(label), `${lines}`);
  assert.match(await page.locator("#time").innerText(), /^classify: \d+ ms, thumbnail: \d+ ms$/);
  const width = await page.locator("#small").evaluate((small) => small.decode().then(() => small.naturalWidth));
  assert.equal(width, 200);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });

  // A stroke down the middle is a one, or at least an answer.
  await page.getByRole("button", { name: "Clear" }).click();
  const box = await page.locator("#canvas").boundingBox();
  await page.mouse.move(box.x + 128, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + 128, box.y + 226, { steps: 8 });
  await page.mouse.up();
  await page.waitForSelector("#small:not([hidden])");
  assert.equal(await page.locator("#labels li").count(), 3);

  await page.locator("summary").click();
  await page.getByLabel("Function id").fill("999999");
  await page.setInputFiles("#file", []);
  await page.setInputFiles("#file", picture);
  await page.waitForSelector("#problem:not([hidden])");

  assert.deepEqual(problems, []);
  console.log("the page told what it saw");
} finally {
  await browser.close();
}
