import assert from "node:assert/strict";
import { test } from "node:test";
import { total } from "./app.js";

const tea = [{ name: "tea", price: 450, count: 2 }];

test("it adds up", () => {
  assert.deepEqual(total(tea, 10), { items: 2, total: 810 });
});

test("it gives no more than all of it", () => {
  assert.throws(() => total(tea, 101));
});
