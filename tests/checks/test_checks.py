#!/usr/bin/python3
"""Each check can fail: it is held against a small tree with the mistake that it is there for, and one without."""

import json
import os
import shutil
import tempfile
import unittest

import architecture
import clients
import cppcheck
import dashboards
import format as format_check
import layers
import manpages
import messages
import prometheus
import scripts
import seams
import tidy
import units

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class CheckTest(unittest.TestCase):
    """A tree per test, which vanishes after it."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="wattport-checks-")
        self.addCleanup(directory.cleanup)
        self.root = directory.name

    def write(self, path, text, mode=0o644):
        """Puts a file into the tree."""
        absolute = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(absolute), exist_ok=True)
        with open(absolute, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(absolute, mode)

    def expect(self, findings, *wanted):
        """The findings are these, each known by a part of its text, in this order."""
        findings = list(findings)
        self.assertEqual(len(findings), len(wanted), findings)
        for finding, part in zip(findings, wanted):
            self.assertIn(part, finding)

    def need(self, program):
        """Skips the test where a program is not installed."""
        if shutil.which(program) is None:
            self.skipTest(f"{program} is not installed")

    def test_clients(self):
        self.write("tests/clients/matrix/a.py", 'CLIENT = Client(name="a one", package="x")\n')
        self.write("tests/clients/matrix/b.py", 'CLIENT = replace(A, name="b")\n')
        table = "<!-- matrix: -->\n| client | x |\n| --- | --- |\n| a one | y |\n%s<!-- end of matrix -->\n| c | no row |\n"
        self.write("docs/clients.md", table % "| b | z |\n")
        self.expect(clients.check(self.root))
        self.write("docs/clients.md", table % "| c | z |\n")
        self.expect(clients.check(self.root), "b is missing", "c is in no file")

    def test_layers(self):
        self.write("host/a.h", "")
        self.write("common/b.h", "")
        self.write("common/b_internal.h", "")
        self.write("host/good.c", '#include "common/b.h"\n#include "host/a.h"\n/* #include "guest/x.h" */\n')
        self.expect(layers.check(self.root))
        self.write("common/bad.c", '#include "common/b.h"\n#include "host/a.h"\n')
        self.write("guest/bad.c", '#include "b.h"\n#include "common/b_internal.h"\n#include "common/gone.h"\n')
        self.expect(layers.check(self.root), "common/bad.c:2", "guest/bad.c:1", "guest/bad.c:2", "guest/bad.c:3")

    def test_seams(self):
        self.write("common/sysroot.c", 'open("/proc");\n')
        self.write("common/good.c", '/* "/sys" strtol( */ say("call sscanf() on /proc");\nmy_time(x);\n')
        self.expect(seams.check(self.root))
        self.write("common/bad.c", 'open("/sys/class");\nstrtoull(x);\nclock_gettime(a, b);\nsprintf(x);\n')
        self.write("guest/long.c", "\n" * (seams.LINES_MAX + 1))
        self.write("tests/unit/test_bad.c", "usleep(1);\n")
        self.expect(seams.check(self.root), "common/bad.c:1", "common/bad.c:2", "common/bad.c:3", "common/bad.c:4",
                    "guest/long.c:501", "test_bad.c:1: usleep(")

    def test_format(self):
        self.need("clang-format")
        shutil.copy(os.path.join(ROOT, ".clang-format"), self.root)
        self.write("host/good.c", "int good(void)\n{\n\treturn 0;\n}\n")
        self.expect(format_check.check(self.root))
        self.write("host/bad.c", "int bad(void) { return 0;   }\n")
        self.expect(format_check.check(self.root), "host/bad.c:1: run clang-format")

    def test_tidy(self):
        self.need("clang-tidy")
        shutil.copy(os.path.join(ROOT, ".clang-tidy"), self.root)
        path = os.path.join(self.root, "host/file.c")
        commands = [{"file": path, "directory": self.root, "command": f"gcc -I{self.root} -c {path}"}]
        self.write("compile_commands.json", json.dumps(commands))
        self.write("host/file.h", "int good(void);\n")
        self.write("host/file.c", '#include "host/file.h"\nint good(void)\n{\n\treturn 0;\n}\n')
        self.expect(tidy.check(self.root, self.root))
        self.write("host/file.h", "int good(void);\n#define BAD ((1)\n")
        self.write("host/file.c", '#include "host/file.h"\nint Good(int x)\n{\n\tif (x = 1);\n\treturn 0;\n}\n')
        self.assertTrue(any("'Good'" in finding for finding in tidy.check(self.root, self.root)))

    def test_tidy_looks_again_when_a_header_changes(self):
        self.need("clang-tidy")
        shutil.copy(os.path.join(ROOT, ".clang-tidy"), self.root)
        path = os.path.join(self.root, "host/file.c")
        commands = [{"file": path, "directory": self.root, "command": f"gcc -I{self.root} -c {path}"}]
        self.write("compile_commands.json", json.dumps(commands))
        self.write("host/file.h", "#define VALUE 0\n")
        self.write("host/file.c", '#include "host/file.h"\nint good(void)\n{\n\treturn VALUE;\n}\n')
        self.expect(tidy.check(self.root, self.root))
        self.write("host/file.h", "#define VALUE absent\n")
        self.expect(tidy.check(self.root, self.root), "absent")

    def test_cppcheck(self):
        self.need("cppcheck")
        self.write("host/good.c", "int good(void)\n{\n\treturn 0;\n}\n")
        self.expect(cppcheck.check(self.root))
        self.write("host/bad.c", "int bad(void)\n{\n\tconst int a[2] = {0, 0};\n\n\treturn a[2];\n}\n")
        self.expect(cppcheck.check(self.root), "arrayIndexOutOfBounds")

    def test_cppcheck_suppression_needs_a_reason(self):
        self.need("cppcheck")
        self.write("suppressions", "# Because.\nmemleak\nresourceLeak\n\nunusedFunction\n")
        self.expect(cppcheck.check(self.root, None, os.path.join(self.root, "suppressions")), "5: unusedFunction")

    def test_architecture(self):
        self.write("common/diag.c", "")
        self.write("common/diag.h", "")
        self.write("common/diag_internal.h", "")
        self.write("docs/architecture.md", "## common/\n* `diag.c`: why.\n")
        self.expect(architecture.check(self.root))
        self.write("host/new.c", "")
        self.write("docs/architecture.md", "## common/\n* `diag.c`\n## `host/`: h\n* `gone.c`\n## Tests\n`host/old.c`\n")
        self.expect(architecture.check(self.root), "4: host/gone.c", "6: host/old.c", "host/new.c has no line")

    def test_units(self):
        self.need("systemd-analyze")
        build = os.path.join(self.root, "build/packaging")
        whole = os.path.join(ROOT, "packaging/systemd")
        for name in units.EXPOSURE_MAX:
            text = open(os.path.join(whole, f"{name}.service.in"), encoding="utf-8").read()
            self.write(f"build/packaging/{name}.service", text.replace("@CMAKE_INSTALL_FULL_SBINDIR@", "/usr/sbin").replace(
                "@CMAKE_INSTALL_FULL_BINDIR@", "/usr/bin"))
        self.expect(units.check(self.root, os.path.dirname(build)))
        weak = os.path.join(build, "wattport-fs.service")
        with open(weak, encoding="utf-8") as file:
            text = file.read()
        self.write(weak, text.replace("ProtectSystem=strict\n", "").replace("PrivateNetwork=yes\n", "").replace("NoNewPrivileges=yes\n", ""))
        self.expect(units.check(self.root, os.path.dirname(build)), "wattport-fs.service: exposure")
        self.write(weak, text.replace("ProtectSystem=strict", "ProtectSystm=strict"))
        self.expect(units.check(self.root, os.path.dirname(build)), "ProtectSystm")
        os.remove(weak)
        self.expect(units.check(self.root, os.path.dirname(build)), "wattport-fs.service: is not there")

    def test_manpages(self):
        self.need("groff")
        self.write("host/CMakeLists.txt", "add_executable(prog main.c)\n")
        self.expect(manpages.check(self.root), "prog has no page")
        page = '.TH PROG 1 2024-01-01 Wattport\n.SH NAME\nprog \\- do\n.TP\n.B \\-\\-fast\nFast.\n'
        self.write("docs/man/prog.1", page)
        self.write("out/host/prog", "#!/bin/sh\necho 'prog [--fast]'\n", 0o755)
        build = os.path.join(self.root, "out")
        self.expect(manpages.check(self.root, build))
        self.write("docs/man/prog.1", page + ".NOSUCH macro\n")
        self.write("out/host/prog", "#!/bin/sh\necho 'prog [--fast] [--slow]'\n", 0o755)
        self.expect(manpages.check(self.root, build), "NOSUCH", "--slow")
        self.write("out/host/prog", "#!/bin/sh\nexit 2\n", 0o755)
        self.expect(manpages.check(self.root, build), "NOSUCH", "exit status 2")

    def test_messages(self):
        self.write("host/file.c", 'say("cannot open %s; "\n    "load it", name); /* never said */\n')
        self.write("docs/troubleshooting.md", "**`cannot open ...; load it`**\n**Other `words`**\n")
        self.expect(messages.check(self.root))
        self.write("docs/troubleshooting.md", "x\n**`never said`**\n")
        self.expect(messages.check(self.root), "2: no program says: never said")

    def test_prometheus(self):
        self.need("promtool")
        shutil.copytree(os.path.join(ROOT, "packaging/prometheus"), os.path.join(self.root, "packaging/prometheus"))
        alert = """groups:
  - name: some
    rules:
      - alert: WattportDown
        expr: |
          up{job="a"} == 0
        labels:
          severity: warning
        annotations:
          summary: "a"
          description: "b"
          runbook: "do; docs/troubleshooting.md#wattportdown"
"""
        test = """rule_files: [../../packaging/prometheus/wattport.alerts.yml]
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="a"}', values: 1 0 0}
      - {series: 'up{job="b"}', values: 0 0 0}
    promql_expr_test:
      - {expr: ALERTS, eval_time: 0m}
      - expr: ALERTS
        eval_time: 1m
        exp_samples:
          - labels: ALERTS{alertname="WattportDown",alertstate="firing",job="a",severity="warning"}
            value: 1
"""
        self.write(prometheus.RECORDING, "groups: []\n")
        self.write(prometheus.ALERTS, alert)
        self.write(prometheus.TESTS, test)
        self.write(prometheus.DOCUMENT, "### WattportDown\n")
        self.expect(prometheus.check(self.root))
        self.write(prometheus.TESTS, test.replace('      - {series: \'up{job="b"}\', values: 0 0 0}\n', "").replace(
            "      - {expr: ALERTS, eval_time: 0m}\n", ""))
        self.expect(prometheus.check(self.root), "WattportDown when it lacks == 0", 'WattportDown when it lacks {job="a"}')
        self.write(prometheus.TESTS, test.replace("value: 1", "value: 2"))
        self.assertTrue(any("FAILED" in finding for finding in prometheus.check(self.root)))
        self.write(prometheus.TESTS, test)
        self.write(prometheus.ALERTS, alert.replace('summary: "a"', 'summary: "{{ $labels.a"').replace("#wattportdown", ""))
        self.write(prometheus.DOCUMENT, "### WattportDown\n### WattportGone\n")
        found = "\n".join(prometheus.check(self.root))
        for part in ("the runbook of WattportDown", "no alert WattportGone", "unclosed action"):
            self.assertIn(part, found)

    def test_dashboards(self):
        self.need("promtool")
        folder = "packaging/grafana"
        shutil.copytree(os.path.join(ROOT, "packaging"), os.path.join(self.root, "packaging"))
        with open(os.path.join(ROOT, dashboards.DOCUMENT), encoding="utf-8") as file:
            self.write(dashboards.DOCUMENT, file.read())
        self.expect(dashboards.check(self.root))
        path = os.path.join(self.root, folder, "wattport-host.json")
        with open(path, encoding="utf-8") as file:
            whole = json.load(file)

        def expect(change, *wanted):
            model = json.loads(json.dumps(whole))
            change(model, model["panels"][1])
            self.write(f"{folder}/wattport-host.json", json.dumps(model))
            self.expect(dashboards.check(self.root), "is not what", *wanted)

        expect(lambda model, panel: panel.update(type="some-plugin"), "does not come with Grafana", "has no legend")
        expect(lambda model, panel: panel.update(description=""), "does not say")
        expect(lambda model, panel: panel.update(targets=[]), "asks nothing")
        expect(lambda model, panel: panel["gridPos"].update(x=3), "lies over")
        expect(lambda model, panel: panel["fieldConfig"]["defaults"].update(unit=""), "no unit")
        expect(lambda model, panel: panel["targets"][0].update(datasource={"uid": "P1"}), "the data source")
        expect(lambda model, panel: panel["targets"][0].update(expr="sum(up{x=\"$nobody\"})"), "nobody defines $nobody")
        expect(lambda model, panel: panel["targets"][0].update(expr="wattport_gone_total"), "has no wattport_gone_total")
        expect(lambda model, panel: panel["targets"][0].update(expr="sum(up"), "unclosed left paren")
        expect(lambda model, panel: model["templating"]["list"].append({"name": "more", "type": "custom"}), "nobody uses $more")

    def test_scripts(self):
        self.write("good", "#!/bin/bash\ntrue\n", 0o755)
        self.write("good.py", "#!/usr/bin/python3\npass\n", 0o755)
        self.expect(scripts.check(self.root))
        self.write("bad.py", "def\n")
        self.write("lame", "#!/bin/bash\nexit 0\n")
        self.expect(scripts.check(self.root), "bad.py:1", "lame:1: chmod")
        os.remove(os.path.join(self.root, "bad.py"))
        os.remove(os.path.join(self.root, "lame"))
        self.write("bad", "#!/bin/bash\nif true; then\n", 0o755)
        self.assertTrue(list(scripts.check(self.root)))


if __name__ == "__main__":
    unittest.main()
