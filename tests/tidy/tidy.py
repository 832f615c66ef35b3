#!/usr/bin/python3
"""Checks that the sources keep the rules of DESIGN.md 2 and STYLE.md which a compiler cannot.

Usage: tidy.py arrows|purity|size|scripts ROOT
       tidy.py licences FOLDER-OF-PROGRAMS

Prints one line a violation, `file:line: problem`, and exits 1 if there is one. test_tidy.py plants
a violation of each kind and sees that it is found.
"""

import pathlib
import re
import subprocess
import sys

# --- The arrows: which folder may know which others, and which libraries --------------------------
# A folder may use what it names and everything that those may use. "core" is the files right in it.
ARROWS = {
    "core": [],
    "core/packet": ["core"],
    "core/ring": ["core", "core/packet"],
    "core/flow": ["core/packet"],
    "core/encapsulation": ["core/packet", "core/flow"],
    "core/function": ["core/packet", "core/ring", "core/flow"],
    "core/chain": ["core/flow", "core/function"],
    "core/functions": ["core/function", "core/chain", "core/flow"],
    "core/host": ["core/chain", "core/encapsulation", "core/function", "core/flow", "core/ring"],
    "core/cluster": ["core", "core/packet", "core/flow", "core/host"],
    "core/deployment": ["core/chain", "core/flow", "core/host"],
    "scaling": ["core"],
    "backends/zookeeper": ["core/cluster"],
    "backends/ns3": ["core/host", "core/functions", "core/deployment"],
    # Network functions in processes of their own; without DPDK, so that an NF links none.
    "backends/process": [
        "core/host",
        "core/function",
        "core/functions",
        "core/deployment",
        "cli",
    ],
    "backends/dpdk": [
        "core/host",
        "core/functions",
        "core/deployment",
        "scaling",
        "cli",
        "backends/process",
    ],
    # The programs share how files are read, how they exit (cli), and what a result folder is.
    "sim": ["core/deployment", "core/functions", "core/host", "scaling", "backends/ns3", "cli"],
    "cli": ["core/deployment", "core/functions", "cli/results"],
    "cli/results": ["core/packet"],
    # The operator's side of a host's control socket.
    "cli/ctl": ["cli", "backends/process"],
    "placement": ["core/deployment"],
    "bench": ["core/functions", "core/host", "sim", "backends/ns3"],
}
# Single headers that a folder may know although it may not know their folder.
HEADERS = {
    # The values that scaling reads, and the requests that it makes; not the host that makes them.
    "scaling": [
        "core/host/agent.hpp",
        "core/host/load_sample.hpp",
        "core/host/scale_policy.hpp",
        "core/host/ewma.hpp",
    ],
}
# Other projects' headers, by name, or by prefix if it ends in / or _. Everyone has the standard
# library; core has not the system's.
OUTSIDE = {
    "core": ["tl/expected.hpp"],
    "core/flow": ["emmintrin.h", "immintrin.h"],
    "core/functions": ["emmintrin.h", "immintrin.h"],
    "core/deployment": ["yaml-cpp/", "nlohmann/"],
    "scaling": ["Eigen/"],
    "backends/zookeeper": ["zookeeper/"],
    "backends/ns3": ["ns3/", "fmt/"],
    "backends/process": ["nlohmann/", "CLI/", "fmt/"],
    "backends/dpdk": [
        "rte_",
        "fmt/",
        "nlohmann/",
        "CLI/",
        "spdlog/",
        "prometheus/",
        "pcap/",
        "sanitizer/",  # The compiler's.
    ],
    "sim": ["ns3/", "fmt/", "nlohmann/", "CLI/", "pcap/", "pcap.h"],
    "cli": ["fmt/", "nlohmann/", "CLI/"],
    "cli/results": ["fmt/", "nlohmann/"],
    "placement": ["boost/", "glpk.h", "Eigen/", "fmt/", "nlohmann/", "CLI/"],
    "bench": ["fmt/", "nlohmann/", "CLI/", "tsl/", "ns3/", "benchmark/"],
}
# CMake targets whose name is not that of their folder's last part.
TARGET_FOLDERS = {
    "base": "core",
    "options": None,
    "results": "cli/results",
    "sim_parts": "sim",
    "commit": "sim",
    "traffic": "sim",
    "simulation": "sim",
    "ns3": "backends/ns3",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.M)
STANDARD = re.compile(r"^[a-z_0-9]+$")
SYSTEM = re.compile(r"^(sys/|linux/|netinet/|arpa/|net/)?[a-z_0-9]+\.h$")


def folder_of(path):
    """The arrow table's folder for a path relative to the root, or None."""
    parts = pathlib.PurePath(path).parts[:-1]
    for length in range(len(parts), 0, -1):
        folder = "/".join(parts[:length])
        if folder in ARROWS and (folder != "core" or len(parts) == 1):
            return folder
    return None


def reachable(folder):
    """The folder itself and all that its arrows lead to."""
    seen, rest = set(), [folder]
    while rest:
        each = rest.pop()
        if each not in seen:
            seen.add(each)
            rest += ARROWS[each]
    return seen


def is_named(name, prefixes):
    return any(name == p or (p.endswith(("/", "_")) and name.startswith(p)) for p in prefixes)


def outside_allowed(folder, name):
    if STANDARD.match(name):
        return True
    prefixes = (
        [p for f in reachable(folder) for p in OUTSIDE.get(f, [])] if folder != "core" else []
    )
    if is_named(name, prefixes + OUTSIDE["core"] + OUTSIDE.get(folder, [])):
        return True
    # A library's header may look like one of the system's: rte_mbuf.h.
    if any(is_named(name, each) for each in OUTSIDE.values()):
        return False
    return not folder.startswith("core") and folder != "scaling" and bool(SYSTEM.match(name))


def sources(root, folders=None, suffixes=(".hpp", ".cpp")):
    """Paths relative to root, in order."""
    for folder in folders or sorted(ARROWS):
        base = root / folder
        if not base.is_dir():
            continue
        for path in sorted(base.rglob("*") if folder != "core" else base.glob("*")):
            name = path.relative_to(root).as_posix()
            if folder in ARROWS and folder_of(name) != folder:
                continue  # A folder within has a line of its own in the table.
            if path.suffix in suffixes and path.is_file():
                yield name


def line_at(text, offset):
    return text.count("\n", 0, offset) + 1


def check_include(root, path, line, quote, name):
    folder = folder_of(path)
    where = f"{path}:{line}"
    if quote == '"' and not (root / name).exists():
        return [f'{where}: "{name}" is not a path from the root; write another project\'s in <>']
    if quote == "<":
        ok = outside_allowed(folder, name)
        return [] if ok else [f"{where}: {folder} may not include <{name}>"]
    target = folder_of(name)
    if target is None:
        return [f"{where}: {folder} may not include {name}, which is in no folder of the table"]
    if target in reachable(folder) or name in HEADERS.get(folder, []):
        return []
    return [f"{where}: {folder} may not know {target} (includes {name})"]


def links_of(root, path):
    """(line, folder) of every Sluice target that a folder's CMakeLists.txt links."""
    text = re.sub(r"#[^\n]*", "", (root / path).read_text(encoding="utf-8"))
    for match in re.finditer(r"\bsluice::(\w+)", text):
        name = match.group(1)
        if name in TARGET_FOLDERS:
            folder = TARGET_FOLDERS[name]
        else:
            folder = next((f for f in ARROWS if f.split("/")[-1] == name), f"?{name}")
        if folder:
            yield line_at(text, match.start()), folder


def arrows(root):
    problems = []
    used, linked = {}, {}
    for path in sources(root):
        text = (root / path).read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            quote, name = match.groups()
            line = line_at(text, match.start())
            problems += check_include(root, path, line, quote, name)
            if quote == '"' and name not in HEADERS.get(folder_of(path), []):
                used.setdefault(folder_of(path), {}).setdefault(folder_of(name), f"{path}:{line}")
    for folder in ARROWS:
        lists = [root / folder / "CMakeLists.txt"]
        if folder not in ("core", "scaling") and not folder.startswith("core/"):
            below = sorted((root / folder).rglob("*/CMakeLists.txt"))
            lists += [
                each
                for each in below
                if folder_of(each.relative_to(root).as_posix()) == folder  # Else: its own line.
            ]
        for cmake in lists:
            if not cmake.is_file():
                continue
            linked.setdefault(folder, set())
            name = cmake.relative_to(root).as_posix()
            for line, target in links_of(root, name):
                linked[folder].add(target)
                if target not in reachable(folder):
                    problems.append(f"{name}:{line}: {folder} may not link {target}")
    # What is included must also be linked, directly or through what is linked.
    for folder, targets in used.items():
        if folder not in linked:
            continue
        closure, rest = set(), [folder, "core"]
        while rest:
            each = rest.pop()
            if each not in closure:
                closure.add(each)
                rest += linked.get(each, ())
        problems += [
            f"{where}: {folder} includes {target} but does not link it"
            for target, where in sorted(targets.items(), key=str)
            if target and target not in closure
        ]
    return problems


# --- Purity: what core must not touch -------------------------------------------------------------

IMPURE = {
    "a clock": r"\b(system|steady|high_resolution|utc|tai|gps|file)_clock\b|\bclock_gettime\b"
    r"|\bgettimeofday\b|\btime\s*\(\s*(NULL|nullptr|0)\s*\)",
    "unseeded random numbers": r"\bs?rand\s*\(|\brandom_device\b|\bmt19937|\w+_distribution\b",
    "the environment": r"\bgetenv\b",
    "output": r"\b\w*printf\s*\(|\bstd::(cout|cerr|clog)\b|\bputs\s*\(",
    "files": r"\bfopen\b|\b[io]?fstream\b|\bstd::filesystem\b|\bmmap\s*\(",
    "threads": r"\bstd::(j?thread|mutex|condition_variable|async)\b|\bpthread_\w+|\bthread_local\b",
    "floating point": r"\bfloat\b|\bdouble\b",
    "unordered iteration": r"\bunordered_(multi)?(map|set)\b",
    "exceptions of its own": r"\bthrow\b",
    "a backend's name": r"#\s*if.*\b(DPDK|NS3)\b|\bis_simulated\b",
}
# (file, what): why it may.
PURITY_ALLOWED = {
    ("core/check.cpp", "output"): "the one output of core: it is the last before abort",
}


def without_comments(text, strings=True):
    """The text with comments (and string contents) blanked, every line where it was."""
    pattern = (
        r'//[^\n]*|/\*.*?\*/|R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'"
    )

    def blank(match):
        found = match.group(0)
        if found[0] in "\"'R" and not strings:
            return found
        if found[0] in "\"'R":
            return '"' + re.sub(r"[^\n]", " ", found[1:-1]) + '"'
        return re.sub(r"[^\n]", " ", found)

    return re.sub(pattern, blank, text, flags=re.S)


def purity(root):
    problems = []
    for path in sources(root, [f for f in ARROWS if f.startswith("core")] + ["scaling"]):
        # Preprocessor lines stay: <iostream> has no code that a pattern would see.
        text = without_comments((root / path).read_text(encoding="utf-8"))
        for what, pattern in IMPURE.items():
            if (path, what) in PURITY_ALLOWED:
                continue
            problems += [
                f"{path}:{line_at(text, m.start())}: core uses {what}: {m.group(0).strip()}"
                for m in re.finditer(pattern, text)
            ]
    return problems


# --- Size: 70 lines a function, 100 columns a line ------------------------------------------------

LINES_MAX = 70
COLUMNS_MAX = 100
CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum|extern|concept)\b")


def functions(text):
    """(first line, last line, head) of every function definition; lambdas belong to theirs."""
    text = re.sub(
        r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
        lambda m: re.sub(r"[^\n]", " ", m.group(0)),
        without_comments(text),
        flags=re.M,
    )
    head_start, depth, function = 0, 0, None
    stack = []  # Of each open brace: "container", "function", "inner" or "init".
    for match in re.finditer(r"[{};]", text):
        symbol, at = match.group(0), match.start()
        head = text[head_start:at]
        if symbol == "{":
            if function is not None:
                stack.append("inner")
            elif re.search(r"\)[^()]*:(?!:)[^{}]*[\w>]\s*$", re.sub(r"\{[^{}]*\}", "", head)):
                stack.append("init")  # A member initialiser: the head goes on behind it.
                continue
            elif (
                "(" in head
                and not re.match(r"\s*(template\s*<[^{}]*>\s*)?(class|struct|enum)\b", head)
                and not re.search(r"=\s*$", head)
            ):
                stack.append("function")
                lead = len(head) - len(head.lstrip())
                function = (line_at(text, head_start + lead), " ".join(head.split()), len(stack))
            else:
                stack.append("container" if CONTAINER.search(head) else "inner")
        elif symbol == "}" and stack:
            kind = stack.pop()
            if kind == "init":
                continue
            if kind == "function":
                yield function[0], line_at(text, at), function[1]
                function = None
        elif symbol == ";" and stack and stack[-1] == "init":
            continue
        head_start = match.end()


def size(root):
    problems = []
    for path in sources(root, sorted(ARROWS) + ["tests"]):
        text = (root / path).read_text(encoding="utf-8")
        problems += [
            f"{path}:{i}: {len(line)} columns; at most {COLUMNS_MAX}"
            for i, line in enumerate(text.split("\n"), 1)
            if len(line) > COLUMNS_MAX
        ]
        problems += [
            f"{path}:{first}: {last - first + 1} lines; at most {LINES_MAX}: {head[:60]}"
            for first, last, head in functions(text)
            if last - first + 1 > LINES_MAX
        ]
    for path in sorted(p for p in root.rglob("*.py") if not set(p.parts) & {"results", ".git"}):
        name = path.relative_to(root).as_posix()
        if name.startswith("build"):
            continue
        problems += [
            f"{name}:{i}: {len(line)} columns; at most {COLUMNS_MAX}"
            for i, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
            if len(line) > COLUMNS_MAX
        ]
    return problems


# --- Licences: which libraries a program ends up with ---------------------------------------------

NS3 = "libns3"  # GPL-2.0-only.
# What must not come together with it, and why.
NOT_WITH_NS3 = {
    "libglpk": "GPL-3+",
    "libzookeeper": "Apache-2.0",
    "libgrpc": "Apache-2.0",
    "libabsl": "Apache-2.0",
    "libgsl": "GPL-3+",
}
# Nor with GLPK (GPL-3+): placement is a program of its own, which a host asks through a pipe.
GLPK = "libglpk"
NOT_WITH_GLPK = {"libzookeeper": "Apache-2.0"}
# Debian's libns3 itself links libgsl: the one known exception. Only libns3 may bring it.
KNOWN = "libgsl"
# The programs that are meant to simulate; all others must be free of ns-3.
SIMULATING = {"sluice-sim", "sluice-bench", "sluice-bench-sim", "sluice-example-web"}


def library_problems(program, closure, direct):
    """`closure`: all libraries that a program loads; `direct`: those it asks for itself."""

    def has(prefix, names):
        return any(re.match(re.escape(prefix) + r"([-._0-9]|$)", n) for n in names)

    problems = []
    if has(GLPK, closure):
        problems += [
            f"{program}: {library} ({licence}) together with {GLPK} (GPL-3+)"
            for library, licence in NOT_WITH_GLPK.items()
            if has(library, closure)
        ]
    if not has(NS3, closure):
        return problems
    if program not in SIMULATING:
        problems.append(
            f"{program}: reaches {NS3} (GPL-2.0-only) and is not one of "
            f"{', '.join(sorted(SIMULATING))}"
        )
    for library, licence in NOT_WITH_NS3.items():
        if has(library, direct if library == KNOWN else closure):
            problems.append(f"{program}: {library} ({licence}) together with {NS3} (GPL-2.0-only)")
    return problems


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def licences(folder):
    programs = sorted(p for p in folder.glob("sluice*") if p.is_file())
    if not programs:
        return [f"{folder}: no program of ours is here, so nothing was checked"]
    problems = []
    for program in programs:
        if program.read_bytes()[:4] != b"\x7fELF":
            continue
        closure = [
            line.split()[0].rsplit("/", 1)[-1]
            for line in run("ldd", program).splitlines()
            if line.strip()
        ]
        direct = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", program))
        problems += library_problems(program.name, closure, direct)
    return problems


# --- Scripts --------------------------------------------------------------------------------------


def scripts(root):
    """What of the shell scripts does not begin as all should; shellcheck runs in CI."""
    problems = []
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink()):
        name = path.relative_to(root).as_posix()
        if name.startswith(("build", ".git/", "results/", "tests/fuzz/corpus/")):
            continue
        with path.open("rb") as file:
            if not re.match(rb"#!.*\bbash\b", file.readline(80)):
                continue
        if "\nset -euo pipefail\n" not in path.read_text(encoding="utf-8"):
            problems.append(f"{name}:1: a bash script without `set -euo pipefail`")
        if not path.stat().st_mode & 0o100:
            problems.append(f"{name}:1: a bash script that is not executable")
    return problems


def main():
    checks = {
        "arrows": arrows,
        "purity": purity,
        "size": size,
        "licences": licences,
        "scripts": scripts,
    }
    if len(sys.argv) != 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    problems = checks[sys.argv[1]](pathlib.Path(sys.argv[2]).resolve())
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
