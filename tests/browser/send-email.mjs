// node send-email.mjs PAGE SERVER ID TOKEN: fills in the form in Chromium and reads what the page says. Without TOKEN, the server
// has it, and the page asks for none.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { open } from "./page.mjs";

const [page_url, server, id, token] = process.argv.slice(2);
const { browser, page, problems } = await open();
try {
  const place = `${page_url}/?server=${encodeURIComponent(server)}&id=${id}`;
  if (!token) {
    await page.goto(`${place}&function=send_mail`);
    assert.ok(!(await page.getByLabel("SendGrid token").isVisible()), "nobody here has a token");
    await page.getByLabel("From").fill("ada@example.com");
    await page.getByLabel("To", { exact: true }).fill("grace@example.com");
    await page.getByLabel("Subject").fill("Without a token");
    await page.getByLabel("Message").fill("Hello");
    assert.match(await send(page), /^The mail is sent\s.*grace@example\.com/s);
    assert.deepEqual(problems, []);
    await browser.close();
    process.exit(0);
  }

  await page.goto(place);
  await page.getByRole("button", { name: "Send" }).click();
  assert.ok(await page.getByText("The mail service needs a token.").isVisible(), "an empty form is not sent");

  await page.getByLabel("From").fill("ada@example.com");
  await page.getByLabel("To", { exact: true }).fill("grace@example.com");
  await page.getByLabel("SendGrid token").fill(token);
  await page.getByLabel("Subject").fill("From a browser");
  await page.getByLabel("Message").fill("Hello <b>there</b>,\nhow are you?");
  assert.match(await send(page), /^The mail is sent\s.*grace@example\.com/s);
  assert.equal(await kind(page), "sent");

  await page.getByLabel("SendGrid token").fill("SG.<img src=x onerror=alert(1)>");
  assert.match(await send(page), /^The mail was not sent\s.*authorization/s);
  assert.equal(await kind(page), "answer");

  await page.locator("summary").click();
  await page.getByLabel("Function id").fill("999999");
  await send(page);
  assert.equal(await kind(page), "fault", "a function that does not exist is a fault, not an answer");

  await page.getByLabel("Server").fill(await nobodyListens());
  assert.match(await send(page), /^The server did not answer/);
  assert.equal(await kind(page), "network");

  assert.deepEqual(problems, []);
  console.log("the page told the truth four times");
} finally {
  await browser.close();
}

// Presses the button and answers what the page then says.
async function send(page) {
  await page.locator("#send").click();
  await page.waitForFunction(() => !document.querySelector("#send").disabled);
  return (await page.locator("#result").innerText()).trim();
}

function kind(page) {
  return page.locator("#result").getAttribute("data-kind");
}

// An address that nothing answers at: a port that was free a moment ago.
async function nobodyListens() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return `http://127.0.0.1:${port}`;
}
