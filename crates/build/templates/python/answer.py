def answer(path: str) -> tuple[int, str]:
    """The status and the text for a path: the part behind `/fn/__NAME__`."""
    path = path.partition("?")[0]
    if path == "/":
        return 200, "Hello!\n"
    name = path.removeprefix("/hello/")
    if name and name != path:
        return 200, f"Hello, {name}!\n"
    return 404, f"{path} is not here.\n"
