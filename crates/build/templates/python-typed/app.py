"""The functions of `__NAME__`, with the types of `wit/world.wit`."""

from componentize_py_types import Err
from wit_world import Bill, Item, WitWorld as World

import bill


class WitWorld(World):
    def total(self, items: list[Item], discount: int | None) -> Bill:
        try:
            count, total = bill.total([(item.price, item.count) for item in items], discount or 0)
        except ValueError as error:
            raise Err(str(error)) from error
        return Bill(items=count, total=total)
