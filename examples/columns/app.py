"""Figures of tables, with the types of `wit/world.wit`."""

from componentize_py_types import Err
from wit_world import Column, WitWorld as World

import columns


class WitWorld(World):
    def describe(self, table: str) -> list[Column]:
        try:
            return [Column(**figures) for figures in columns.describe(table)]
        except ValueError as error:
            raise Err(str(error)) from error
