import assert from "node:assert/strict";
import { test } from "node:test";
import { answer } from "./answer.js";

test("it greets by name and without", () => {
  assert.deepEqual(answer("/hello/Ada"), { status: 200, text: "Hello, Ada!\n" });
  assert.deepEqual(answer("/"), { status: 200, text: "Hello!\n" });
});

test("other paths are not found", () => {
  assert.equal(answer("/other").status, 404);
});
