#!/usr/bin/python3
"""wattport top and wattport-agent top as a person uses them: on a terminal of tmux's, over a ledger and a guest made by hand.

Nothing here is about time: what is to appear is waited for. Exit status 77: tmux is missing.
"""

import argparse
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import made_up_guest

SKIPPED = 77
PATIENCE_S = 60
PROGRAMS = argparse.Namespace()
HOSTILE = "evil%1b]0;taken%07%1b[2J%1b[31mred%9b5m%e2%80%ae"
SHOWN = "evil?]0;taken??[2J?[31mred?5m?"


def uuid(number):
    """Of a machine."""
    return f"00000000-0000-0000-0000-{number:012x}"


class Ledger:
    """A directory with a ledger of three machines, of a host that has been measured."""

    NAMES = {1: "web", 2: "database", 3: HOSTILE}

    def __init__(self, directory):
        self.directory = directory
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [PROGRAMS.ledger_writer, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.energy = {number: 0 for number in self.NAMES}
        self.order("host", "isolated", "powercap", "package")
        for number, name in self.NAMES.items():
            self.order("vm", uuid(number), 1, "running", 100 + number)
            self.order("name", uuid(number), name)

    def order(self, *words):
        """One command to the writer."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if answer != "ok\n":
            raise AssertionError(f"{words}: {answer}")

    def publish(self, powers, how=("publish",)):
        """A sample in which the machines drew so many watts, beside 5 W of others and 10 W of rest."""
        samples = getattr(self, "samples", 0) + 1
        self.samples = samples
        for number, power in powers.items():
            self.energy[number] += power * 10**6
            self.order("share", uuid(number), 0, power * 10**6, self.energy[number], 0, 0)
            self.order("cpu", uuid(number), 2, self.energy[number] * 100)
        other, idle = samples * 5 * 10**6, samples * 10 * 10**6
        self.order("zone", 0, (sum(powers.values()) + 15) * 10**6, idle, other)
        self.order(*how)

    def close(self):
        """Ends the writer; the ledger stays."""
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, directory, width=80, height=24):
        self.socket = os.path.join(directory, "tmux")
        self.meanwhile = lambda: None  # what goes on while it is looked at
        self.directory = directory
        environment = {"PATH": os.environ["PATH"], "HOME": directory, "LANG": "C.UTF-8", "PS1": "ready$ ", "SHELL": "/bin/sh"}
        environment.update({name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")})
        subprocess.run(
            ["tmux", "-S", self.socket, "-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height),
             "/bin/sh"], env=environment, check=True)
        self.wait("ready$")

    def tmux(self, *arguments):
        """A command of tmux's, and what it prints."""
        return subprocess.run(
            ["tmux", "-S", self.socket, *arguments], check=True, capture_output=True, text=True).stdout

    def keys(self, *keys):
        """Presses them."""
        self.tmux("send-keys", *keys)

    def screen(self):
        """What is on it."""
        return self.tmux("capture-pane", "-p")

    def wait_for(self, holds, what):
        """Waits until that holds of the screen; returns it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            screen = self.screen()
            if holds(screen):
                return screen
            if time.monotonic() > deadline:
                raise AssertionError(f"never came: {what}\n{screen}")
            self.meanwhile()
            time.sleep(0.05)

    def wait(self, *texts):
        """Waits until all of them are on the screen."""
        return self.wait_for(lambda screen: all(text in screen for text in texts), texts)

    def wait_order(self, *names):
        """Waits until these names are there in this order, and the others are not."""
        def holds(screen):
            rows = re.findall(r"^ (web|database|evil)", screen, re.MULTILINE)
            return rows == list(names)
        return self.wait_for(holds, names)

    def run(self, command):
        """Types a command line."""
        self.keys("-l", command)
        self.keys("Enter")

    def flags(self):
        """Whether the cursor is shown, and whether the screen is a second one."""
        return self.tmux("display-message", "-p", "#{cursor_flag} #{alternate_on}").strip()

    def modes(self, name):
        """The terminal's settings as the shell has them, as text."""
        path = os.path.join(self.directory, name)
        self.run(f"stty -g > {path}.new; mv {path}.new {path}")
        deadline = time.monotonic() + PATIENCE_S
        while not os.path.exists(path):
            if time.monotonic() > deadline:
                raise AssertionError(f"the shell does not obey:\n{self.screen()}")
            time.sleep(0.05)
        with open(path, encoding="ascii") as file:
            return file.read()

    def close(self):
        """Ends the terminal and what runs on it."""
        self.tmux("kill-server")


class TopTest(unittest.TestCase):
    """A terminal and a ledger for each test."""

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="wattport-top-"))
        self.runtime = os.path.join(self.directory, "run")
        os.mkdir(self.runtime)
        self.ledger = Ledger(self.runtime)
        stack.callback(self.ledger.close)
        self.ledger.publish({1: 20, 2: 30, 3: 4})
        self.terminal = Terminal(self.directory)
        stack.callback(self.terminal.close)
        self.before = self.terminal.modes("before")

    def command(self, *options):
        """wattport top as typed."""
        return shlex.join([PROGRAMS.wattport, "top", "--runtime-dir", self.runtime, "-d", "200ms", *options])

    def start(self, *options):
        """Types it, and waits for its screen."""
        self.terminal.run(self.command(*options))
        self.terminal.wait("VIRTUAL MACHINE", "measured")

    def is_sane(self, ended):
        """It has ended with that status, and the terminal is as it was."""
        self.terminal.wait_for(lambda _: self.terminal.flags() == "1 0", "the cursor and the first screen")
        self.terminal.run("echo ended:$?")
        self.terminal.wait(f"ended:{ended}")
        self.assertEqual(self.terminal.modes("after"), self.before)

    def process(self):
        """The process id of the one that runs, which is not its guard."""
        done = subprocess.run(["pgrep", "-o", "-f", f"top --runtime-dir {self.runtime}"], capture_output=True, text=True,
                              check=True)
        return int(done.stdout)

    def test_orders_filters_and_quits(self):
        self.start()
        screen = self.terminal.wait_order("database", "web", "evil")
        self.assertIn("69.0 W", screen)
        self.assertRegex(screen, r"database +running +30.0 W +\S+ +43.5 %")
        self.assertEqual(self.terminal.flags(), "0 1")
        self.ledger.publish({1: 25, 2: 1, 3: 4})
        self.terminal.wait_order("web", "evil", "database")
        # What no machine has is divided by what was booked between two samples.
        self.terminal.wait("other processes                  5.00 W", "idle, not assigned               10.0 W")
        self.terminal.keys("e")
        self.terminal.wait_order("web", "database", "evil")
        self.terminal.keys("n")
        self.terminal.wait_order("database", "evil", "web")
        self.terminal.keys("r")
        self.terminal.wait_order("web", "evil", "database")
        self.terminal.keys("/")
        self.terminal.wait("Enter keeps it")
        self.terminal.keys("-l", "BAS")
        self.terminal.wait_order("database")
        self.terminal.keys("Enter")
        self.terminal.wait("Esc shows all again", "filtered out (2)")
        self.terminal.keys("Escape")
        self.terminal.wait_order("web", "evil", "database")
        self.terminal.keys("u")
        self.terminal.wait("Wh")
        self.terminal.keys("Enter")
        self.terminal.wait(uuid(1), "its share of idle")
        self.terminal.keys("Down")
        self.terminal.wait(uuid(3))
        self.terminal.keys("?")
        self.terminal.wait("order by power, energy, CPU time, name")
        self.terminal.keys("x")
        self.terminal.wait(uuid(3))
        self.terminal.keys("q")
        self.is_sane(0)

    def test_resizes(self):
        self.start()
        self.terminal.tmux("resize-window", "-x", "40", "-y", "10")
        narrow = self.terminal.wait_for(lambda screen: "SHARE" not in screen and "measured" in screen, "40x10")
        self.assertIn("database", narrow)
        self.assertNotIn("idle", narrow)
        self.terminal.tmux("resize-window", "-x", "3", "-y", "2")
        self.terminal.wait_for(lambda screen: "measured" not in screen, "3x2")
        self.terminal.tmux("resize-window", "-x", "80", "-y", "24")
        self.terminal.wait("SHARE", "CPU TIME", "idle, not assigned")
        self.terminal.keys("q")
        self.is_sane(0)

    def test_names_do_no_harm(self):
        title = self.terminal.tmux("display-message", "-p", "#{pane_title}")
        self.start()
        self.assertIn(SHOWN[:19], self.terminal.screen())
        self.terminal.keys("Enter", "End")
        self.terminal.wait(SHOWN)
        painted = self.terminal.tmux("capture-pane", "-e", "-p")
        self.assertNotIn("\x1b[31m", painted)
        self.assertNotRegex(painted, r"\x1b\[[0-9;]*5m")
        self.assertNotIn("\u202e", painted)
        self.assertEqual(self.terminal.tmux("display-message", "-p", "#{pane_title}"), title)
        self.terminal.keys("q")
        self.is_sane(0)

    def test_old_figures_are_told(self):
        self.start()
        self.ledger.publish({1: 20, 2: 30, 3: 4}, ("publish-old", 14000))
        screen = self.terminal.wait("OLD: 14.", "is wattportd running?")
        self.assertRegex(screen, r"database +running +- +- +60.0 J")
        self.assertRegex(screen, r"measured +- +- ")
        self.ledger.publish({1: 20, 2: 30, 3: 4})
        self.terminal.wait_for(lambda screen: "OLD" not in screen and "69.0 W" in screen, "fresh figures")
        self.terminal.keys("q")
        self.is_sane(0)

    def test_signals_leave_the_terminal_sane(self):
        for name, ended in (("INT", 130), ("TERM", 143), ("HUP", 129), ("KILL", 137)):
            with self.subTest(name):
                self.start()
                os.kill(self.process(), getattr(signal, "SIG" + name))
                self.is_sane(ended)
                os.unlink(os.path.join(self.directory, "after"))
        self.start()
        self.terminal.keys("C-c")
        self.is_sane(130)

    def test_stops_and_goes_on(self):
        self.start()
        self.terminal.keys("C-z")
        self.is_sane(128 + signal.SIGSTOP)
        os.unlink(os.path.join(self.directory, "after"))
        self.terminal.run("fg")
        self.terminal.wait("VIRTUAL MACHINE", "measured")
        self.assertEqual(self.terminal.flags(), "0 1")
        self.terminal.keys("q")
        self.is_sane(0)

    def test_pauses(self):
        self.start()
        self.terminal.wait_order("database", "web", "evil")
        self.terminal.keys("Space")
        self.terminal.wait("PAUSED")
        self.ledger.publish({1: 40, 2: 30, 3: 4})
        self.terminal.keys("r")
        self.terminal.wait_order("evil", "web", "database")
        self.terminal.keys("Space")
        self.terminal.wait_order("evil", "database", "web")
        self.terminal.keys("q")
        self.is_sane(0)

    def test_waits_for_a_ledger(self):
        later = os.path.join(self.directory, "later")
        self.terminal.run(f"{shlex.join([PROGRAMS.wattport, 'top', '--runtime-dir', later, '-d', '200ms'])}")
        self.terminal.wait("no data", "it does not exist:")
        os.mkdir(later)
        ledger = Ledger(later)
        self.addCleanup(ledger.close)
        ledger.publish({1: 1, 2: 1, 3: 1})
        self.terminal.wait("VIRTUAL MACHINE", "18.0 W")
        self.terminal.keys("q")
        self.is_sane(0)


class AgentTest(unittest.TestCase):
    """wattport-agent top: the same screen, with the kinds of a guest."""

    UNITS = {
        "system.slice/nginx.service": 1.5, "system.slice/database.service": 0.5,
        "user.slice/user-1000.slice/session-3.scope": 0.25, "system.slice/evil\x1b[31mred.service": 0.1,
    }

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="wattport-top-"))
        self.root = os.path.join(self.directory, "root")
        self.guest = made_up_guest.Guest(self.root, self.UNITS)
        self.command = [PROGRAMS.wattport_agent, "top", "--sysroot", self.root, "--at", self.directory + "/tree"]

    def test_shows_the_kinds_of_a_guest(self):
        terminal = Terminal(self.directory)
        self.addCleanup(terminal.close)
        terminal.meanwhile = self.guest.step
        before = terminal.modes("before")
        terminal.run(shlex.join([*self.command, "-d", "200ms"]))
        screen = terminal.wait("[units ", "processes", "slices 3", "jobs 0", "own powercap", "idle, not assigned")
        self.assertIn("wattport-agent top", screen)
        screen = terminal.wait_for(
            lambda screen: re.search(r"\n nginx.service .*\n database.service .*\n session-3.scope ", screen), "by power")
        self.assertRegex(screen, r"\n nginx.service +(system.slice)? +\d+.*W")
        self.assertIn("evil?[31mred.service", screen)
        terminal.keys("Enter")
        terminal.wait("processes that live", "package-0")
        terminal.keys("Enter", "Tab", "Tab", "Tab")
        screen = terminal.wait("[slices 3]", "user-1000.slice")
        self.assertNotIn("idle, not assigned", screen)  # they lie in each other: there is no sum
        terminal.keys("Tab")
        terminal.wait("[containers 0]", "everything else")
        terminal.keys("BTab", "/")
        terminal.keys("-l", "1000")
        terminal.wait_for(lambda screen: "user-1000.slice" in screen and "system.slice" not in screen, "the filter")
        terminal.keys("Escape", "q")
        terminal.wait_for(lambda _: terminal.flags() == "1 0", "the first screen")
        self.assertEqual(terminal.modes("after"), before)

    def run_once(self, *options):
        """--once, to its end."""
        with subprocess.Popen(
            [*self.command, "--once", "-d", "300ms", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        ) as process:
            while process.poll() is None:
                self.guest.step()
                time.sleep(0.01)
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def test_one_plain_picture(self):
        done = self.run_once("--width", "120", "--carbon", "56")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("g CO2e", done.stdout)
        # Without the option it is as the page has it, by the configuration.
        conf = os.path.join(self.root, "meaning.conf")
        with open(conf, "w", encoding="ascii") as file:
            file.write("[meaning]\ncarbon = 56\n")
        self.assertIn("g CO2e", self.run_once("--width", "120", "--config", conf).stdout)
        self.assertNotIn("CO2e", self.run_once("--width", "120", "--config", conf, "--carbon", "none").stdout)
        self.assertRegex(done.stdout, r"\n nginx.service +system.slice +\d")
        self.assertRegex(done.stdout, r"\n measured +\d[\d.]* W +100.0 % +\d")
        self.assertNotIn("\x1b", done.stdout)
        slices = self.run_once("--kind", "slices", "--sort", "name")
        self.assertEqual(re.findall(r"^ (\S+\.slice)", slices.stdout, re.MULTILINE),
                         ["system.slice", "user-1000.slice", "user.slice"])
        wrong = self.run_once("--kind", "machines")
        self.assertEqual((wrong.returncode, wrong.stdout), (1, ""))
        self.assertIn("there is no kind machines here; there are:", wrong.stderr)

    def test_without_a_source_it_says_so(self):
        os.rename(os.path.join(self.root, "sys/devices/virtual"), os.path.join(self.root, "away"))
        done = self.run_once()
        self.assertEqual(done.returncode, 1)
        self.assertIn("no data", done.stdout)
        self.assertNotIn("0 W", done.stdout)
        self.assertIn("neither a host's tree nor a RAPL of its own is here", done.stderr)


class OnceTest(unittest.TestCase):
    """wattport top --once, and where there is nothing to paint on."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="wattport-top-")
        self.addCleanup(directory.cleanup)
        self.runtime = directory.name
        self.ledger = Ledger(self.runtime)
        self.addCleanup(self.ledger.close)

    def run_top(self, *options, measures=False, **environment):
        """Runs it to its end, without a terminal; while samples are taken where they are to be."""
        with subprocess.Popen(
            [PROGRAMS.wattport, "top", "--runtime-dir", self.runtime, *options], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
        ) as process:
            while measures and process.poll() is None:
                self.ledger.publish({1: 20, 2: 30, 3: 4})
                time.sleep(0.01)
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def test_one_plain_picture(self):
        self.ledger.publish({1: 20, 2: 30, 3: 4})
        done = self.run_top("--once", "--sort=name", "--filter", "b", "--width", "100", measures=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, re.compile(r"^ database .*\n web ", re.MULTILINE))
        self.assertIn(" filtered out (1)", done.stdout)
        self.assertRegex(done.stdout, r"\n idle, not assigned +10.0 W .*\n measured +69.0 W +100.0 % +\S+ k?J\n$")
        self.assertNotIn("\x1b", done.stdout)
        self.assertEqual(max(map(len, done.stdout.splitlines())), 100)
        narrow = self.run_top("--once", COLUMNS="40", measures=True)
        self.assertEqual(max(map(len, narrow.stdout.splitlines())), 40)
        self.assertIn("evil?]0;taken??[", narrow.stdout)
        ascii_only = self.run_top("--once", LC_ALL="C", measures=True)
        self.assertTrue(ascii_only.stdout.isascii())
        self.assertIn("####", ascii_only.stdout)

    def test_tells_carbon_as_the_page_does(self):
        conf = os.path.join(self.runtime, "meaning.conf")
        with open(conf, "w", encoding="ascii") as file:
            file.write("[meaning]\ncarbon = 56\n")
        self.ledger.publish({1: 20, 2: 30, 3: 4})
        self.assertIn("g CO2e", self.run_top("--once", "--width=120", "--config", conf, measures=True).stdout)
        self.assertNotIn("CO2e", self.run_top("--once", "--width=120", "--config", conf, "--carbon=none", measures=True).stdout)
        with open(conf, "a", encoding="ascii") as file:
            file.write("carbon = XX\n")
        wrong = self.run_top("--once", "--config", conf)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("'XX' is not known", wrong.stderr)

    def test_old_figures_fail_and_say_so(self):
        self.ledger.publish({1: 20, 2: 30, 3: 4}, ("publish-old", 20000))
        done = self.run_top("--once")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is wattportd running?", done.stderr)
        self.assertIn("OLD: ", done.stdout)
        self.assertRegex(done.stdout, r"measured +- +- +69.0 J")

    def test_without_a_terminal_it_names_once(self):
        self.ledger.publish({1: 20, 2: 30, 3: 4})
        done = self.run_top()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("this is no terminal: --once", done.stderr)
        for term, said in (("dumb", "TERM=dumb"), ("nothing-known", "this terminal is not known")):
            done = subprocess.run(
                ["script", "-qec", shlex.join([PROGRAMS.wattport, "top", "--runtime-dir", self.runtime]), "/dev/null"],
                env={**os.environ, "TERM": term}, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(said, done.stdout)
            self.assertIn("--once", done.stdout)

    def test_wrong_usage(self):
        for options, said in (
            (("-d", "0"), "-d is 100ms to 10s"), (("-d", "11s"), "-d is 100ms to 10s"),
            (("--width", "0"), "--width is 1 to 4096"), (("--height", "5000"), "--height is 1 to 4096"),
            (("--sort", "watts"), "--sort is power, energy, cpu or name"), (("web",), "unexpected argument: web"),
        ):
            with self.subTest(options):
                done = self.run_top("--once", *options)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(said, done.stderr)
        done = self.run_top("--once", "--kind", "units")
        self.assertEqual(done.returncode, 1)


def main():
    """Takes the programs from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--wattport", required=True)
    parser.add_argument("--wattport-agent", required=True)
    parser.add_argument("--ledger-writer", required=True)
    _, rest = parser.parse_known_args(namespace=PROGRAMS)
    for program in ("tmux", "script", "pgrep"):
        if shutil.which(program) is None:
            print(f"skipped: there is no {program}")
            return SKIPPED
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
