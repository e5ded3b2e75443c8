"""What may befall the system: each event is a method of Events, with how often it comes among the others."""

import os
import signal
import socket
import time

from lab.process import LabError
from lab.wattport import EXPORTER, RUNTIME
from programs import Rude, Violation
from system import MACHINE_MAX, SETTINGS, fds

ADDRESS = (EXPORTER.partition(":")[0], int(EXPORTER.partition(":")[2]))
CHURN = 12
STORE = "ledger.state"
BALLAST = "ballast"

# How often an event comes among all others.
WEIGHTS = {}


def weight(number):
    """Marks an event."""

    def mark(function):
        WEIGHTS[function.__name__] = number
        return function

    return mark


class Events:
    """Everything that happens is drawn from `chance`; each returns what it did, for the log."""

    def __init__(self, system, chance):
        self.system = system
        self.chance = chance

    def happen(self):
        """One event."""
        (name,) = self.chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
        return name, getattr(self, name)

    @property
    def host(self):
        """Wattport's processes."""
        return self.system.host

    def pause(self, most_s=0.5):
        """Some time goes by."""
        time.sleep(self.chance.uniform(0, most_s))

    def pick(self):
        """One of the machines, or None."""
        return self.chance.choice(self.system.machines) if self.system.machines else None

    # --- wattportd ---

    @weight(6)
    def meter_killed(self):
        """Killed, and after a while started again: nothing is lost by that."""
        self.host.meter.kill()
        self.pause(2)
        self.host.start_meter(self.host.settings)

    @weight(4)
    def meter_restarted(self):
        """As a service manager does it."""
        self.host.restart_meter()

    @weight(3)
    def meter_hung(self):
        """It does not answer for a while; nothing is lost by that."""
        os.kill(self.host.meter.pid, signal.SIGSTOP)
        self.pause(2)
        self.system.readers.check()
        os.kill(self.host.meter.pid, signal.SIGCONT)

    @weight(4)
    def meter_reloaded(self):
        """With other settings."""
        changed = {**SETTINGS, "guest-view.mode": self.chance.choice(("exact", "isolated")),
                   "attribution.idle": self.chance.choice(("vcpu", "busy", "none")),
                   "meter.period": self.chance.choice(("200ms", "1s", "3s")),
                   "meter.checkpoint": self.chance.choice(("1s", "2s", "10s"))}
        self.system.write_config(changed)
        os.kill(self.host.meter.pid, signal.SIGHUP)
        return str(changed)

    @weight(2)
    def meter_reloaded_badly(self):
        """Nothing changes."""
        self.system.write_config({**SETTINGS, "meter.period": "soon"})
        os.kill(self.host.meter.pid, signal.SIGHUP)
        self.pause()
        self.system.write_config(SETTINGS)

    @weight(2)
    def descriptors_run_out(self):
        """It loses precision, not its life."""
        pid = self.host.meter.pid
        _, hard = _limit(pid, fds(pid) + self.chance.randrange(3), None)
        machines = [self.arrive_if_possible(awaited=False) for _ in range(3)]
        self.pause(2)
        self.system.check(known=False)
        _limit(pid, hard, hard)
        for machine in machines:
            # One may have left again, to make room for the next.
            if machine in self.system.machines:
                self.system.await_machine(machine)

    # --- wattport-fs ---

    @weight(8)
    def worker_killed(self):
        """The keeper starts another."""
        self.host.kill_worker()

    @weight(5)
    def keeper_killed(self):
        """Another wattport-fs goes on with its mount."""
        self.host.restart_fs()

    @weight(5)
    def filesystem_upgraded(self):
        """Another wattport-fs takes over from one that runs."""
        self.host.restart_fs(kill=False)

    @weight(2)
    def worker_and_keeper_killed(self):
        """Nobody holds the mount any more: whoever reads is cut off, and all begins anew."""
        self.system.readers.pause()
        self.host.kill_filesystem()
        self.pause()
        self.host.unmount_tree()
        self.host.start_filesystem()
        self.system.readers.resume()

    @weight(3)
    def meter_and_worker_killed(self):
        """Both at once."""
        self.host.meter.kill()
        self.host.kill_worker()
        self.pause()
        self.host.start_meter(self.host.settings)

    # --- wattport-exporter ---

    @weight(3)
    def exporter_killed(self):
        """Prometheus goes without for a while."""
        self.host.exporter.kill()
        self.pause()
        self.host.start_exporter()

    @weight(2)
    def exporter_restarted(self):
        """In order."""
        self.host.restart_exporter()

    @weight(4)
    def slow_clients(self):
        """Many that begin and do not go on, some of them killed."""

        def crowd(ready):
            sockets = []
            for number in range(self.chance.randrange(10, 120)):
                try:
                    client = socket.create_connection(ADDRESS, timeout=1)
                    client.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"y" * number)
                except OSError:
                    break
                sockets.append(client)
            ready()
            time.sleep(3600)

        rude = Rude(crowd)
        self.pause()
        rude.kill()

    # --- the host ---

    def boot(self, orderly, damage=None):
        """Down and up again, on hardware that has begun anew."""
        system = self.system
        system.readers.pause()
        while system.machines and self.chance.random() < 0.5:
            system.depart(self.pick())
        self.host.down(orderly)
        if damage:
            damage()
            system.readers.forget()
        system.sim.stop()
        system.write_boot_id()
        system.start_sim()
        system.broken = False
        self.host.up()
        for machine in system.machines:
            system.wait(f"{machine.name} to be known", lambda machine=machine: system.knows(machine.uuid))
        system.readers.resume()
        system.take_stock()

    @weight(1)
    def rebooted(self):
        """In order: every account is there again."""
        before = {zone["id"]: zone["energy_uj"] for zone in self.system.settle()["zones"]}
        self.boot(True)
        after = {zone["id"]: zone["energy_uj"] for zone in self.host.json("status")["zones"]}
        for name, energy_uj in before.items():
            if after[name] < energy_uj:
                raise Violation(f"conservation: {name} had {energy_uj} uJ before the reboot, and has {after[name]} uJ")

    @weight(1)
    def power_cut(self):
        """All are killed, and /run is empty."""
        self.boot(False)

    @weight(1)
    def power_cut_with_damage(self):
        """And the file of the accounts has another byte: the checkpoint before is taken."""

        def damage():
            with open(os.path.join(self.host.state, STORE), "r+b") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(self.chance.randrange(size))
                byte = file.read(1)
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte[0] ^ 0x10]))

        self.boot(False, damage)

    @weight(1)
    def map_lost(self):
        """The ledger in /run is deleted or overwritten while wattportd is dead; the last checkpoint knows up to which
        reading it is."""
        self.host.meter.kill()
        path = os.path.join(RUNTIME, "ledger")
        if self.chance.random() < 0.5:
            os.unlink(path)
        else:
            with open(path, "r+b") as file:
                file.write(self.chance.randbytes(64))
        self.host.start_meter(self.host.settings)

    @weight(2)
    def disk_filled(self):
        """Nothing can be saved for a while."""
        path = os.path.join(self.host.state, BALLAST)
        try:
            with open(path, "wb", buffering=0) as file:
                while file.write(bytes(1 << 20)):
                    pass
        except OSError:
            pass
        self.pause(3)
        self.system.check()
        os.unlink(path)

    # --- RAPL ---

    @weight(5)
    def zone_broken(self):
        """A zone cannot be read, and after a while it can."""
        zone = self.chance.choice(("package-0", "package-1", "package-0/dram"))
        kind = self.chance.choice(("eio", "enodata", "eacces", "garbage", "empty", "missing", "freeze", "slow:300"))
        self.system.broken = True
        self.system.sim.ctl("fault", zone, "energy_uj", kind)
        self.pause(2)
        self.system.check()
        self.system.sim.ctl("clear")
        self.heal()
        return f"{zone} {kind}"

    @weight(3)
    def zone_vanished(self):
        """A package is taken offline and returns."""
        self.system.broken = True
        self.system.sim.ctl("zone", "remove", "intel-rapl:1")
        self.pause(2)
        self.system.check()
        self.system.sim.ctl("zone", "add", "intel-rapl:1")
        self.heal()

    @weight(2)
    def power_changed(self):
        """Much power: the counters wrap soon."""
        watts = self.chance.choice((5, 20, 200, 1500))
        self.system.sim.ctl("set", "idle-watts", str(watts))
        return f"{watts} W"

    def heal(self):
        """Until every zone is read again."""
        self.system.wait("the zones to be read again", lambda: all(zone["available"] for zone in self.host.json("status")["zones"]))
        self.system.broken = False

    # --- machines ---

    def arrive_if_possible(self, **options):
        """Another machine, in the place of one if there are many."""
        if len(self.system.machines) >= MACHINE_MAX:
            self.system.depart(self.pick())
        return self.system.arrive(**options)

    @weight(8)
    def machine_came(self):
        """A new one."""
        return self.arrive_if_possible().name

    @weight(5)
    def machine_went(self):
        """One of them, if there is one."""
        machine = self.pick()
        if machine:
            self.system.depart(machine)
        return machine and machine.name

    @weight(4)
    def machine_returned(self):
        """One that was there before, by another name, with the process id of the one that went last."""
        if not self.system.gone:
            return None
        name, identity, _ = self.chance.choice(self.system.gone[-20:])
        if any(machine.uuid == identity for machine in self.system.machines):
            return None
        machine = self.arrive_if_possible(identity=identity, name=f"{name}-again"[-30:], pid=self.system.gone[-1][2])
        return f"{machine.name} as {machine.process.pid}"

    @weight(4)
    def workers_toggled(self):
        """Threads of machines begin and end."""
        for machine in self.system.machines:
            machine.toggle_worker()

    @weight(2)
    def churn(self):
        """Many come and go; what wattportd has opened for them is closed."""
        system = self.system
        system.settle()
        before = fds(self.host.meter.pid)
        kept = list(system.machines)
        for _ in range(CHURN):
            system.arrive()
        for machine in [machine for machine in system.machines if machine not in kept]:
            system.depart(machine)
        try:
            system.wait("descriptors to be closed", lambda: fds(self.host.meter.pid) <= before)
        except Violation:
            raise Violation(f"descriptors: wattportd had {before} open before {CHURN} machines came and went, and has "
                            f"{fds(self.host.meter.pid)}") from None

    # --- readers ---

    @weight(4)
    def rude_readers(self):
        """Many descriptors, odd offsets, and the end in the midst of it."""
        machine = self.pick()
        if machine is None:
            return
        paths = [self.host.tree(machine.uuid, path) for path in
                 ("class/powercap/intel-rapl:0/energy_uj", "wattport/snapshot", "class/powercap/intel-rapl:0/name")]

        def crowd(ready):
            opened = []
            try:
                for number in range(300):
                    # A tree has 16 open files of several lines, and the readers need some of these.
                    opened.append(os.open(paths[number % 3 if number < 18 else 0], os.O_RDONLY))
            except OSError:
                pass
            ready()
            while True:
                try:
                    os.pread(self.chance.choice(opened), self.chance.randrange(1, 9000), self.chance.choice((0, 1, 7, 4095, 1 << 40)))
                except OSError:
                    pass

        rude = Rude(crowd)
        self.pause(0.3)
        rude.kill()


def _limit(pid, soft, hard):
    """Sets its limit of descriptors; None: the hard one as it is. Returns what there was."""
    import resource  # pylint: disable=import-outside-toplevel

    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, before[1] if hard is None else hard))
    return before


__all__ = ["Events", "LabError", "WEIGHTS"]
