"""The dashboard of hypervisors: where their energy goes, and whether that can be believed."""

from blocks import (
    ADDENDS, BLUE, GREEN, RED, YELLOW, Dashboard, bars, choice, graph, number, on_top, pie, query, stat, states, steps, table,
    words,
)

HOST = 'instance=~"$host"'
VM = f'{HOST},name=~"$vm"'
RATE = "[$__rate_interval]"


def vm_power(by, more=""):
    """Watts of the chosen machines, over the time between two points."""
    return f"sum by ({by}) (rate(wattport_vm_energy_joules_total{{{VM},{ADDENDS}{more}}}{RATE}))"


def host_power(metric, by=None):
    """Watts of one of the host's own accounts."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{{HOST},{ADDENDS}}}{RATE}))"


def now(board):
    """The line of numbers at the top."""
    board.row("Now")
    board.add(
        4, 4,
        stat("Power of the hosts", """What RAPL measured over about the last second: processors, and memory where there is a
             dram zone. Not in it: disks, fans, graphics cards, what the power supply loses. Absent when the figures are
             older than ten seconds.""",
             f"sum(wattport_host_power_watts{{{HOST},{ADDENDS}}})", "watt"),
        stat("of it, machines", """The part of the chosen virtual machines, with their share of idle power (attribution.idle
             says how that is divided). psys, core and uncore are left out, as they overlap the packages.""",
             f"sum(wattport_vm_power_watts{{{VM},{ADDENDS}}})", "watt"),
        stat("Machines that run", "Virtual machines that wattportd knows as running.",
             f'count(wattport_vm_info{{{VM},state="running"}})', "short"),
        stat("Oldest figures", """Time since the last sample, of the host where it is longest. Above ten seconds power is
             not shown any more; above two minutes wattportd is silent.""",
             f"max(wattport_ledger_age_seconds{{{HOST}}})", "s", thresholds=steps((None, GREEN), (10, YELLOW), (120, RED))),
        stat("Does it add up?", """Measured energy minus all that was booked of it, of the zone where that is most. Exactly 0,
             or a bug: then do not rely on any figure here, and report it.""",
             f"max(abs(wattport_conservation_error_microjoules{{{HOST}}}))", "suffix: µJ",
             thresholds=steps((None, GREEN), (1, RED))),
        stat("Estimates", """How many hosts compute their energy from CPU use because there is no counter to read. Their
             figures may be wrong by half and more; do not add them to measured ones.""",
             f'count(wattport_source_info{{{HOST},estimate="true"}}) or vector(0)', "short",
             thresholds=steps((None, GREEN), (1, YELLOW))),
    )


def power(board):
    """Who uses it."""
    board.row("Power by virtual machine")
    by_vm = graph(
        "Where the hosts' power goes", """Each virtual machine, and what no machine has: idle power that nobody has rented, processes of
        the host, and machines that ended while wattportd was away. The parts add up to the line 'measured' exactly; where
        they do not, some machines are not chosen above, or a machine had no samples for a part of the time.""",
        [query(vm_power("uuid, name"), "{{name}}"),
         query(host_power("wattport_host_idle_joules_total"), "idle, not rented"),
         query(host_power("wattport_host_other_joules_total"), "processes of the host"),
         query(host_power("wattport_host_away_joules_total"), "while wattportd was away"),
         query(host_power("wattport_host_energy_joules_total"), "measured")],
        "watt", stacked=True, min=0)
    board.add(24, 11, on_top(by_vm, "measured"))
    board.add(
        12, 9,
        bars("Energy of the top $top", """Joules in the time shown, all parts, of the machines that used most. A machine that has
             not been scraped for the whole time shows what it used since.""",
             f"topk($top, sum by (uuid, name) (increase(wattport_vm_energy_joules_total{{{VM},{ADDENDS}}}[$__range])))",
             "joule", "{{name}}"),
        pie("Energy by what it was for", """In the time shown. active: the work of vCPUs (for memory: what is held); idle: the machines'
            share of static power; overhead: the emulator, its I/O and vhost threads. How idle and active are told apart is
            calibration's work: see its error below.""",
            [query(f"sum by (part) (increase(wattport_vm_energy_joules_total{{{VM},{ADDENDS}}}[$__range]))", "machines: {{part}}",
                   instant=True),
             query(f"sum(increase(wattport_host_idle_joules_total{{{HOST},{ADDENDS}}}[$__range]))", "idle, not rented",
                   instant=True),
             query(f"sum(increase(wattport_host_other_joules_total{{{HOST},{ADDENDS}}}[$__range]))", "processes of the host",
                   instant=True)],
            "joule"),
        graph("Power by part", "The same as power, over time, of the chosen machines.",
              [query(vm_power("part"), "{{part}}")], "watt", stacked=True, min=0),
        graph("Power by zone, of machines", """Packages and memory apart. Memory is divided by what each machine holds where no cache
              misses are counted, so a machine that holds much and does nothing shows there.""",
              [query(vm_power("zone"), "{{zone}}")], "watt", stacked=True, min=0),
    )
    board.add(24, 9, table(
        "Machines", """One line each. Energy is that of the time shown, power the mean of it. The line (departed), with the nil
        uuid, has what machines used that are gone for good.""",
        {"name": "Machine", "uuid": "UUID"},
        {"Energy": (f"sum by (name, uuid) (increase(wattport_vm_energy_joules_total{{{VM},{ADDENDS}}}[$__range]))", "joule"),
         "Mean power": (f"sum by (name, uuid) (rate(wattport_vm_energy_joules_total{{{VM},{ADDENDS}}}[$__range]))", "watt"),
         "CPUs busy": (f"sum by (name, uuid) (rate(wattport_vm_cpu_seconds_total{{{VM}}}[$__range]))", "short"),
         "Memory": (f"sum by (name, uuid) (wattport_vm_memory_bytes{{{VM}}})", "bytes")}))


def machines(board):
    """What they do to draw it."""
    board.row("What the machines do")
    board.add(
        8, 8,
        graph("CPU time", """CPUs kept busy by each machine: 1 is one CPU all the time. vcpu is the guest's own work and halt polling,
              overhead the threads that serve it.""",
              [query(f"sum by (uuid, name, part) (rate(wattport_vm_cpu_seconds_total{{{VM}}}{RATE}))", "{{name}}: {{part}}")],
              "short", min=0),
        graph("Memory held", "Memory of the host, while the machine runs: what its share of DRAM's energy goes by.",
              [query(f"sum by (uuid, name) (wattport_vm_memory_bytes{{{VM}}})", "{{name}}")], "bytes", min=0),
        graph("Power of waiting without sleep", """Of the machines' active power: KVM polls for work before a vCPU sleeps. It is only
              known where KVM's debugfs is to be seen (Linux 5.8), and empty elsewhere.""",
              [query(f"sum by (uuid, name) (rate(wattport_vm_halt_poll_joules_total{{{VM},{ADDENDS}}}{RATE}))", "{{name}}")],
              "watt", min=0),
    )


def zones(board):
    """The hardware."""
    board.row("Zones of the hardware")
    board.add(
        12, 8,
        graph("Measured power by zone", """Every zone that is measured. psys is the whole platform and has the others in it; core and
              uncore lie within their package: do not add these. Gaps: the zone could not be read, or figures were old.""",
              [query(f"sum by (instance, zone) (rate(wattport_host_energy_joules_total{{{HOST}}}{RATE}))",
                     "{{instance}} {{zone}}")], "watt", min=0),
        graph("Static power, and power of a busy CPU", """What attribution reckons with, as calibration has found it: what the zone
              draws with nothing running, and what each busy CPU adds in the mean. On a host that is never quiet static power
              cannot be seen well: give it (attribution.idle-power).""",
              [query(f"sum by (instance, zone) (wattport_host_static_power_watts{{{HOST}}})", "{{instance}} {{zone}}: static"),
               query(f"sum by (instance, zone) (wattport_host_busy_cpu_power_watts{{{HOST}}})",
                     "{{instance}} {{zone}}: each busy CPU")], "watt", min=0),
    )


def belief(board):
    """Whether to believe all that."""
    board.row("May these figures be believed?")
    board.add(
        8, 7,
        graph("Conservation error", "Measured minus booked, by zone: always exactly 0, or a bug to report.",
              [query(f"max by (instance, zone) (wattport_conservation_error_microjoules{{{HOST}}})", "{{instance}} {{zone}}")],
              "suffix: µJ"),
        graph("Calibration error", """How far calibration foretold each zone's power wrongly, root mean square over about five minutes. The
              sum is exact whatever it is; above a quarter, who used how much is doubtful. Right after a start, and after a
              sudden change of load, it is high for some minutes.""",
              [query(f"max by (instance, zone) (wattport_calibration_error_ratio{{{HOST}}})", "{{instance}} {{zone}}")],
              "percentunit", thresholds=steps((None, GREEN), (0.25, RED)), min=0),
        states("Zones that can be read", "By zone: whether the last sample could read it. While it cannot, its energy stands still.",
               f"min by (instance, zone) (wattport_zone_available{{{HOST}}})", "{{instance}} {{zone}}",
               words(_0=("unreadable", RED), _1=("read", GREEN))),
        states("Calibration learns", "In the first two minutes machines have no coefficients of their own yet: their parts are rougher then.",
               f"max by (instance, zone) (wattport_calibration_learning{{{HOST}}})", "{{instance}} {{zone}}",
               words(_0=("knows", GREEN), _1=("learns", YELLOW))),
        graph("Readings that were not booked", """By reason. backward: a counter was less than before without a wrap; invalid: no number;
              unreadable: an error. Once after a suspend is nothing.""",
              [query(f"sum by (instance, zone, reason) (increase(wattport_source_errors_total{{{HOST}}}{RATE}))",
                     "{{instance}} {{zone}}: {{reason}}")], "short", min=0),
        graph("How long a sample takes", """Reading all counters and threads, and dividing. It is CPU time and waiting; a read in a guest
              waits for one, for 20 ms at most.""",
              [query(f"histogram_quantile({quantile}, sum by (instance, le) (rate(wattport_sample_duration_seconds_bucket{{{HOST}}}{RATE})))",
                     f"{{{{instance}}}}: {name}") for quantile, name in (("0.5", "median"), ("0.99", "99 of 100"))],
              "s", min=0),
        graph("Isolated minus exact", """What each guest was told minus what was booked to it. With guest-view.mode = exact it is still. In
              isolated mode guests follow slowly, on purpose, so it swings around 0: if it goes one way for hours,
              calibration is off.""",
              [query(f"""sum by (uuid, name) (wattport_vm_guest_view_joules_total{{{VM},{ADDENDS}}})
                     - on (uuid, name) sum by (uuid, name) (wattport_vm_energy_joules_total{{{VM},{ADDENDS}}})""", "{{name}}")],
              "joule"),
        graph("Age of the figures", "Time since the last sample. Power is shown up to ten seconds.",
              [query(f"max by (instance) (wattport_ledger_age_seconds{{{HOST}}})", "{{instance}}")],
              "s", thresholds=steps((None, GREEN), (10, YELLOW), (120, RED)), min=0),
        graph("Threads that are not followed fully", """refused: vCPU threads whose cycles and cache misses cannot be counted (they go by CPU
              time alone); short: threads that wattportd has too few descriptors for. 0 is right for both.""",
              [query(f'sum by (instance) (wattport_event_threads{{{HOST},state="refused"}})', "{{instance}}: refused"),
               query(f"sum by (instance) (wattport_vm_short_threads{{{HOST}}})", "{{instance}}: short")], "short", min=0),
    )
    board.add(
        12, 4,
        stat("Sources", "Where each host's energy comes from. powercap measures; model estimates.",
             f"wattport_source_info{{{HOST}}}", "short", legend="{{instance}}: {{source}}", name=True,
             thresholds=steps((None, BLUE))),
        stat("Versions", "Of Wattport, on each host.", f"wattport_build_info{{{HOST}}} and on (instance) wattport_samples_total",
             "short", legend="{{instance}}: {{version}}", name=True, thresholds=steps((None, BLUE))),
    )


def dashboard():
    """All of it."""
    board = Dashboard(
        "wattport-host", "Wattport: hosts",
        "Where the energy of hypervisors goes: by virtual machine, idle, the host's own. From wattport-exporter (:9771).",
        [choice("host", "Host", "label_values(wattport_samples_total, instance)"),
         choice("vm", "Machine", 'label_values(wattport_vm_energy_joules_total{instance=~"$host"}, name)'),
         number("top", "Top", "10", "5", "20", "50")], "host")
    for part in (now, power, machines, zones, belief):
        part(board)
    return board
