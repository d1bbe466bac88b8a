// The functions of `__NAME__`, with the types of `wit/world.wit`. QuickJS runs them.

/** Adds up an order, with a discount in percent. What is thrown is the `err` of the result. */
export function total(items, discount) {
  const off = discount ?? 0;
  if (off > 100) throw "more than 100 percent off";
  const full = items.reduce((sum, item) => sum + item.price * item.count, 0);
  return {
    items: items.reduce((sum, item) => sum + item.count, 0),
    total: Math.floor((full * (100 - off)) / 100),
  };
}
