/** The status and the text for a path: the part behind `/fn/__NAME__`. */
export function answer(path) {
  if (path === "/") return { status: 200, text: "Hello!\n" };
  const [, name] = path.match(/^\/hello\/(.+)$/) ?? [];
  if (name) return { status: 200, text: `Hello, ${name}!\n` };
  return { status: 404, text: `${path} is not here.\n` };
}
