#!/usr/bin/python3
"""The page for people in a real browser, of a hypervisor and of a guest: its charts move, its numbers are those of the
metrics, it asks nobody but the program that served it, and names that look like HTML stay names.

Writes screenshots to the directory of --screenshots. Exit status 77: Chromium or Selenium is missing.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
import unittest
import urllib.request

import browser
from page_sides import NAMES, SCRIPT, UNITS, UUID_OF, Guest, Host, machine

SKIPPED = 77
PROGRAMS = {}
SIZES = [(1280, 800), (390, 844)]
LEGEND = "[...document.querySelectorAll('#legend .name')].map(name => name.textContent)"
LOOKS = [(*size, dark) for dark in (False, True) for size in SIZES]

# What the page shows of an account: its figure as it came, of the row that has this name.
ROW = """(() => { for (const row of document.querySelectorAll('#accounts tbody tr'))
    if (row.querySelector('.name').textContent === NAME)
        return [...row.cells].map(cell => cell.querySelector('data')?.value ?? null);
    return null; })()"""
CANVAS = """(() => { const canvas = document.querySelector('#ID canvas'), empty = document.createElement('canvas');
    empty.width = canvas.width;
    empty.height = canvas.height;
    return [canvas.toDataURL(), empty.toDataURL()]; })()"""

# A history of a second at 10 W; a sample too early for a point, one behind it; a gap; a second at 7 W. And a clock set back.
GROWTH = """import('/page/chart.js').then(({ History }) => {
    const history = new History();
    const now = (time, total, account) => ({ t_ms: time, state: { up: true, age_ns: 0 },
        total: { energy_uj: total, idle_uj: null, other_uj: null }, groups: [{ kind: 'unit', accounts: [{ id: 'a', name: 'a', energy_uj: account }] }] });
    history.load({ range_ms: 300000, kind: 'unit', t_ms: [1000, 2000], energy_uj: 30e6, idle_uj: null, other_uj: null, total_uw: [null, 10e6],
        idle_uw: [null, null], other_uw: [null, null], accounts: [{ id: 'a', name: 'a', energy_uj: 5e6, power_uw: [null, 1e6] }] });
    history.add(now(2300, 60e6, 6e6));
    history.add(now(3500, 90e6, 8e6));
    history.add({ t_ms: 4000, state: { up: false, age_ns: 1e9 }, groups: [] });
    history.add(now(6000, 500e6, 9e6));
    history.add(now(7000, 507e6, 9e6));
    history.choose();
    return [History.energies(history.rows()).used * 3600, history.add(now(1000, 508e6, 9e6))];
})"""


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


def setUpModule():  # pylint: disable=invalid-name
    """One browser for all."""
    home = tempfile.TemporaryDirectory(prefix="page-")
    unittest.addModuleCleanup(home.cleanup)
    os.chmod(home.name, 0o755)
    PageCase.home = home.name
    PageCase.page = browser.Browser(home.name)
    unittest.addModuleCleanup(PageCase.page.close)


class PageCase(unittest.TestCase):
    """What must hold of whatever the browser opened."""

    home = None
    page = None

    def runtime(self, name):
        path = os.path.join(self.home, name)
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

    def check_energy(self):
        """The chart of energy ends at what the counters have grown by, whatever was loaded and asked when; but for gaps."""
        energy, back = self.page.evaluate(GROWTH)
        self.assertAlmostEqual(energy, 77.0, places=6)
        self.assertFalse(back)

    def check_chart(self, element_id):
        """Points are added, and what is painted changes."""
        points = f"Number(document.getElementById('{element_id}').dataset.points)"
        first = self.page.until(f"{points} > 1 && {points}", f"points of {element_id}")
        painted = canvas(self.page, element_id)
        self.assertNotEqual(painted[0], painted[1])
        self.page.until(f"{points} > {first}", f"more points of {element_id}")
        self.assertNotEqual(canvas(self.page, element_id)[0], painted[0])

    def take(self, name, looks=LOOKS):
        """Screenshots of sizes and colours."""
        for width, height, dark in looks:
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
        host = Host(PROGRAMS, self.runtime("host"))
        self.addCleanup(host.close)
        host.start()
        self.page.look(*SIZES[0])
        self.page.open(host.address + "/")
        self.check_chart("power-chart")
        self.check_chart("energy-chart")
        self.check_energy()
        self.check_names()
        self.check_headers(host)
        self.check_meaning()
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

    def check_meaning(self):
        """Grams an hour are watts times the intensity that was given; and everyday things."""
        self.page.until("document.querySelector('#carbon data') !== null", "grams")
        power, rate = self.page.evaluate("[document.querySelector('#power data').value, document.querySelector('#carbon data').value]")
        self.assertAlmostEqual(float(rate), int(power) / 1e9 * 100, places=3)
        self.assertIn("100 g/kWh", self.page.evaluate("document.getElementById('carbon-note').textContent"))
        self.assertEqual(self.page.evaluate("document.querySelectorAll('#equivalents li').length"), 3)

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
        self.take("host-gone", LOOKS[:1])

    def test_without_the_library(self):
        """Tables, and the name of the package."""
        host = Host(PROGRAMS, self.runtime("bare"), charts="none")
        self.addCleanup(host.close)
        self.page.look(*SIZES[0])
        self.page.open(host.address + "/")
        self.page.until("document.querySelectorAll('#accounts tbody tr').length >= 12", "the table")
        self.assertIn("libjs-dygraphs", self.page.evaluate("document.getElementById('no-charts').textContent"))
        self.assertFalse(self.page.evaluate("document.getElementById('no-charts').hidden"))
        self.assertTrue(self.page.evaluate("document.getElementById('charts').hidden"))
        self.check_manners(host.address, forgiven=("/page/charts.js",))


class GuestPage(PageCase):
    """wattport-agent."""

    def test_all_of_it(self):
        guest = Guest(PROGRAMS)
        self.addCleanup(guest.close)
        self.page.look(*SIZES[0])
        # Before there is any account, whose charts come all the same.
        self.page.open(guest.address + "/")
        self.check_chart("power-chart")
        self.check_chart("energy-chart")
        self.page.until(f"{LEGEND}.includes('nginx.service')", "the services' charts")
        self.take("guest", LOOKS[:1] + LOOKS[3:])
        self.check_kinds()
        guest.stop()
        self.check_numbers(guest)
        self.check_host_gone(guest)
        self.check_manners(guest.address)

    def check_kinds(self):
        """Other kinds of account; and a unit whose name looks like HTML."""
        names = "[...document.querySelectorAll('#accounts tbody .name')].map(name => name.textContent)"
        self.assertEqual({unit.rsplit("/", 1)[-1] for unit in UNITS} - set(self.page.evaluate(names)), set())
        self.assertEqual(self.page.evaluate("document.querySelectorAll('#accounts img').length"), 0)
        button = "[...document.querySelectorAll('#groups button')].find(one => one.textContent === '{}').click()"
        self.page.evaluate(button.format("Slices"))
        self.page.until(f"{names}.includes('user-1000.slice')", "the slices")
        # So do the charts; what lies in user.slice is not drawn again.
        shown = self.page.until(f"{LEGEND}.includes('system.slice') && {LEGEND}", "the slices' charts")
        self.assertIn("user.slice", shown)
        self.assertNotIn("user-1000.slice", shown)
        self.assertNotIn("nginx.service", shown)
        self.check_chart("power-chart")
        self.page.evaluate(button.format("Services"))
        self.page.until(f"{names}.includes('nginx.service')", "the services")
        self.page.until(f"{LEGEND}.includes('nginx.service')", "the services' charts again")

    def check_numbers(self, guest):
        """The counter stands still: page and metrics tell the same of each unit, to the last digit."""

        def settled():
            metrics, _ = read(guest.address + "/metrics")
            return metrics, sums(metrics, "wattport_guest_divided_joules_total", {})

        end = time.monotonic() + browser.PATIENCE_S
        while True:
            metrics, divided = settled()
            self.page.evaluate("new Promise(done => setTimeout(() => done(true), 1500))")
            if settled()[1] == divided:
                break
            self.assertLess(time.monotonic(), end)
        self.page.until(f"document.querySelector('#energy data')?.value === '{round(divided * 1e6)}'", "the last figures")
        units = re.findall(r'^wattport_unit_energy_joules_total\{unit="([^"\\]+)"\} (\S+)$', metrics, re.MULTILINE)
        compared = 0
        for name, joules in units:
            shown = row(self.page, name)
            if name != "(rest)" and shown is not None:
                self.assertAlmostEqual(int(shown[3]) / 1e6, float(joules), places=6)
                compared += 1
        self.assertGreater(compared, 0)

    def check_host_gone(self, guest):
        """The host measures no more: no power, and it says so."""
        guest.machine.set_info(age_ms=83000)
        reason = self.page.until("!document.getElementById('banner').hidden && document.getElementById('banner').textContent",
                                 "the banner")
        self.assertIn("83 s old", reason)
        self.assertIsNone(self.page.evaluate("document.querySelector('#power data')"))
        self.take("guest-host-gone", LOOKS[2:3])


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
