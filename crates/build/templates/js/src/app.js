// The site `__NAME__`: StarlingMonkey hands each request to this listener.

import { answer } from "./answer.js";

addEventListener("fetch", (event) => event.respondWith(handle(event.request)));

function handle(request) {
  const { status, text } = answer(new URL(request.url).pathname);
  const headers = { "content-type": "text/plain; charset=utf-8" };
  return new Response(text, { status, headers });
}
