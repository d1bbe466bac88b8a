// Functions that all pages share: making elements, and reading answers of the server. No text of a server becomes
// markup.
const $ = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Sends a request to the server. The body of the answer is JSON, even for a failure.
async function ask(path) {
  const response = await fetch(path, { headers: headers() });
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  return { response, answer };
}
