"""The dashboard of virtual machines from within: what their services, users and containers use."""

from blocks import (
    ADDENDS, BLUE, GREEN, RED, YELLOW, Dashboard, bars, choice, graph, number, on_top, pie, query, stat, states, steps, table,
    words,
)

GUEST = 'instance=~"$guest"'
RATE = "[$__rate_interval]"


def top_power(kind, by):
    """Watts of those that used most in the time shown: the same ones at every point of the graph."""
    metric = f"wattport_{kind}_energy_joules_total{{{GUEST}}}"
    return (f"sum by ({by}) (rate({metric}{RATE}))"
            f" and on ({by}) topk($top, sum by ({by}) (increase({metric}[$__range] @ end())))")


def top_energy(kind, by):
    """Joules in the time shown, of those that used most."""
    return f"topk($top, sum by ({by}) (increase(wattport_{kind}_energy_joules_total{{{GUEST}}}[$__range])))"


def now(board):
    """The line of numbers at the top."""
    board.row("Now")
    board.add(
        4, 4,
        stat("Power", """Of the chosen machines, over about the last second or tick, as the host tells them. In isolated mode it follows the
             truth slowly. Absent, not 0, when the host's figures are gone.""",
             f"sum(wattport_guest_power_watts{{{GUEST},{ADDENDS}}})", "watt"),
        stat("Energy", "In the time shown, of all chosen machines.",
             f"sum(increase(wattport_guest_energy_joules_total{{{GUEST},{ADDENDS}}}[$__range]))", "joule"),
        stat("Host's figures", "Whether they come. Where one of the chosen machines has none, its energy is in no sum here.",
             f"min(wattport_up{{{GUEST}}})", "short", mappings=words(_0=("gone", RED), _1=("there", GREEN))),
        stat("Oldest figures", "Of the host's last sample, of the machine where it is oldest. From ten seconds on the figures count as gone.",
             f"max(wattport_data_age_seconds{{{GUEST}}})", "s", thresholds=steps((None, GREEN), (5, YELLOW), (10, RED))),
        stat("Estimate", "Whether a host computes the figures from CPU use because it cannot measure: then they may be wrong by half and more.",
             f"max(wattport_data_estimate{{{GUEST}}})", "short", mappings=words(_0=("measured", GREEN), _1=("estimate", YELLOW))),
        stat("At rest", """The part of the power that nobody's work caused: these machines' share of static power. It is found by
             calibration, which is rough in the first minutes.""",
             f"""sum(rate(wattport_guest_idle_joules_total{{{GUEST}}}{RATE}))
             / sum(rate(wattport_guest_divided_joules_total{{{GUEST}}}{RATE}))""", "percentunit"),
    )


def services(board):
    """Units and slices."""
    board.row("Services")
    units = graph(
        "Power by unit", """The top $top units (services, scopes, containers, jobs: the smallest group of processes that has a name) by energy
        in the time shown, with what the machine draws at rest, and work that belongs to no unit. What is missing to
        the line 'divided' is all other units. (rest) jumps when a unit loses its name to a larger one, with all that unit ever
        used: such a peak is no power.""",
        [query(top_power("unit", "instance, unit"), "{{unit}}"),
         query(f"sum(rate(wattport_guest_idle_joules_total{{{GUEST}}}{RATE}))", "at rest"),
         query(f"sum(rate(wattport_guest_other_joules_total{{{GUEST}}}{RATE}))", "of no unit"),
         query(f"sum(rate(wattport_guest_divided_joules_total{{{GUEST}}}{RATE}))", "divided")],
        "watt", stacked=True, min=0)
    board.add(24, 10, on_top(units, "divided"))
    board.add(
        12, 9,
        bars("Energy of the top $top units", "Joules in the time shown. Units that ended, and those that the agent does not show by name (--accounts.top), are in (rest).",
             top_energy("unit", "instance, unit"), "joule", "{{unit}}"),
        pie("Energy by slice", """In the time shown. A slice has all that is below it, so a slice within a slice is counted in both: compare
            them, do not add them.""",
            [query(top_energy("slice", "instance, slice"), "{{slice}}", instant=True)], "joule"),
    )
    board.add(24, 8, table(
        "Units", "Energy in the time shown, power its mean, and the unit's part of what was divided. CPUs busy: 1 is one CPU all the time.",
        {"instance": "Machine", "unit": "Unit"},
        {"Energy": (f"sum by (instance, unit) (increase(wattport_unit_energy_joules_total{{{GUEST}}}[$__range]))", "joule"),
         "Mean power": (f"sum by (instance, unit) (rate(wattport_unit_energy_joules_total{{{GUEST}}}[$__range]))", "watt"),
         "CPUs busy": (f"sum by (instance, unit) (rate(wattport_unit_cpu_seconds_total{{{GUEST}}}[$__range]))", "short"),
         "Part": (f"""sum by (instance, unit) (rate(wattport_unit_energy_joules_total{{{GUEST}}}[$__range])) / on (instance)
                  group_left () sum by (instance) (rate(wattport_guest_divided_joules_total{{{GUEST}}}[$__range]))""",
                  "percentunit")}))


def others(board):
    """The other ways to look at the same joules."""
    board.row("Users, processes, containers, jobs")
    kinds = (
        ("Users", "user", "instance, user", "{{user}}", "By the owner of the processes. All users, (rest), rest and other add up to what was divided."),
        ("Processes", "process", "instance, pid, comm", "{{comm}} ({{pid}})",
         "Processes that live; those that have ended are in (rest), so nothing is lost. (rest) jumps when they go there: such a peak is no power."),
        ("Containers", "container", "instance, container, engine", "{{engine}} {{container}}",
         "Of docker, podman, containerd, CRI-O and LXC, by their cgroups. Empty where there are none."),
        ("Pods", "pod", "instance, pod", "{{pod}}", "Of Kubernetes: all containers of a pod together. Empty where there are none."),
        # Prometheus calls the agent's label `job` so, for `job` is the scrape's own.
        ("Batch jobs", "job", "instance, job_id, scheduler", "{{scheduler}} {{job_id}}",
         "Of SLURM and OAR, all steps and tasks. Empty where there are none."),
    )
    for title, kind, by, legend, description in kinds:
        board.add(
            12, 8,
            graph(f"{title}: power of the top $top", description, [query(top_power(kind, by), legend)], "watt", stacked=True, min=0),
            bars(f"{title}: energy of the top $top", f"Joules in the time shown. {description}", top_energy(kind, by), "joule", legend),
        )


def zones(board):
    """The machine as a whole."""
    board.row("Zones of the machine")
    board.add(
        12, 8,
        graph("Power by zone", """The machine's counters, as every RAPL client in it sees them. psys, where there is one, has the others in
              it: do not add it.""",
              [query(f"sum by (instance, zone) (rate(wattport_guest_energy_joules_total{{{GUEST}}}{RATE}))", "{{instance}} {{zone}}")],
              "watt", min=0),
        graph("What was divided, by zone", """rest: what the machine draws with nothing running; other: work that belongs to no account, as
              that of processes so short that nobody saw them. Much of it: the agent came late, or its period is too long.""",
              [query(f"sum by (zone) (rate(wattport_guest_{part}_joules_total{{{GUEST}}}{RATE}))", f"{{{{zone}}}}: {name}")
               for part, name in (("divided", "divided"), ("idle", "rest"), ("other", "other"))], "watt", min=0),
    )


def belief(board):
    """Whether to believe all that."""
    board.row("May these figures be believed?")
    board.add(
        8, 7,
        states("Host's figures, by machine", "By machine: whether they come. In the gaps Prometheus could not scrape the agent.",
               f"min by (instance) (wattport_up{{{GUEST}}})", "{{instance}}", words(_0=("gone", RED), _1=("there", GREEN))),
        states("Measured or estimated", "By machine: whether its host measures, or computes from CPU use.",
               f"max by (instance) (wattport_data_estimate{{{GUEST}}})", "{{instance}}",
               words(_0=("measured", GREEN), _1=("estimate", YELLOW))),
        graph("Age of the figures", "Of the host's last sample; 0 where a machine's own RAPL is read.",
              [query(f"max by (instance) (wattport_data_age_seconds{{{GUEST}}})", "{{instance}}")], "s",
              thresholds=steps((None, GREEN), (10, RED)), min=0),
        graph("Calibration error of the agent", """How far off the static power and the costs are that the agent has found, of the power. It is absent for
              the first minutes. Above a quarter, which unit used how much is doubtful; the sum is exact whatever it is.""",
              [query(f"max by (instance) (wattport_guest_calibration_error_ratio{{{GUEST}}})", "{{instance}}")], "percentunit",
              thresholds=steps((None, GREEN), (0.25, RED)), min=0),
        graph("Time stolen", """CPUs' worth of time that the hypervisor gave to others while this machine wanted it. It is reckoned with:
              nobody is billed for it. Much of it means that the host is overcommitted.""",
              [query(f"sum by (instance) (rate(wattport_guest_steal_seconds_total{{{GUEST}}}{RATE}))", "{{instance}}")], "short",
              min=0),
        graph("Energy of processes that nobody saw", """Of the processes' rest: work of processes so short that not even the kernel's notice of their end
              was had. Units have that energy all the same.""",
              [query(f"sum by (instance) (rate(wattport_guest_unseen_joules_total{{{GUEST}}}{RATE}))", "{{instance}}")], "watt",
              min=0),
        states("Outputs", "By output: whether its sink takes rows. Empty where none is configured.",
               f"min by (instance, output) (wattport_output_up{{{GUEST}}})", "{{instance}} {{output}}",
               words(_0=("fails", RED), _1=("works", GREEN))),
        graph("Rows that wait", "By output: they wait while its sink takes none, up to a bound.",
              [query(f"sum by (instance, output) (wattport_output_queued{{{GUEST}}})", "{{instance}} {{output}}")], "short", min=0),
        graph("Rows dropped", """By output: they will never be delivered, as there was no room for them to wait, or the server refused
              them. The counters in later rows are right all the same.""",
              [query(f"sum by (instance, output) (increase(wattport_output_dropped_total{{{GUEST}}}{RATE}))", "{{instance}} {{output}}")],
              "short", min=0),
    )
    board.add(12, 4, stat("Versions", "Of wattport-agent, in each machine.",
                          f"wattport_build_info{{{GUEST}}} and on (instance) wattport_up", "short",
                          legend="{{instance}}: {{version}}", name=True, thresholds=steps((None, BLUE))))


def dashboard():
    """All of it."""
    board = Dashboard(
        "wattport-guest", "Wattport: inside machines",
        "What services, users, containers and jobs in virtual machines use. From wattport-agent (:9772); also on bare metal.",
        [choice("guest", "Machine", "label_values(wattport_up, instance)"), number("top", "Top", "10", "5", "20", "50")], "guest")
    for part in (now, services, others, zones, belief):
        part(board)
    return board
