import unittest

from answer import answer


class Answers(unittest.TestCase):
    def test_it_greets_by_name_and_without(self):
        self.assertEqual(answer("/hello/Ada?x=1"), (200, "Hello, Ada!\n"))
        self.assertEqual(answer("/"), (200, "Hello!\n"))

    def test_other_paths_are_not_found(self):
        self.assertEqual(answer("/other")[0], 404)
