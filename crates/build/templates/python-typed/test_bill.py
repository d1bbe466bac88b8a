import unittest

import bill


class Bills(unittest.TestCase):
    def test_it_adds_up(self):
        self.assertEqual(bill.total([(450, 2)], 10), (2, 810))

    def test_it_gives_no_more_than_all_of_it(self):
        with self.assertRaises(ValueError):
            bill.total([(450, 2)], 101)
