"""What scripts/bench and scripts/profile make of figures: python3 -m unittest discover -s scripts/bench_parts -t scripts"""
import glob
import gzip
import importlib.machinery
import importlib.util
import math
import os
import tempfile
import types
import unittest
import xml.etree.ElementTree as xml

from bench_parts import build, chart, documents, emulators, measure, special, suite, table, versions

SVG = "{http://www.w3.org/2000/svg}"


def sample(cpu=1.0, output=b"", status=0, peak=1000):
    return measure.Sample(cpu, 2 * cpu, peak, status, output, "")


def program(kind, name, skipped=None, **times):
    figures = {who.replace("_", "-"): {"cpu": cpu, "wall": cpu, "peak": 1} for who, cpu in times.items()}
    return {"class": kind, "program": name, "figures": figures, "skipped": skipped or {}}


def figures():
    programs = [
        program("integer", "sieve", native=0.1, qemu=0.4, qemu_lua=0.2),
        program("integer", "sort", native=0.2, qemu=3.2, qemu_lua=1.6),
        program("crypto", "sha", {"qemu": "dies of SIGILL"}, native=0.1, qemu_lua=0.5),
        program("crypto", "aes", native=0.1, qemu=1.0, qemu_lua=0.2),
    ]
    extra = [
        special.row("getppid", "ns", {"native": 80.0, "qemu": 214.0, "qemu-lua": 98.0}),
        special.row("2 threads against 1", "times as fast", {"native": 1.99, "qemu": 1.9, "qemu-lua": 1.97}),
    ]
    return {"runs": 5, "programs": programs, "special": extra, "missing": ["x86_64 node: not here"]}


def data():
    host = {"cpu": "A & B <processor>", "cores": 2, "kernel": "6.1", "date": "2026-01-01"}
    return {"host": host, "arches": {"x86_64": figures(), "aarch64": figures()}}


class Versions(unittest.TestCase):
    def test_what_counts_of_a_version_are_two_numbers(self):
        for version in ["20.20.2-1nodesource1+repack1", "1:20.20.2+dfsg-1~deb12u3", "20.20.2"]:
            self.assertEqual(versions.release(version), "20.20")

    def test_a_roots_version_is_the_newest_of_its_changelog(self):
        with tempfile.TemporaryDirectory() as root:
            self.assertIsNone(versions.of_root(root, "nodejs"))
            os.makedirs(os.path.join(root, "usr/share/doc/nodejs"))
            with gzip.open(os.path.join(root, "usr/share/doc/nodejs/changelog.Debian.gz"), "wt") as log:
                log.write("nodejs (18.20.4+dfsg-1) bookworm; urgency=low\n\nnodejs (18.13.0-1) sid; urgency=low\n")
            self.assertEqual(versions.of_root(root, "nodejs"), "18.20")
            self.assertIsNone(versions.in_native_root(root, "/usr/bin/node"))


class Tables(unittest.TestCase):
    def test_a_class_is_the_geometric_mean_of_multiples(self):
        rows = {row["row"]: row for row in table.class_rows(figures())}
        integer = rows["integer kernels"]["values"]
        self.assertAlmostEqual(integer["native"], 1.0)
        self.assertAlmostEqual(integer["qemu"], 8.0)
        self.assertAlmostEqual(integer["qemu-lua"], 4.0)

    def test_a_mean_of_fewer_programs_says_so(self):
        rows = {row["row"]: row for row in table.class_rows(figures())}
        self.assertEqual(table.cell(rows["crypto"], "qemu"), "10.0 (1 of 2)")
        self.assertEqual(table.cell(rows["crypto"], "qemu-lua"), "3.16")

    def test_markdown_has_a_column_for_everybody_in_every_row(self):
        lines = table.markdown(data()).splitlines()
        self.assertEqual({line.count("|") for line in lines}, {7})
        self.assertEqual(lines[0], "| | native | x86-64: qemu | x86-64: qemu-lua | AArch64: qemu | AArch64: qemu-lua |")
        self.assertIn("| getppid, ns | 80.0 | 214 | 98.0 | 214 | 98.0 |", lines)

    def test_what_is_left_out_is_said_with_the_reason(self):
        text = table.programs_markdown(data())
        self.assertIn("* sha has no figure of qemu: dies of SIGILL", text)
        self.assertIn("* x86_64 node: not here", text)
        self.assertIn("| crypto | sha | 100 | - | 5.00 |", text)

    def test_versions_are_short(self):
        self.assertEqual(table.short("qemu 7.2.22"), "qemu 7.2")
        self.assertEqual(table.short("qemu-lua"), "qemu-lua")


class Charts(unittest.TestCase):
    def setUp(self):
        self.root = xml.fromstring(chart.svg(data()))

    def bars(self):
        return {bar.find(SVG + "title").text: float(bar.get("width")) for bar in self.root.iter(SVG + "rect") if len(bar)}

    def test_bars_are_as_long_as_the_logarithms(self):
        bars = self.bars()
        eight, four = bars["integer kernels: qemu 8.00 x native"], bars["integer kernels: qemu-lua 4.00 x native"]
        self.assertAlmostEqual(eight / four, math.log(8) / math.log(4), places=2)

    def test_everything_is_inside(self):
        _, _, width, height = map(float, self.root.get("viewBox").split())
        for bar in self.root.iter(SVG + "rect"):
            self.assertLessEqual(float(bar.get("x")) + float(bar.get("width")), width)
            self.assertLessEqual(float(bar.get("y")) + float(bar.get("height")), height)

    def test_what_is_better_when_it_is_more_is_no_bar(self):
        self.assertFalse([title for title in self.bars() if "threads" in title])

    def test_there_are_colours_for_dark_pages(self):
        self.assertIn("prefers-color-scheme:dark", self.root.find(SVG + "style").text)


class Measuring(unittest.TestCase):
    def test_the_launcher_is_understood(self):
        self.assertEqual(measure.parse("0.120000 0.500000 1234 256\n"), (0.12, 0.5, 1234, 256))

    def test_a_wrong_output_is_no_measurement(self):
        runners = {
            "native": lambda: sample(1.0, b"right"),
            "qemu": lambda: sample(2.0, b"wrong"),
            "qemu-lua": lambda: sample(3.0, b"right"),
        }
        found, reasons = measure.alternate(runners, 3)
        self.assertEqual(reasons, {"qemu": "prints something else"})
        self.assertEqual({who: f["cpu"] for who, f in found.items()}, {"native": 1.0, "qemu-lua": 3.0})

    def test_who_fails_is_not_asked_again(self):
        calls = []
        runners = {"native": sample, "qemu": lambda: calls.append(1) or sample(status=4)}
        _, reasons = measure.alternate(runners, 3)
        self.assertEqual((len(calls), reasons), (1, {"qemu": "dies of SIGILL"}))

    def test_figures_are_medians_of_runs_in_alternation(self):
        order, times = [], iter([5.0, 1.0, 2.0])
        runners = {"native": lambda: order.append("n") or sample(), "qemu": lambda: order.append("q") or sample(next(times))}
        found, _ = measure.alternate(runners, 3)
        self.assertEqual((found["qemu"]["cpu"], "".join(order)), (2.0, "nqnqnq"))

    def test_our_failures_are_failures(self):
        found = {"native": 1, "qemu": 4, "first": 3}, {"second": "dies of SIGSEGV"}
        self.assertEqual(measure.one_of_two("first", "qemu-lua", *found), ({"native": 1, "qemu": 4, "qemu-lua": 3}, {}))
        second = ({"native": 1, "qemu": 4}, {"qemu-lua": "dies of SIGSEGV"})
        self.assertEqual(measure.one_of_two("second", "qemu-lua", *found), second)


class Suite(unittest.TestCase):
    def test_every_kernel_is_there_and_every_source_is_measured(self):
        sources = {os.path.basename(path)[:-2] for path in glob.glob(os.path.join(suite.KERNEL_SOURCES, "*.c"))}
        measured = {name for _, _, names in suite.KERNELS for name in names} | set(suite.SPECIAL)
        self.assertEqual(sources, measured)

    def test_flags_are_read_from_the_sources(self):
        source = os.path.join(suite.KERNEL_SOURCES, "vector_i32_avx2.c")
        self.assertIn("-mavx2", suite.kernel_flags(source, "x86_64"))
        self.assertIsNone(suite.kernel_flags(source, "aarch64"))

    def test_inputs_are_the_same_in_every_run(self):
        self.assertEqual(next(build.lines(1)), "6c576f line 0 abcabcabc\n")

    def test_qemus_of_one_version_are_told_apart(self):
        first = emulators.Emulator("qemu 7.2", "a")
        self.assertEqual(emulators.unused("qemu 7.2", [first]), "qemu 7.2 #2")


class Profile(unittest.TestCase):
    def setUp(self):
        path = os.path.join(suite.ROOT, "scripts", "profile")
        loader = importlib.machinery.SourceFileLoader("profile_script", path)
        self.profile = importlib.util.module_from_spec(importlib.util.spec_from_loader("profile_script", loader))
        loader.exec_module(self.profile)
        self.tiers = self.profile.Tiers("CODE: 0x1000 0x20 template 0x400000\nother\nCODE: 0x1040 0x100 region 0x400010\n")

    def named(self, line, blocks=False):
        sample = self.profile.SAMPLE.match(line)
        return self.profile.kind_and_name(sample, self.tiers, "qemu-lua-x86_64", blocks)

    def test_code_is_of_a_tier(self):
        found = [self.tiers.of(at) for at in (0xFFF, 0x1000, 0x101F, 0x1020, 0x1100)]
        self.assertEqual(found, [None, "template", "template", None, "region"])

    def test_blocks_add_up_to_functions(self):
        line = " 4711     1048 fib+0x1b ([JIT] tid 4711)"
        self.assertEqual(self.named(line), ("region", "fib"))
        self.assertEqual(self.named(line, blocks=True), ("region", "fib+0x1b"))

    def test_the_rest_is_the_emulators_the_kernels_or_others(self):
        self.assertEqual(self.named("1 7e8000020000 guest::ir::f (/a/qemu-lua-x86_64)"), ("emulator", "guest::ir::f"))
        self.assertEqual(self.named("1 ffffffff81000000 [unknown] ([kernel.kallsyms])"), ("kernel", "kernel"))
        self.assertEqual(self.named("1 7fff00000000 [unknown] ([vdso])"), ("other", "[unknown]"))


class Documents(unittest.TestCase):
    def test_text_goes_between_the_marks(self):
        text = "a\n<!-- benchmark -->\nold\n<!-- end of benchmark -->\nb\n"
        expected = "a\n<!-- benchmark -->\nnew\n<!-- end of benchmark -->\nb\n"
        self.assertEqual(documents.put(text, "benchmark", "new\n"), expected)

    def test_the_documents_have_their_marks(self):
        for path in ["README.md", "docs/benchmarks.md"]:
            with open(os.path.join(suite.ROOT, path)) as file:
                documents.put(file.read(), "benchmark", "")

    def test_the_host_is_named(self):
        self.assertEqual(
            documents.host_line(types.MappingProxyType(data())),
            "Measured on A & B <processor>, 2 cores, Linux 6.1; medians of 5 runs, in alternation.\n",
        )
        once = data()
        for figures in once["arches"].values():
            figures["runs"] = 1
        self.assertIn("; one run of each, in alternation.", documents.host_line(once))


if __name__ == "__main__":
    unittest.main()
