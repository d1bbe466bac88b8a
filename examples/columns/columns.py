"""The columns of a table."""

import csv
import io
import statistics


def describe(table: str) -> list[dict]:
    """The figures of each column that has numbers only, in their order."""
    try:
        rows = list(csv.reader(io.StringIO(table), strict=True))
    except csv.Error as error:
        raise ValueError(f"not a table: {error}") from error
    if not rows or not any(rows[0]):
        raise ValueError("the table has no line of names")
    names, lines = rows[0], [row for row in rows[1:] if row]
    for at, line in enumerate(lines, start=2):
        if len(line) != len(names):
            raise ValueError(f"row {at} has {len(line)} fields, and there are {len(names)} names")
    columns = zip(names, zip(*lines)) if lines else []
    return [figures for name, texts in columns if (figures := of_column(name, texts))]


def of_column(name: str, texts: tuple[str, ...]) -> dict | None:
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return None
    return {
        "name": name,
        "count": len(numbers),
        "least": min(numbers),
        "greatest": max(numbers),
        "mean": statistics.fmean(numbers),
        "median": statistics.median(numbers),
    }
