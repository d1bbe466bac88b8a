// The site `__NAME__`: StarlingMonkey hands each request to this listener.

import { answer } from "./answer.ts";

interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(response: Response | Promise<Response>): void;
}

addEventListener("fetch", (event) => {
  const { request, respondWith } = event as FetchEvent;
  respondWith.call(event, handle(request));
});

function handle(request: Request): Response {
  const { status, text } = answer(new URL(request.url).pathname);
  const headers = { "content-type": "text/plain; charset=utf-8" };
  return new Response(text, { status, headers });
}
