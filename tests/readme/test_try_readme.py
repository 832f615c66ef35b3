#!/usr/bin/python3
"""Sees that the trial of README.md fails when it should."""

import pathlib
import tempfile
import unittest

import try_readme


class TryReadme(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "hello").write_text("hi\n", encoding="utf-8")
        (self.root / "results").mkdir()

    def problem(self, text):
        return try_readme.try_readme(text, self.root, self.root / "build", "g++")[1]

    def test_commands_that_work(self):
        self.assertEqual(
            self.problem("<!-- tried -->\n```sh\ncat hello\ntest ! -e results\n```\n"), ""
        )

    def test_the_line_that_fails_is_named(self):
        text = "Text\n\n<!-- tried -->\n\n```sh\n# A comment.\ncat hello\ncat nothing\n```\n"
        self.assertIn("README.md:3: `cat nothing` ended with 1", self.problem(text))

    def test_an_exit_code_that_is_asked_for(self):
        self.assertEqual(self.problem("<!-- tried: exits 2 -->\n```sh\nexit 2\n```\n"), "")
        self.assertIn("not 2", self.problem("<!-- tried: exits 2 -->\n```sh\ntrue\n```\n"))

    def test_blocks_without_a_mark_are_left_alone(self):
        self.assertIn("nothing", self.problem("```sh\nfalse\n```\n"))

    def test_a_file_is_there_for_the_blocks_below(self):
        text = (
            "<!-- tried: a.yaml -->\n```yaml\nname: x\n```\n"
            "<!-- tried -->\n```sh\ngrep x a.yaml\n```\n"
        )
        self.assertEqual(self.problem(text), "")
        self.assertFalse((self.root / "a.yaml").exists())

    def test_code_is_compiled(self):
        self.assertEqual(self.problem("<!-- tried: a.cpp -->\n```cpp\nint f();\n```\n"), "")
        self.assertIn("error", self.problem("<!-- tried: a.cpp -->\n```cpp\nint f(;\n```\n"))


if __name__ == "__main__":
    unittest.main()
