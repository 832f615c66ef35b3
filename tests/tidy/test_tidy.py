#!/usr/bin/python3
"""Plants a violation of each kind in a small tree and sees that tidy.py finds it, and only it."""

import pathlib
import tempfile
import unittest

import tidy


class Planted(unittest.TestCase):
    """A tree that keeps all rules; each test breaks one."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.write(
            "core/CMakeLists.txt", "sluice_library(base SOURCES check.cpp LINK tl::expected)\n"
        )
        self.write("core/units.hpp", "#pragma once\n#include <cstdint>\n")
        self.write("core/packet/CMakeLists.txt", "sluice_library(packet LINK sluice::base)\n")
        self.write("core/packet/packet.hpp", '#include "core/units.hpp"\n')
        self.write("core/host/CMakeLists.txt", "sluice_library(host LINK sluice::packet)\n")
        self.write("core/host/worker.hpp", '#include "core/packet/packet.hpp"\n')
        self.write("core/host/load_sample.hpp", '#include "core/units.hpp"\n')
        self.write("scaling/CMakeLists.txt", "sluice_library(scaling LINK sluice::base)\n")
        self.write("scaling/autoscaler.hpp", '#include "core/host/load_sample.hpp"\n')

    def write(self, path, text):
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def one(self, problems, *parts):
        self.assertEqual(len(problems), 1, problems)
        for part in parts:
            self.assertIn(part, problems[0])

    def test_a_clean_tree_has_no_problem(self):
        for check in (tidy.arrows, tidy.purity, tidy.size, tidy.scripts):
            self.assertEqual(check(self.root), [])

    # Arrows.
    def test_an_include_against_an_arrow(self):
        self.write(
            "core/packet/packet.hpp", '#include "core/units.hpp"\n#include "core/host/worker.hpp"\n'
        )
        problems = tidy.arrows(self.root)  # It is not linked either.
        self.assertTrue(all(p.startswith("core/packet/packet.hpp:2:") for p in problems), problems)
        self.assertIn("core/packet may not know core/host", problems[0])

    def test_an_include_of_a_header_beside_the_allowed_one(self):
        self.write("scaling/autoscaler.hpp", '#include "core/host/worker.hpp"\n')
        problems = tidy.arrows(self.root)
        self.assertIn("scaling may not know core/host", problems[0])

    def test_an_include_relative_to_its_own_folder(self):
        self.write("core/packet/packet.hpp", '#include "units.hpp"\n')
        self.one(tidy.arrows(self.root), "not a path from the root")

    def test_an_include_that_is_not_linked(self):
        self.write("core/host/CMakeLists.txt", "sluice_library(host LINK sluice::base)\n")
        self.one(tidy.arrows(self.root), "core/host includes core/packet but does not link it")

    def test_a_link_against_an_arrow(self):
        self.write(
            "core/packet/CMakeLists.txt",
            "sluice_library(packet LINK sluice::base\n sluice::host)\n",
        )
        self.one(tidy.arrows(self.root), "core/packet/CMakeLists.txt:2", "may not link core/host")

    def test_a_link_to_what_the_table_does_not_know(self):
        self.write("core/packet/CMakeLists.txt", "sluice_library(packet LINK sluice::mystery)\n")
        self.one(tidy.arrows(self.root), "may not link ?mystery")

    def test_a_link_in_a_comment_is_none(self):
        self.write(
            "core/packet/CMakeLists.txt",
            "# Not sluice::host.\nsluice_library(packet LINK sluice::base)\n",
        )
        self.assertEqual(tidy.arrows(self.root), [])

    def test_a_foreign_header_in_core(self):
        for header in ("fmt/format.h", "ns3/packet.h", "unistd.h", "sys/mman.h", "yaml-cpp/yaml.h"):
            self.write("core/packet/packet.hpp", f"#include <{header}>\n")
            self.one(tidy.arrows(self.root), f"core/packet may not include <{header}>")

    def test_the_system_headers_outside_core(self):
        self.write("cli/main.cpp", "#include <unistd.h>\n#include <fmt/format.h>\n")
        self.assertEqual(tidy.arrows(self.root), [])

    def test_a_librarys_header_that_looks_like_the_systems(self):
        self.write("backends/dpdk/port.cpp", "#include <rte_mbuf.h>\n#include <unistd.h>\n")
        self.assertEqual(tidy.arrows(self.root), [])
        for folder in ("backends/process", "backends/ns3", "cli", "sim"):
            self.write(f"{folder}/port.cpp", "#include <rte_mbuf.h>\n")
            self.one(tidy.arrows(self.root), f"{folder} may not include <rte_mbuf.h>")
            self.write(f"{folder}/port.cpp", "")

    def test_a_folder_within_another_is_looked_at_once(self):
        self.write("cli/results/run_writer.hpp", '#include "core/host/worker.hpp"\n')
        self.one(tidy.arrows(self.root), "cli/results may not know core/host")

    # Purity.
    def test_what_core_must_not_use(self):
        for code, what in (
            ("auto t = std::chrono::steady_clock::now();", "a clock"),
            ("int r = rand();", "random"),
            ('getenv("X");', "environment"),
            ('std::printf("x");', "output"),
            ("std::thread t;", "threads"),
            ("double mean = 0;", "floating point"),
            ("float f;", "floating point"),
            ("std::unordered_map<int, int> m;", "unordered"),
            ("throw 1;", "exceptions"),
            ("#if defined(DPDK)", "backend"),
            ("std::ifstream in;", "files"),
        ):
            self.write("core/packet/packet.cpp", f"// A comment.\n{code}\n")
            self.one(tidy.purity(self.root), "core/packet/packet.cpp:2", what)

    def test_comments_and_texts_are_not_code(self):
        self.write(
            "core/packet/packet.cpp",
            '// no double here, nor rand()\n/* steady_clock\n getenv( */\nauto t = "throw";\n'
            "constexpr auto n = 1'000'000;  // double\n",
        )
        self.assertEqual(tidy.purity(self.root), [])

    def test_the_exception_is_for_its_file_only(self):
        self.write("core/check.cpp", 'void f() { std::fprintf(stderr, "x"); }\n')
        self.assertEqual(tidy.purity(self.root), [])
        self.write("core/other.cpp", 'void f() { std::fprintf(stderr, "x"); }\n')
        self.one(tidy.purity(self.root), "core/other.cpp:1")

    # Size.
    def body(self, head, line_count):
        return (
            head
            + " {\n"
            + "  if (x) {\n    call({1, 2});\n  }\n" * ((line_count - 2) // 3)
            + "  call();\n" * ((line_count - 2) % 3)
            + "}\n"
        )

    def test_a_function_may_have_70_lines_and_not_71(self):
        for head in (
            "int f(int a)",
            "Foo::Foo(int a) : a_{a}, b_(a)",
            "auto f() -> int",
            "template <class T> requires C<T> void f(T t) noexcept",
            "TEST(Unit, DoesThings)",
            "bool operator()(int a) const",
        ):
            self.write(
                "core/packet/packet.cpp", "namespace sluice {\n" + self.body(head, 70) + "}\n"
            )
            self.assertEqual(tidy.size(self.root), [])
            self.write(
                "core/packet/packet.cpp", "namespace sluice {\n" + self.body(head, 71) + "}\n"
            )
            self.one(tidy.size(self.root), "core/packet/packet.cpp:2: 71 lines")

    def test_a_long_member_function_in_a_class(self):
        code = (
            "class A {\n public:\n  int x = 0;\n"
            + self.body("void f() const override", 80)
            + "};\n"
        )
        self.write("core/packet/packet.hpp", code)
        self.one(tidy.size(self.root), "core/packet/packet.hpp:4: 80 lines")

    def test_a_long_class_is_not_a_function(self):
        self.write(
            "core/packet/packet.hpp",
            "class A {\n"
            + "  int f();\n" * 200
            + "};\n"
            + "struct alignas(64) B {\n"
            + "  int g();\n" * 200
            + "};\n"
            + "constexpr int table[] = {\n"
            + "  f(1),\n" * 100
            + "};\n",
        )
        self.assertEqual(tidy.size(self.root), [])

    def test_a_line_may_have_100_columns_and_not_101(self):
        self.write("core/packet/packet.cpp", "//" + "x" * 98 + "\n")
        self.assertEqual(tidy.size(self.root), [])
        self.write("core/packet/packet.cpp", "//" + "x" * 99 + "\n")
        self.one(tidy.size(self.root), "101 columns")
        self.write("core/packet/packet.cpp", "")
        self.write("scripts/a.py", "#" * 101 + "\n")
        self.one(tidy.size(self.root), "scripts/a.py:1: 101 columns")

    # Licences.
    def test_the_simulator_must_not_reach_other_licences(self):
        for library in ("libglpk.so.40", "libzookeeper_mt.so.2"):
            self.one(
                tidy.library_problems("sluice-sim", ["libns3.37-core.so", library], []),
                library.split(".")[0].split("_")[0],
            )

    def test_placement_must_not_reach_the_datastores_client(self):
        self.one(
            tidy.library_problems("sluice-place", ["libglpk.so.40", "libzookeeper_mt.so.2"], []),
            "libzookeeper",
        )
        self.assertEqual(tidy.library_problems("sluice-host", ["libzookeeper_mt.so.2"], []), [])

    def test_gsl_may_come_through_ns3_only(self):
        closure = ["libns3.37-core.so", "libgsl.so.27", "libgslcblas.so.0"]
        self.assertEqual(tidy.library_problems("sluice-sim", closure, ["libns3.37-core.so"]), [])
        self.one(tidy.library_problems("sluice-sim", closure, ["libgsl.so.27"]), "libgsl")

    def test_other_programs_must_not_reach_ns3(self):
        self.one(
            tidy.library_problems("sluice-check", ["libc.so.6", "libns3-core.so"], []), "libns3"
        )
        self.assertEqual(
            tidy.library_problems("sluice-place", ["libglpk.so.40", "libgsl.so.27"], []), []
        )

    def test_no_program_at_all_is_a_problem(self):
        self.one(tidy.licences(self.root), "nothing was checked")

    def test_a_real_program_is_read(self):
        (self.root / "sluice-x").write_bytes(pathlib.Path("/bin/true").read_bytes())
        self.assertEqual(tidy.licences(self.root), [])

    # Scripts.
    def test_a_careless_script(self):
        self.write("scripts/x.sh", "#!/bin/bash\necho\n")
        problems = tidy.scripts(self.root)
        self.assertEqual(len(problems), 2, problems)
        self.assertIn("set -euo pipefail", problems[0])
        self.assertIn("not executable", problems[1])


if __name__ == "__main__":
    unittest.main()
