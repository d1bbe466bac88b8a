import unittest

from columns import describe


class Columns(unittest.TestCase):
    def test_columns_of_numbers_are_described(self):
        figures = describe('name,price\ntea,4.5\n"milk, cold",1.5\n')
        self.assertEqual([column["name"] for column in figures], ["price"])
        self.assertEqual((figures[0]["mean"], figures[0]["median"]), (3.0, 3.0))

    def test_tables_that_are_none_are_refused(self):
        for table in ["", "a,b\n1\n", 'a\n"1\n']:
            with self.assertRaises(ValueError, msg=table):
                describe(table)
        self.assertEqual(describe("a,b\n"), [])
