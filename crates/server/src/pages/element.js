// What all pages have: elements, and answers of the server. Nothing that a server says becomes markup.
const $ = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Asks the server. The body is JSON whether it went well or not.
async function ask(path) {
  const response = await fetch(path, { headers: headers() });
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  return { response, answer };
}
