def total(lines: list[tuple[int, int]], discount: int) -> tuple[int, int]:
    """The number of items and what they cost, for lines of a price and a count."""
    if discount > 100:
        raise ValueError("more than 100 percent off")
    full = sum(price * count for price, count in lines)
    return sum(count for _, count in lines), full * (100 - discount) // 100
