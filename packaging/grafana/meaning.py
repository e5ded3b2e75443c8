"""The dashboard of what energy means: kilowatt-hours, money, greenhouse gases, things of everyday life."""

import os
import re

from blocks import ADDENDS, Dashboard, bars, choice, graph, query, stat, table, text

J_PER_KWH = 3.6e6
VM = 'instance=~"$host",name=~"$vm"'
HOST = 'instance=~"$host"'
GUEST = 'instance=~"$guest"'
TARIFF = "$tariff"
NOT_ALL = """RAPL has processors and memory alone: what disks, fans, cooling and the power supply take comes on top, a third to
    the same again on most servers."""

# What to show of the table of equivalents, which has amounts and their sources: {its name there: (title, unit)}.
PICTURES = {
    "led-bulb": ("Hours of a 9 W LED bulb", "short"),
    "phone": ("Phone charges of 10 Wh", "short"),
    "kettle": ("Litres of water brought to the boil", "litre"),
    "e-bike": ("Kilometres by e-bike", "lengthkm"),
    "electric-car": ("Kilometres by electric car", "lengthkm"),
    "washing-machine": ("Loads of laundry", "short"),
}
# Joules of one; of a power, those of an hour.
UNITS = {"W": 3600, "Wh": 3600, "kWh": 3.6e6, "J": 1, "kJ": 1e3, "MJ": 1e6}


def equivalents():
    """(title, joules, unit) of each picture, by packaging/equivalents.conf."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "equivalents.conf")
    with open(path, encoding="utf-8") as file:
        amounts = dict(re.findall(r"^([\w-]+) = ([^:]+?) :", file.read(), re.MULTILINE))
    for name, (title, unit) in PICTURES.items():
        value, _, amount_unit = amounts[name].partition(" ")
        yield title, float(value) * UNITS[amount_unit.partition("/")[0]], unit


def number(value):
    """As PromQL reads it, and people, too."""
    return f"{value:g}" if value < 1e6 else f"{value:.0f}"


def vm_energy(by=None):
    """Joules in the time shown, of the chosen virtual machines."""
    return f"sum{f' by ({by})' if by else ''} (increase(wattport_vm_energy_joules_total{{{VM},{ADDENDS}}}[$__range]))"


def unit_energy(by=None):
    """The same of services in the chosen guests."""
    return f"sum{f' by ({by})' if by else ''} (increase(wattport_unit_energy_joules_total{{{GUEST}}}[$__range]))"


def kwh(joules):
    """As many kilowatt-hours."""
    return f"{joules} / {number(J_PER_KWH)}"


def cost(joules):
    """In the tariff's currency."""
    return f"{kwh(joules)} * {TARIFF}"


def vm_power(by):
    """Watts of the chosen virtual machines."""
    return f"sum by ({by}) (rate(wattport_vm_energy_joules_total{{{VM},{ADDENDS}}}[$__rate_interval]))"


def carbon(joules, *labels, intensity="avg_over_time(wattport_carbon_intensity_grams_per_joule[$__range])"):
    """
    Grams of CO2 equivalent of what joules() tells, an energy or a power: by the intensity that the machine's exporter tells, and
    where it tells none by the one that was typed.
    """
    each = joules(", ".join({"instance": None, **dict.fromkeys(labels)}))
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"""sum{by} ({each} * on (instance) group_left () max by (instance) ({intensity}) or {kwh(each)} * $intensity)"""


def totals(board):
    """All chosen machines together."""
    board.row("The chosen virtual machines, in the time shown")
    board.add(
        6, 4,
        stat("Energy", f"Of all chosen virtual machines, with their share of idle power. {NOT_ALL}", kwh(vm_energy()), "kwatth",
             decimals=3),
        stat("Cost, in $currency", f"That energy at the tariff above. {NOT_ALL}", cost(vm_energy()), "short", decimals=2),
        stat("Greenhouse gases", f"""That energy times the mean carbon intensity of that time, as the hosts' exporters tell it (meaning.carbon in
             wattport.conf); where one tells none, times the figure above. {NOT_ALL}""", carbon(vm_energy), "massg", decimals=1),
        stat("Cost of a year, in $currency", """What a year would cost if it went on as in the time shown. A guess: make the time shown a week at
             least, so that nights and weekends are in it.""",
             f"sum(rate(wattport_vm_energy_joules_total{{{VM},{ADDENDS}}}[$__range])) * 8760 / 1000 * {TARIFF}", "short",
             decimals=2),
    )


def machines(board):
    """Each."""
    board.row("By virtual machine")
    board.add(24, 9, table(
        "Machines", f"""In the time shown, one line each. A machine that moved between hosts has one line for what it used on all of
        them. {NOT_ALL}""",
        {"name": "Machine", "uuid": "UUID"},
        {"Energy": (kwh(vm_energy("name, uuid")), "kwatth"), "Cost": (cost(vm_energy("name, uuid")), "short"),
         "CO2e": (carbon(vm_energy, "name", "uuid"), "massg")}))
    board.add(
        12, 8,
        graph("Cost per hour, in $currency", "Power times the tariff: what each machine would cost if it went on like that for an hour.",
              [query(f"""sum by (uuid, name) (rate(wattport_vm_energy_joules_total{{{VM},{ADDENDS}}}[$__rate_interval]))
                     / 1000 * {TARIFF}""", "{{name}}")], "short", stacked=True, min=0),
        graph("CO2e per hour", "The same in grams, at the intensity of each moment that the exporters tell, or at the one above.",
              [query(f"3600 * {carbon(vm_power, 'uuid', 'name', intensity='wattport_carbon_intensity_grams_per_joule')}", "{{name}}")],
              "massg", stacked=True, min=0),
        bars("Energy of the last day", "By machine, whatever time is shown: less where Prometheus has scraped for less than a day.",
             f"sum by (uuid, name) (increase(wattport_vm_energy_joules_total{{{VM},{ADDENDS}}}[1d])) / {number(J_PER_KWH)}",
             "kwatth", "{{name}}"),
        stat("Paid for nobody, in $currency", """Idle power that no machine has rented, in the time shown: what the room that is left on the hosts
             costs. It is 0 where attribution.idle = busy gives it to who runs.""",
             cost(f"sum(increase(wattport_host_idle_joules_total{{{HOST},{ADDENDS}}}[$__range]))"), "short", decimals=2),
    )


def services(board):
    """From within."""
    board.row("By service, from within the virtual machines")
    board.add(24, 9, table(
        "Services", f"""In the time shown, of the units in the chosen guests, as their agents divide it: without what a machine draws at
        rest. So a guest's lines are less than what it is billed for above. {NOT_ALL}""",
        {"instance": "Machine", "unit": "Unit"},
        {"Energy": (kwh(unit_energy("instance, unit")), "kwatth"), "Cost": (cost(unit_energy("instance, unit")), "short"),
         "CO2e": (carbon(unit_energy, "instance", "unit"), "massg")}))


def electricity(board):
    """What the exporters say of it."""
    board.row("The electricity, where the exporters are told (meaning.carbon)")
    board.add(
        12, 8,
        graph("Carbon intensity", """Grams of CO2 equivalent for each kilowatt-hour, by its source: a gap where it is not known, or too old to
              be believed.""",
              [query(f"wattport_carbon_intensity_grams_per_joule{{{HOST}}} * {number(J_PER_KWH)}", "{{instance}}: {{source}}")],
              "massg", min=0),
        graph("CO2e of the hosts, counted", f"""Grams an hour of all that each host measured, added up second by second with the intensity of
              its time: exact, but without what was used while the intensity was not known. {NOT_ALL}""",
              [query(f"3600 * rate(wattport_carbon_grams_total{{{HOST}}}[$__rate_interval])", "{{instance}}")], "massg", min=0),
    )


def everyday(board):
    """Pictures."""
    board.row("The same energy would")
    board.add(4, 4, *(
        stat(name, f"""What the energy of the chosen machines would do, in the time shown, at {number(joules / 3600)} Wh each: for a picture, not
             for a bill. /etc/wattport/equivalents.conf has the sources of the figures.""", f"{vm_energy()} / {number(joules)}", unit,
             decimals=1)
        for name, joules, unit in equivalents()
    ))


def dashboard():
    """All of it."""
    board = Dashboard(
        "wattport-meaning", "Wattport: what it means",
        "Kilowatt-hours, cost, CO2e and everyday equivalents of virtual machines and of the services in them.",
        [choice("host", "Host", "label_values(wattport_samples_total, instance)"),
         choice("vm", "Machine", 'label_values(wattport_vm_energy_joules_total{instance=~"$host"}, name)'),
         choice("guest", "Seen from within", "label_values(wattport_up, instance)"),
         text("tariff", "Price of a kWh", "0.30", "In any currency: all costs are in the same."),
         text("currency", "Currency", "EUR", "Only for titles."),
         text("intensity", "g CO2e per kWh", "300", "Where an exporter tells none: /etc/wattport/wattport.conf, meaning.carbon.")],
        "host")
    for part in (totals, machines, services, electricity, everyday):
        part(board)
    return board
