#!/usr/bin/python3
"""Tries what README.md shows, in a temporary folder that looks like the root.

Usage: try_readme.py ROOT BUILD CXX

A fenced block is tried when the line above it says so:

    <!-- tried -->              a `sh` block: each line is run, each must succeed
    <!-- tried: exits 2 -->     a `sh` block of one line, which must end with that code
    <!-- tried: hello.yaml -->  the block is written to that file, for the blocks below it;
                                a .cpp file is also compiled

Results and files land in the temporary folder. Exit 1 at the first failure, or when nothing is
tried.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^<!-- tried(?::\s*(.*?))? -->\n+```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(text):
    """(line number, what the mark says, language, content) of each marked block, in order."""
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield line, match.group(1) or "", match.group(2), match.group(3)


def stand_in(root, folder):
    """Everything of the root but what runs write: paths work and the root stays clean."""
    for entry in root.iterdir():
        if entry.name not in (".git", "results") and not entry.name.startswith("build"):
            (folder / entry.name).symlink_to(entry)


def run_lines(content, code, folder, environment):
    commands = content.replace("\\\n", " ").splitlines()
    for command in (c for c in commands if c.strip() and not c.startswith("#")):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != code:
            return f"`{command}` ended with {done.returncode}, not {code}:\n{done.stdout}"
    return ""


def try_block(mark, language, content, folder, environment, root, compiler):
    """What is wrong with one block, or an empty text."""
    if language == "sh":
        exits = re.fullmatch(r"exits (\d+)", mark)
        if mark and not exits:
            return f"a sh block cannot be marked `tried: {mark}`"
        return run_lines(content, int(exits.group(1)) if exits else 0, folder, environment)
    if not mark or "/" in mark:
        return "a block that is not sh needs the name of a file in its mark"
    (folder / mark).write_text(content, encoding="utf-8")
    if mark.endswith(".cpp"):
        command = [compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
        done = subprocess.run(
            command + [f"-I{root}", str(folder / mark)], capture_output=True, text=True, check=False
        )
        return done.stderr if done.returncode else ""
    return ""


def try_readme(text, root, build, compiler):
    """(how many blocks were tried, what went wrong)."""
    count = 0
    environment = {**os.environ, "SLUICE_BUILD_DIR": str(build)}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        stand_in(root, folder)
        for line, mark, language, content in blocks(text):
            problem = try_block(mark, language, content, folder, environment, root, compiler)
            count += 1
            if problem:
                return count, f"README.md:{line}: {problem}"
    if count == 0:
        return count, "README.md: nothing in it is marked as tried"
    return count, ""


def main():
    root, build, compiler = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    text = (root / "README.md").read_text(encoding="utf-8")
    count, problem = try_readme(text, root, build, compiler)
    print(problem or f"{count} blocks tried")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
