#!/usr/bin/python3
"""wattport/compat as the tools read it for which it is made, over a real mount and a ledger written by hand.

The readers here follow the tools' sources to the letter, what makes them give up included.
Exit status 77: it cannot run here (no root, no /dev/fuse).
"""

import os
import re
import subprocess
import threading
import time

import test_fusefs as fusefs
from test_fusefs import NOBODY, OTHER, UNKNOWN, VM

COMPAT = "wattport/compat"


class GivesUp(Exception):
    """The tool would end here."""


def ada_float(text):
    """Long_Float'Value: an unsigned decimal literal, blanks around it apart."""
    if not re.fullmatch(r" *[0-9]+(\.[0-9]+)?(E[+-]?[0-9]+)? *", text):
        raise GivesUp(f"no number: {text!r}")
    return float(text)


def first_line(path):
    """Ada's Get_Line at the beginning of a file: an empty file has none."""
    try:
        with open(path, encoding="ascii") as file:
            line = file.readline()
    except OSError as error:
        raise GivesUp(str(error)) from error
    if not line:
        raise GivesUp("end of file")
    return line.rstrip("\n")


def powerjoular_watts(path):
    """PowerJoular 1.0, src/virtual_machine.adb, Read_Watts: keeps digits and points, whatever they mean."""
    return ada_float(re.sub(r"[^0-9.]", "", first_line(path)))


def powerjoular_row(path):
    """The same, Read_PowerJoular: the third of the fields, of which neighbouring commas make one."""
    line = first_line(path)
    if line == "":
        return 0.0
    fields = re.split(",+", line)
    if len(fields) < 3:
        raise GivesUp(f"no third field: {line!r}")
    return ada_float(fields[2])


def scaphandre_energy(path):
    """Scaphandre 1.0.2, src/sensors/powercap_rapl.rs with --vm: its sockets, and what its host's total is made of."""
    def read(folder, file):
        with open(f"{path}/{folder}/{file}", encoding="ascii") as opened:
            return opened.read()

    folders = {}
    for folder in os.listdir(path):
        try:
            folders[folder] = read(folder, "name")
        except OSError:
            pass  # It only logs that.
    sockets, total = set(), 0
    for folder, name in folders.items():
        if match := re.fullmatch(r"intel-rapl:(\d+):(\d+)", folder):
            sockets.add(int(match[1]))
            total += int(read(f"intel-rapl:{int(match[1])}:{int(match[2])}", "energy_uj")) if name.strip() == "dram" else 0
    if not sockets:
        # It forgets the newline here, so that it takes psys for a socket.
        sockets = {int(match[1]) for folder, name in folders.items()
                   if name != "psys" and (match := re.fullmatch(r"intel-rapl:(\d+)", folder))}
    for folder, name in folders.items():
        if name.strip() == "psys":
            return sockets, int(read(folder, "energy_uj"))
    return sockets, total + sum(int(read(f"intel-rapl:{socket}", "energy_uj")) for socket in sockets)


class TestPowerJoular(fusefs.FusefsTest):
    def watts(self, uuid=VM):
        """Both formats, which must agree."""
        watts = powerjoular_watts(self.path(f"{COMPAT}/watts", uuid))
        self.assertAlmostEqual(powerjoular_row(self.path(f"{COMPAT}/powerjoular", uuid)), watts, places=9)
        # The reader of later versions takes the whole line for the number, blanks apart.
        self.assertEqual(ada_float(first_line(self.path(f"{COMPAT}/watts", uuid))), watts)
        return watts

    def test_power(self):
        self.start(meter=False)
        self.ledger.tell(f"power {VM} 12345678 250000", f"power {OTHER} 5000000000 1000000", "publish")
        self.assertEqual(self.watts(), 12.345678)
        self.assertEqual(self.watts(OTHER), 5000.0)
        row = first_line(self.path(f"{COMPAT}/powerjoular")).split(",")
        self.assertLess(abs(int(row[0]) - time.time()), 60)
        self.assertEqual(row[1], "0.250000")

    def test_a_reader_gets_a_sample_taken_for_it(self):
        for name in ("watts", "powerjoular"):
            self.start()
            # As old as the first sample is, nobody else's read is answered by the sample of this one.
            time.sleep(0.002)
            first_line(self.path(f"{COMPAT}/{name}"))
            self.assertEqual(self.meter.heard(), [f"refresh {VM}"])
            self.assertEqual(self.server.stop(), 0)
            self.meter.stop()

    def test_whatever_state_the_machine_is_in(self):
        self.start(meter=False)
        # Two sockets with DRAM, of which each counter makes a milliwatt at rest.
        self.assertEqual(self.watts(), 0.004)
        self.ledger.tell(f"vm {VM} 2 off 0", "publish")
        self.assertEqual(self.watts(), 0.004)
        self.ledger.tell(f"vm {VM} 2 gone 0", "publish")
        self.assertEqual(self.watts(), 0.004)
        self.assertEqual(self.watts(UNKNOWN), 0.001)

    def test_no_power_of_the_past(self):
        self.start(meter=False)
        self.ledger.tell(f"power {VM} 50000000 500000", "publish-old 5000")
        self.assertEqual(self.watts(), 50.0)
        self.ledger.tell("publish-old 11000")
        self.assertEqual(self.watts(), 0.004)
        self.assertEqual(first_line(self.path(f"{COMPAT}/powerjoular")).split(",")[1], "0.000000")

    def test_power_at_rest_is_what_the_counters_make(self):
        self.start(meter=False)
        self.ledger.tell("publish-old 11000")
        zones = [name for name in os.listdir(self.path("class/powercap")) if ":" in name]
        self.assertEqual(len(zones), 4)
        watts, made = self.watts(), []
        for zone in zones:
            descriptor = self.open(f"class/powercap/{zone}/energy_uj")
            times = [fusefs.now()]
            first_uj = int(os.pread(descriptor, 64, 0))
            times.append(fusefs.now())
            time.sleep(0.05)
            times.append(fusefs.now())
            last_uj = int(os.pread(descriptor, 64, 0))
            times.append(fusefs.now())
            # The reads fell somewhere between the times around them; a step is a whole millisecond.
            made.append(((last_uj - first_uj - 1) / 1e6 / (times[3] - times[0]),
                         (last_uj - first_uj + 1) / 1e6 / (times[2] - times[1])))
        self.assertLessEqual(sum(least for least, _ in made), watts)
        self.assertGreaterEqual(sum(most for _, most in made), watts)

    def test_without_a_ledger(self):
        self.ledger.tell("publish")
        os.unlink(os.path.join(self.runtime, "ledger"))
        self.server = fusefs.Server(self.runtime)
        self.assertEqual(self.watts(), 0.001)

    def test_while_workers_are_killed(self):
        self.start(meter=False)
        self.ledger.tell(f"power {VM} 30000000 0")
        ended, failures, reads = threading.Event(), [], []

        def read():
            while not ended.is_set():
                try:
                    reads.append(self.watts())
                except (GivesUp, AssertionError) as error:
                    failures.append(error)

        self.ledger.tell("publish")
        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(5):
            # What is older than ten seconds is not told.
            self.ledger.tell("publish")
            before = len(reads)
            self.server.kill_worker()
            fusefs.until(lambda: len(reads) > before + 5 or failures, "reads go on")
        ended.set()
        reader.join()
        self.assertEqual((failures, set(reads)), ([], {30.0}))

    def test_exact_power_is_for_its_owner_alone(self):
        self.start("exact", False)
        for name in ("watts", "powerjoular"):
            path = self.path(f"{COMPAT}/{name}")
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o400)
            done = subprocess.run(["cat", path], user=NOBODY, capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, b""), name)
        self.assertEqual(self.watts(), 0.004)


class TestScaphandre(fusefs.FusefsTest):
    def serve(self, sockets, *zones):
        self.ledger.tell(f"host isolated replay {' '.join(zones)}", f"vm {VM} {sockets} running 1")
        for socket in range(sockets):
            self.ledger.tell(f"energy {VM} {socket} 1000000000 100000000 600000000 50000000")
        self.ledger.tell("publish")
        self.server = fusefs.Server(self.runtime, "--tree.core=yes", "--tree.uncore=yes", "--tree.psys=yes")
        return self.path(f"{COMPAT}/scaphandre")

    def check(self, path, sockets, total_uj):
        """What it adds up; the counters have made at most a millijoule since."""
        found, energy_uj = scaphandre_energy(path)
        self.assertEqual(found, set(range(sockets)))
        self.assertIn(energy_uj - total_uj, range(1, 100000))

    def test_all_zones_of_a_large_machine(self):
        path = self.serve(12, "package", "core", "uncore", "dram", "psys")
        self.check(path, 12, 12 * 1100000000)
        # Why class/powercap would not do: neither sockets past the tenth, nor their energy alone.
        self.assertNotEqual(scaphandre_energy(self.path("class/powercap"))[0], set(range(12)))

    def test_a_host_without_dram(self):
        self.check(self.serve(2, "package", "psys"), 2, 2 * 1000000000)

    def test_the_files_are_those_of_the_zones(self):
        path = self.serve(11, "package", "dram")
        for name in ("name", "energy_uj", "max_energy_range_uj"):
            self.assertTrue(os.path.samefile(f"{path}/intel-rapl:10:0/{name}",
                                             self.path(f"class/powercap/intel-rapl:a:0/{name}")))
            self.assertFalse(os.path.islink(f"{path}/intel-rapl:10:0"))
        # A descriptor is of the file, by whichever name it was opened; both names go on as one counter.
        first = int(os.pread(self.open(f"{COMPAT}/scaphandre/intel-rapl:10/energy_uj"), 64, 0))
        time.sleep(0.002)
        self.assertGreater(int(self.read("class/powercap/intel-rapl:a/energy_uj")), first)


if __name__ == "__main__":
    fusefs.main()
