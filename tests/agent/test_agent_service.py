#!/usr/bin/python3
"""The agent's service: unprivileged, over HTTP, through a host that goes and comes back."""

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import machine

AGENT = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else None


class ServiceTest(unittest.TestCase):
    """One service each, on a port of the kernel's choice."""

    def setUp(self):
        self.machine = machine.Machine(AGENT)
        self.addCleanup(self.machine.close)
        self.service = None
        self.port = None

    def start(self, *options):
        """Starts it and waits until it says where it listens."""
        command = [AGENT, "--sysroot", self.machine.root, "--at", self.machine.at, "--http.listen", "127.0.0.1:0", *options]
        self.service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # pylint: disable=consider-using-with
        self.addCleanup(self.stop)
        messages = []
        for line in self.service.stderr:
            messages.append(line)
            match = re.search(r"listening on port (\d+)", line)
            if match:
                self.port = int(match.group(1))
                return "".join(messages)
        self.fail("".join(messages))

    def stop(self):
        """Ends it as a service manager does; it must end well, once."""
        if self.service.returncode is None:
            self.service.send_signal(signal.SIGTERM)
            self.assertEqual(self.service.wait(60), 0)
            self.service.stderr.close()

    def get(self, path, accept=None, scheme="http", authorization=None, context=None):
        """The body of a page."""
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{self.port}{path}")
        if accept:
            request.add_header("Accept", accept)
        if authorization:
            request.add_header("Authorization", authorization)
        with urllib.request.urlopen(request, timeout=60, context=context) as response:
            return response.read().decode()

    def metrics(self):
        """All samples by name and labels."""
        lines = (line for line in self.get("/metrics").splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def test_exports_what_the_tree_counts(self):
        self.machine.add_share()
        self.start()
        shown = self.metrics()
        self.assertEqual(shown['wattport_guest_energy_joules_total{zone="package-0"}'], 5)
        self.assertEqual(shown["wattport_up"], 1)
        self.assertEqual(shown["wattport_data_age_seconds"], 0.003)
        self.assertEqual(shown["wattport_data_estimate"], 0)
        self.machine.set_energy(6500000)
        self.assertEqual(self.metrics()['wattport_guest_energy_joules_total{zone="package-0"}'], 6.5)
        self.assertEqual(self.get("/healthz"), "ok\n")
        self.assertIn("<title>Wattport</title>", self.get("/"))
        self.assertEqual(json.loads(self.get("/api/v1/now"))["zones"][0]["energy_uj"], 6500000)
        self.assertTrue(self.get("/metrics", "application/openmetrics-text; version=1.0.0").endswith("# EOF\n"))
        with self.assertRaises(urllib.error.HTTPError) as missing:
            self.get("/etc/passwd")
        self.assertEqual(missing.exception.code, 404)
        missing.exception.close()

    def test_never_shows_zero_for_unknown(self):
        messages = self.start()
        self.assertIn("wattport-agent mount", messages)
        self.assertEqual({name: value for name, value in self.metrics().items() if "build" not in name},
                         {"wattport_up": 0})
        self.machine.add_share(source="model")
        self.assertEqual(self.metrics()["wattport_up"], 1)
        self.assertEqual(self.metrics()["wattport_data_estimate"], 1)
        self.machine.set_info(age_ms=10001)
        shown = self.metrics()
        self.assertEqual(shown["wattport_up"], 0)
        self.assertEqual(shown["wattport_data_age_seconds"], 10.001)
        self.assertFalse([name for name in shown if "joules" in name or "watts" in name])
        self.machine.set_info(age_ms=2)
        self.machine.set_energy(9000000)
        self.assertEqual(self.metrics()['wattport_guest_energy_joules_total{zone="package-0"}'], 9)

    def test_gives_up_what_it_does_not_need(self):
        self.machine.add_share()
        self.start()
        status = machine.read(f"/proc/{self.service.pid}/status")
        shown = dict(line.split(":\t", 1) for line in status.splitlines())
        self.assertNotIn("0", shown["Uid"].split())
        self.assertEqual(int(shown["CapEff"], 16), 0)
        self.assertEqual(shown["NoNewPrivs"], "1")

    def test_metrics_are_what_promtool_likes(self):
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not installed")
        self.machine.add_share()
        self.start()
        done = subprocess.run(["promtool", "check", "metrics"], input=self.get("/metrics"), capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_tls_and_passwords(self):
        if shutil.which("openssl") is None:
            self.skipTest("openssl is not installed")
        self.machine.add_share()
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{directory}/key.pem",
                            "-out", f"{directory}/certificate.pem"], check=True, capture_output=True)
            with open(f"{directory}/web.yml", "w", encoding="utf-8") as file:
                # bcrypt of "secret".
                file.write("tls_server_config:\n  cert_file: certificate.pem\n  key_file: key.pem\nbasic_auth_users:\n"
                           "  alice: $2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n")
            self.assertIn("web.yml holds secrets and may be read by everybody",
                          self.start("--web.config.file", f"{directory}/web.yml"))
            context = ssl.create_default_context(cafile=f"{directory}/certificate.pem")
            for authorization in (None, "Basic YWxpY2U6d3Jvbmc="):
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    self.get("/metrics", scheme="https", authorization=authorization, context=context)
                self.assertEqual(refused.exception.code, 401)
                refused.exception.close()
            self.assertIn("wattport_up 1", self.get("/metrics", scheme="https", authorization="Basic YWxpY2U6c2VjcmV0",
                                                    context=context))
            # The directory is root's: what was read before goes on to hold.
            self.service.send_signal(signal.SIGHUP)
            self.assertIn("Permission denied; what was read before goes on to hold", self.service.stderr.readline())
            self.assertIn("ok", self.get("/healthz", scheme="https", authorization="Basic YWxpY2U6c2VjcmV0", context=context))

    def test_a_port_in_use_is_told(self):
        self.machine.add_share()
        self.start()
        done = subprocess.run([AGENT, "--sysroot", self.machine.root, "--at", self.machine.at, "--http.listen",
                               f"127.0.0.1:{self.port}"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--http.listen", done.stderr)


@unittest.skipUnless(shutil.which("setpriv"), "setpriv is not installed")
class RightsTest(unittest.TestCase):
    """An exact view's energy_uj is root's: services as their unit starts them, and without the rights that it gives."""

    LIMIT = 120  # seconds, for what comes as soon as this machine has time for it
    RIGHTS = ("--inh-caps=+dac_read_search,+net_admin", "--ambient-caps=+dac_read_search,+net_admin")

    def setUp(self):
        self.machine = machine.Machine(AGENT)
        self.addCleanup(self.machine.close)
        # Where it is built maybe nobody else may go.
        self.agent = shutil.copy(AGENT, self.machine.directory)
        self.energy = self.machine.share + "/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj"

    def start(self, name, *rights):
        """As an unprivileged user; what it says and writes goes to files of that name."""
        with open(os.path.join(self.machine.directory, name + ".err"), "wb") as errors, open(
                os.path.join(self.machine.directory, name + ".out"), "wb") as rows:
            service = subprocess.Popen(  # pylint: disable=consider-using-with
                ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *rights, self.agent, "--sysroot",
                 self.machine.root, "--at", self.machine.at, "--config", "/dev/null", "--http.listen", "127.0.0.1:0",
                 "--output", "json@100ms:-"], stderr=errors, stdout=rows)
        self.addCleanup(self.stop, service)
        self.wait(name, "err", r"listening on port")
        return service

    def stop(self, service):
        """Ends it, if it has not ended."""
        if service.poll() is None:
            service.terminate()
            service.wait(self.LIMIT)

    def file(self, name, kind):
        """What a service said or wrote so far."""
        path = os.path.join(self.machine.directory, f"{name}.{kind}")
        return machine.read(path) if os.path.exists(path) else ""

    def wait(self, name, kind, pattern):
        """Until that is there."""
        end = time.monotonic() + self.LIMIT
        while not re.search(pattern, self.file(name, kind)):
            self.assertLess(time.monotonic(), end, f"{name} never: {pattern}\n{self.file(name, 'err')}")
            time.sleep(0.05)

    def rows(self, name):
        """What it wrote, whole lines all."""
        return [json.loads(line) for line in self.file(name, "out").splitlines()]

    def test_ends_when_rights_that_it_gave_up_are_needed_again(self):
        early = self.start("early", *self.RIGHTS)  # there is no tree yet
        self.machine.add_share()
        os.chmod(self.energy, 0o400)
        whole = self.start("whole", *self.RIGHTS)
        poor = self.start("poor")
        self.wait("whole", "out", '"energy_joules": ?5[,.]')
        self.assertEqual(self.machine.run("status", "--json", "--period", "1ms")[0], 0)
        # The host's side goes, and returns: what is open is of what was there before.
        with open(self.energy, "w", encoding="ascii"):
            pass
        self.wait("whole", "out", '"up": ?false')
        os.unlink(self.energy)
        self.machine.set_energy(7000000)
        os.chmod(self.energy, 0o400)
        for service, name in ((early, "early"), (whole, "whole")):
            self.assertEqual(service.wait(self.LIMIT), 1, self.file(name, "err"))
            said = self.file(name, "err").splitlines()
            self.assertEqual(sum("to be started anew" in line for line in said), 1, said)
            self.assertIn("given up at the start", said[-1])
            self.assertNotIn("not delivered", "".join(said))
            self.assertTrue(self.rows(name))
        # As the service manager does then.
        self.start("anew", *self.RIGHTS)
        self.wait("anew", "out", '"energy_joules": ?7[,.]')
        # Another start would bring it no more: it says what it needs, and goes on.
        while len(self.rows("poor")) < 50:
            self.assertIsNone(poor.poll(), self.file("poor", "err"))
            time.sleep(0.1)
        self.assertIn("none may be read: energy_uj is for root alone", self.file("poor", "err"))
        self.assertIn("CAP_DAC_READ_SEARCH", self.file("poor", "err"))


if __name__ == "__main__":
    machine.main(AGENT)
