#!/usr/bin/python3
"""The page for people in a real browser, of a hypervisor and of a guest: its charts move, its numbers are those of the
metrics, it asks nobody but the program that served it, and names that look like HTML stay names.

Writes screenshots to the directory of --screenshots. Exit status 77: Chromium or Selenium is missing.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

import browser

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "agent"))
import machine  # pylint: disable=wrong-import-position

SKIPPED = 77
PROGRAMS = {}
SCRIPT = "<script>document.title='taken'</script>"
IMAGE = "<img src=x onerror=\"document.title='taken'\">"
NAMES = ["web-01", "db-primary", "build-runner-7", SCRIPT, IMAGE, "J\u00fcrgen's lab", "cache-02", "mail", "k8s-node-3",
         "k8s-node-4", "batch-0042", "a-name-that-a-tenant-chose-without-thinking-of-tables"]
UUIDS = [f"{i:08d}-2222-3333-4444-555555555555" for i in range(len(NAMES))]
UUID_OF = dict(zip(NAMES, UUIDS))
SIZES = [(1280, 800), (390, 844)]

# What the page shows of an account: its figure as it came, of the row that has this name.
ROW = """(() => { for (const row of document.querySelectorAll('#accounts tbody tr'))
    if (row.querySelector('.name').textContent === NAME)
        return [...row.cells].map(cell => cell.querySelector('data')?.value ?? null);
    return null; })()"""
CANVAS = """(() => { const canvas = document.querySelector('#ID canvas'), empty = document.createElement('canvas');
    empty.width = canvas.width;
    empty.height = canvas.height;
    return [canvas.toDataURL(), empty.toDataURL()]; })()"""


def canvas(page, element_id):
    """What is painted there, and what it would be if nothing were."""
    return page.evaluate(CANVAS.replace("ID", element_id))


def row(page, name):
    return page.evaluate(ROW.replace("NAME", json.dumps(name)))


def read(address):
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read().decode(), answer.headers


def sums(metrics, family, wanted):
    """The sum of a family's samples whose labels have all that is wanted."""
    total = None
    for line in metrics.splitlines():
        match = re.match(rf"{family}\{{(.*)\}} (\S+)$", line)
        if match and all(f'{key}="{value}"' in match.group(1) for key, value in wanted.items()):
            total = (total or 0) + float(match.group(2))
    return total


class Host:
    """A ledger that grows as wattportd's would, and wattport-exporter over it."""

    def __init__(self, directory, charts="auto"):
        self.directory = directory
        self.lock = threading.Lock()
        self.writer = subprocess.Popen([PROGRAMS["ledger_writer"], directory], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        self.step = 0
        self.running = False
        self.thread = None
        self.say("host isolated powercap package dram psys")
        for uuid, name in zip(UUIDS, NAMES):
            self.say(f"vm {uuid} 1 running {1000 + UUIDS.index(uuid)}")
            self.say(f"name {uuid} {name}")
        self.tick()
        self.exporter = subprocess.Popen(
            [PROGRAMS["wattport_exporter"], "--runtime-dir", directory, "--http.listen", "127.0.0.1:0", "--http.charts", charts],
            stderr=subprocess.PIPE, text=True)
        for line in self.exporter.stderr:
            match = re.search(r"\(port (\d+)\)", line)
            if match:
                self.address = f"http://127.0.0.1:{match.group(1)}"
                break
        self.drain = threading.Thread(target=self.exporter.stderr.read, daemon=True)
        self.drain.start()

    def say(self, line):
        self.writer.stdin.write(line + "\n")
        self.writer.stdin.flush()
        answer = self.writer.stdout.readline()
        assert answer == "ok\n", (line, answer)

    def tick(self):
        """One second of a host: what everybody draws is told, and what it comes to."""
        self.step += 1
        powers = [0, 0]
        for i, uuid in enumerate(UUIDS):
            for zone, part in ((0, 0.85), (1, 0.15)):
                # It only grows: the sum of the powers of all steps so far, of a saw tooth.
                watts = [part * 40 / (i + 1) * (1 + (step + 3 * i) % 10 / 10) for step in range(self.step)]
                power, energy = int(watts[-1] * 1e6), int(sum(watts) * 1e6)
                powers[zone] += power
                self.say(f"share {uuid} {zone} {power} {energy * 7 // 10} {energy * 2 // 10} {energy // 10}")
        self.say(f"zone 0 {powers[0] + 39000000} {30000000 * self.step} {9000000 * self.step}")
        self.say(f"zone 1 {powers[1] + 7000000} {6000000 * self.step} {1000000 * self.step}")
        self.say(f"zone 2 999000000 {999000000 * self.step} 0")
        self.say("publish")

    def start(self):
        """Lets the host live, a second for each second or so."""
        self.running = True
        self.thread = threading.Thread(target=self.live)
        self.thread.start()

    def live(self):
        while self.running:
            with self.lock:
                self.tick()
            time.sleep(0.9)

    def stop(self):
        self.running = False
        if self.thread:
            self.thread.join()
            self.thread = None

    def close(self):
        self.stop()
        self.exporter.terminate()
        self.exporter.wait()
        self.drain.join()
        self.exporter.stderr.close()
        self.writer.stdin.close()
        self.writer.wait()
        self.writer.stdout.close()


class PageCase(unittest.TestCase):
    """A browser for all, and what must hold of whatever it opened."""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.TemporaryDirectory(prefix="page-")
        os.chmod(cls.home.name, 0o755)
        cls.page = browser.Browser(cls.home.name)

    @classmethod
    def tearDownClass(cls):
        cls.page.close()
        cls.home.cleanup()

    def runtime(self, name):
        path = os.path.join(self.home.name, name)
        os.mkdir(path)
        os.chmod(path, 0o755)
        return path

    def check_manners(self, address, forgiven=()):
        """It asked nobody else, and the browser had nothing to complain of."""
        self.page.gather()
        foreign = [url for url in self.page.asked if not url.startswith((address + "/", "data:"))]
        self.assertEqual(foreign, [])
        self.assertGreater(len(self.page.asked), 5)
        complaints = [text for text in self.page.complaints if not any(part in text for part in forgiven)]
        self.assertEqual(complaints, [])

    def check_chart(self, element_id):
        """Points are added, and what is painted changes."""
        points = f"Number(document.getElementById('{element_id}').dataset.points)"
        first = self.page.until(f"{points} > 1 && {points}", f"points of {element_id}")
        painted = canvas(self.page, element_id)
        self.assertNotEqual(painted[0], painted[1])
        self.page.until(f"{points} > {first}", f"more points of {element_id}")
        self.assertNotEqual(canvas(self.page, element_id)[0], painted[0])

    def take(self, name):
        """Screenshots of all sizes and colours."""
        for dark in (False, True):
            for width, height in SIZES:
                self.page.look(width, height, dark)
                ground = "rgb(18, 20, 23)" if dark else "rgb(247, 247, 245)"
                self.page.until(f"getComputedStyle(document.body).backgroundColor === '{ground}'", "colours")
                self.page.until(f"innerWidth === {width}", "size")
                self.page.until("new Promise(done => requestAnimationFrame(() => setTimeout(() => done(true), 50)))", "a picture")
                self.assertLessEqual(self.page.evaluate("document.documentElement.scrollWidth"), width)
                self.page.save(f"{PROGRAMS['screenshots']}/{name}-{width}x{height}{'-dark' if dark else ''}.png")
        self.page.look(*SIZES[0])


class HostPage(PageCase):
    """wattport-exporter."""

    def test_all_of_it(self):
        host = Host(self.runtime("host"))
        self.addCleanup(host.close)
        host.start()
        self.page.look(*SIZES[0])
        self.page.open(host.address + "/")
        self.check_chart("power-chart")
        self.check_chart("energy-chart")
        self.check_names()
        self.check_headers(host)
        self.take("host")
        host.stop()
        self.check_numbers(host)
        self.check_parts(host)
        self.check_host_gone(host)
        self.check_manners(host.address)

    def check_names(self):
        """Names that look like HTML are text, and nothing else came of them."""
        shown = self.page.evaluate("[...document.querySelectorAll('#accounts tbody .name')].map(name => name.textContent)")
        self.assertEqual(set(NAMES) - set(shown), set())
        self.assertEqual(self.page.evaluate("document.querySelectorAll('#accounts script, #accounts img, #legend img').length"), 0)
        self.assertNotEqual(self.page.evaluate("document.title"), "taken")
        legend = self.page.evaluate("document.getElementById('legend').textContent")
        self.assertIn(SCRIPT, legend)

    def check_headers(self, host):
        for path in ("/", "/page/page.js", "/page/page.css", "/page/charts.js", "/api/v1/now", "/api/v1/history"):
            _, headers = read(host.address + path)
            self.assertNotIn("unsafe", headers["Content-Security-Policy"])
            self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")

    def check_numbers(self, host):
        """The ledger stands still: page, JSON and metrics tell the same of each machine, to the last digit."""
        metrics, _ = read(host.address + "/metrics")
        sample = json.loads(read(host.address + "/api/v1/now")[0])["total"]["energy_uj"]
        self.page.until(f"document.querySelector('#energy data')?.value === '{sample}'", "the last sample")
        for name in NAMES:
            power, _, energy = [int(float(value)) if value else None for value in row(self.page, name)[1:4]]
            wanted = {"uuid": UUID_OF[name]}
            power_w = sum(sums(metrics, "wattport_vm_power_watts", dict(wanted, zone=zone)) for zone in ("package", "dram"))
            energy_j = sum(sums(metrics, "wattport_vm_energy_joules_total", dict(wanted, zone=zone)) for zone in ("package", "dram"))
            self.assertAlmostEqual(power / 1e6, power_w, places=6)
            self.assertAlmostEqual(energy / 1e6, energy_j, places=6)
        total = int(self.page.evaluate("document.querySelector('#power data').value"))
        self.assertAlmostEqual(total / 1e6, sum(sums(metrics, "wattport_host_power_watts", {"zone": zone}) for zone in ("package", "dram")),
                               places=6)

    def check_parts(self, host):
        """Sorting, filter, range, pause."""
        names = "[...document.querySelectorAll('#accounts tbody tr:not(.rest) .name')].map(name => name.textContent)"
        self.page.evaluate("document.querySelector('#accounts thead button').click()")
        self.assertEqual(self.page.evaluate(names), self.page.evaluate(f"{names}.sort((a, b) => a.localeCompare(b))"))
        self.assertEqual(self.page.evaluate("document.querySelector('#accounts thead th').ariaSort"), "ascending")
        self.page.evaluate("(() => { const filter = document.getElementById('filter'); filter.value = 'K8S';"
                           " filter.dispatchEvent(new Event('input')); })()")
        self.assertEqual(self.page.evaluate(names), ["k8s-node-3", "k8s-node-4"])
        self.page.evaluate("(() => { const filter = document.getElementById('filter'); filter.value = '';"
                           " filter.dispatchEvent(new Event('input')); })()")
        self.page.click("range-hour")
        self.page.until("document.getElementById('range-hour').ariaPressed === 'true'", "the hour")
        self.page.click("range-minutes")
        self.page.click("pause")
        self.page.until("document.getElementById('state').textContent.startsWith('Paused')", "the pause")
        before = self.page.evaluate("document.querySelector('#energy data').value")
        with host.lock:
            host.tick()
        sample = json.loads(read(host.address + "/api/v1/now")[0])["total"]["energy_uj"]
        self.assertEqual(self.page.evaluate("document.querySelector('#energy data').value"), before)
        self.page.click("pause")
        self.page.until(f"document.querySelector('#energy data').value === '{sample}'", "figures behind the pause")

    def check_host_gone(self, host):
        """wattportd is gone: power is not known, which is no number; energy stands; and it says so."""
        host.say("publish-old 83000")
        reason = self.page.until("!document.getElementById('banner').hidden && document.getElementById('banner').textContent",
                                 "the banner")
        self.assertIn("is wattportd running?", reason)
        self.assertTrue(self.page.evaluate("document.getElementById('state').textContent.startsWith('No figures')"))
        self.assertIsNone(self.page.evaluate("document.querySelector('#power data')"))
        self.assertIn("unknown", self.page.evaluate("document.getElementById('power').textContent"))
        self.assertIsNone(row(self.page, NAMES[0])[1])
        self.assertIsNotNone(row(self.page, NAMES[0])[3])
        history = json.loads(read(host.address + "/api/v1/history")[0])
        self.assertIsNone(history["total_uw"][-1])
        self.take("host-gone")

    def test_without_the_library(self):
        """Tables, and the name of the package."""
        host = Host(self.runtime("bare"), charts="none")
        self.addCleanup(host.close)
        self.page.look(*SIZES[0])
        self.page.open(host.address + "/")
        self.page.until("document.querySelectorAll('#accounts tbody tr').length >= 12", "the table")
        self.assertIn("libjs-dygraphs", self.page.evaluate("document.getElementById('no-charts').textContent"))
        self.assertFalse(self.page.evaluate("document.getElementById('no-charts').hidden"))
        self.assertTrue(self.page.evaluate("document.getElementById('charts').hidden"))
        self.check_manners(host.address, forgiven=("/page/charts.js",))


class Guest:
    """A tree as a host would serve it, and wattport-agent over it."""

    def __init__(self):
        self.machine = machine.Machine(PROGRAMS["wattport_agent"])
        self.machine.add_share()
        self.energy_uj = 5000000
        self.running = True
        self.agent = subprocess.Popen([*self.machine.command(), "--http.listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
        for line in self.agent.stderr:
            match = re.search(r"listening on port (\d+)", line)
            if match:
                self.address = f"http://127.0.0.1:{match.group(1)}"
                break
        self.drain = threading.Thread(target=self.agent.stderr.read, daemon=True)
        self.drain.start()
        self.thread = threading.Thread(target=self.live)
        self.thread.start()

    def live(self):
        while self.running:
            self.energy_uj += 2500000
            self.machine.set_energy(self.energy_uj)
            time.sleep(0.2)

    def stop(self):
        self.running = False
        self.thread.join()

    def close(self):
        self.stop()
        self.agent.terminate()
        self.agent.wait()
        self.drain.join()
        self.agent.stderr.close()
        self.machine.close()


class GuestPage(PageCase):
    """wattport-agent."""

    def test_all_of_it(self):
        guest = Guest()
        self.addCleanup(guest.close)
        self.page.look(*SIZES[0])
        self.page.open(guest.address + "/")
        self.check_chart("power-chart")
        self.check_chart("energy-chart")
        self.take("guest")
        guest.stop()
        self.check_numbers(guest)
        self.check_host_gone(guest)
        self.check_manners(guest.address)

    def check_numbers(self, guest):
        metrics, _ = read(guest.address + "/metrics")
        energy = sums(metrics, "wattport_guest_energy_joules_total", {"zone": "package-0"})
        self.page.until(f"document.querySelector('#zones tbody tr td:nth-child(3) data')?.value / 1e6 === {energy}", "the last figures")

    def check_host_gone(self, guest):
        """The host measures no more: no power, and it says so."""
        guest.machine.set_info(age_ms=83000)
        reason = self.page.until("!document.getElementById('banner').hidden && document.getElementById('banner').textContent",
                                 "the banner")
        self.assertIn("83 s old", reason)
        self.assertIsNone(self.page.evaluate("document.querySelector('#power data')"))
        self.take("guest-host-gone")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wattport-exporter", required=True)
    parser.add_argument("--wattport-agent", required=True)
    parser.add_argument("--ledger-writer", required=True)
    parser.add_argument("--screenshots", required=True)
    arguments, rest = parser.parse_known_args()
    PROGRAMS.update(vars(arguments))
    lacking = browser.missing()
    if lacking:
        print(f"skipped: {lacking} is not installed")
        return SKIPPED
    machine.unshared()
    os.makedirs(arguments.screenshots, exist_ok=True)
    program = unittest.main(argv=[sys.argv[0], *rest], exit=False)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
