// node index.mjs URL PRIVATE KEY KEYED: reads the page of a server's functions. PRIVATE is the name of a private function that
// holders of KEY see, and KEYED is true if the server lists functions to holders of a key only.
import assert from "node:assert/strict";
import { picture, withPage } from "./page.mjs";

const [url, private_, key, keyed] = process.argv.slice(2);

await withPage(async (page) => {
  const names = () => page.locator("#functions a").allInnerTexts();
  const shown = (name) => page.locator("#functions a", { hasText: name });
  const answer = await page.goto(`${url}/`);
  assert.equal(answer.status(), 200);
  assert.equal(await page.title(), "iof");
  assert.ok(await page.getByRole("link", { name: "/v1/openapi.json" }).isVisible());
  if (keyed === "true") {
    await page.getByText("to holders of a key").waitFor();
    assert.deepEqual(await names(), []);
    assert.equal(await page.locator("#console").isVisible(), false, "the console is for holders of a key");
    await picture(page, "index-no-key");
    await page.locator("#key").fill("wrong");
    await page.locator("#key").press("Enter");
    await page.locator("#message.problem").waitFor();
  } else {
    await shown("f001").waitFor();
    assert.equal((await names()).length, 50, "one page");
    assert.equal(await page.getByRole("link", { name: "Open the console" }).getAttribute("href"), "/console");
    assert.ok(!(await names()).includes(private_), "a private function is for holders of a key");
    await page.locator("#filter").fill(private_);
    await page.getByText("No function that you may see").waitFor();
    await page.locator("#filter").fill("");
    await shown("f001").waitFor();
    // Names and descriptions are text.
    assert.ok(await page.getByText("<img src=x onerror=alert(1)>").first().isVisible());
    await picture(page, "index");

    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText("page 2").waitFor();
    await shown("f051").waitFor();
    assert.ok(await page.getByRole("button", { name: "Next" }).isDisabled());
    await page.getByRole("button", { name: "Back" }).click();
    await shown("f001").waitFor();
    await page.locator("#filter").fill("F05");
    await shown("f001").waitFor({ state: "detached" });
    await shown("f050").waitFor();
    assert.ok((await names()).every((name) => name.startsWith("f05")), `${await names()}`);
    await shown("f050").click();
    await page.getByRole("heading", { name: "f050", exact: true }).first().waitFor();
    await page.getByRole("link", { name: "All functions" }).click();
    await shown("f001").waitFor();
    // By name, where it is not in the list.
    await page.locator("#name").fill(private_);
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByRole("heading", { name: private_ }).waitFor();
    await page.goto(`${url}/`);
    await page.locator("#key-sheet summary").click();
  }
  if (key) {
    await page.locator("#key").fill(key);
    await page.locator("#key").press("Enter");
    await page.locator("#filter").fill(private_);
    await shown(private_).waitFor();
    assert.ok(await page.getByRole("link", { name: "Open the console" }).isVisible());
    assert.equal(await page.locator(".tag").innerText(), "private");
    await picture(page, "index-key");
    await shown(private_).click();
    await page.getByRole("heading", { name: private_ }).waitFor();
    // The key went along.
    await page.locator("form h2").first().waitFor();
  }
  console.log("the page showed what its reader may see");
});
