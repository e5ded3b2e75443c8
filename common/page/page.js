/* The page: asks the program that served it for its figures, once a second, and nobody else for anything. */
import { History, energyPicture, powerPicture, showLegend } from "./chart.js";
import { Table, showScaled, showText } from "./table.js";
import { clockTime, columnUnit, duration, element, grams, joined, joules, percent, setNumber, setText, wattHours, watts } from "./text.js";

const PERIOD_MS = 1000;
const COARSE_MS = 10000; /* between two points of the hour */
const KINDS = {
	vm: ["Virtual machines", "virtual machines"], unit: ["Services", "services and other units"], user: ["Users", "users"],
	process: ["Processes", "processes"], slice: ["Slices", "slices"], container: ["Containers", "containers"],
	pod: ["Pods", "pods"], job: ["Jobs", "jobs"],
};
const byId = id => document.getElementById(id);
const page = { history: new History(), now: null, range: "minutes", paused: false, kind: null, stale: true, failed: null, loaded: 0 };
const pictures = [powerPicture(byId("power-chart"), byId("readout")), energyPicture(byId("energy-chart"), byId("readout"))];

/* Tables. */
function showName(cell, value, row) {
	if (!cell.firstChild)
		cell.append(element("span", "swatch"), element("span", "name"), element("span", "detail"));
	cell.children[0].className = "swatch" + (row.layer === undefined || typeof Dygraph === "undefined" ? " none" : " layer-" + row.layer);
	setText(cell.children[1], row.name);
	setText(cell.children[2], row.detail ?? row.state ?? "");
	cell.title = row.name + (row.detail ? "\n" + row.detail : "") + (row.id !== row.name ? "\n" + row.id : "");
}

function showShare(cell, value) {
	if (!cell.firstChild) {
		const track = element("span", "track");
		track.append(element("span", "fill"));
		track.setAttribute("aria-hidden", "true");
		cell.append(track, element("span", "number"));
	}
	setNumber(cell.lastChild, value, number => [number.toFixed(1), "%"]);
	cell.firstChild.style.visibility = value === null ? "hidden" : "visible";
	cell.firstChild.firstChild.style.width = Math.min(100, value ?? 0) + "%";
}

const energyUnit = key => rows => columnUnit(Math.max(0, ...rows.map(row => row[key] ?? 0)));
const scaledEnergy = (cell, value, row, scale) =>
	setNumber(cell, value === null ? null : value, number => [(number / 3.6e9 / scale[0]).toFixed(2)]);
const showDuration = (cell, value) => setNumber(cell, value, number => [duration(number / 1e9)]);
const power = { key: "power_uw", title: "Power", fixed: "W", value: row => row.power_uw, show: (cell, value) => setNumber(cell, value, number => [(number / 1e6).toFixed(2)]) };
const energy = (key, title, wide) => ({ key, title, wide, value: row => row[key], unit: energyUnit(key), show: scaledEnergy });

function accountColumns(group) {
	const columns = [
		{ key: "name", title: "Name", text: true, head: true, value: row => row.name, show: showName },
		power,
		{ key: "share", title: "Share", value: row => percent(row.power_uw, page.now.total.power_uw), show: showShare },
		energy("energy_uj", "Energy"),
	];
	if (group.kind === "vm")
		columns.push(energy("idle_uj", "of it idle", "wide"), energy("overhead_uj", "overhead", "wider"));
	columns.push({ key: "cpu_ns", title: "CPU time", wide: "wide", value: row => row.cpu_ns, show: showDuration },
		{ key: "members", title: group.of_members, wide: "wide", value: row => row.members, show: showScaled(0) });
	return columns;
}

const zoneTable = new Table(byId("zones"), [
	{ key: "name", title: "Zone", text: true, head: true, value: row => row.name, show: (cell, value, row) => showName(cell, value, row) },
	power, energy("energy_uj", "Energy"), energy("idle_uj", "of it idle", "tiny"),
], "name", () => show());
zoneTable.sort.up = true;
zoneTable.markSort();
let accountTable = null;

function showAccounts(now) {
	const group = now.groups.find(one => one.kind === page.kind) ?? now.groups[0];
	if (!group)
		return;
	if (page.kind !== group.kind || !accountTable) {
		/* That kind is there no more: neither are its charts. */
		if (page.kind !== null)
			page.stale = true;
		page.kind = group.kind;
		const columns = accountColumns(group);
		if (!accountTable)
			accountTable = new Table(byId("accounts"), columns, "power_uw", () => show());
		else
			accountTable.setColumns(columns, "power_uw");
	}
	const drawn = group.kind === page.history.kind;
	const rows = group.accounts.map(one => {
		const layer = drawn ? page.history.chosen.indexOf(one.id) : -1;
		return { ...one, layer: layer < 0 ? undefined : layer, className: one.state ? "resting" : "" };
	});
	const last = group.rest ? [{ ...group.rest, id: "\u0000rest", className: "rest" }] : [];
	accountTable.filter = byId("filter").value.trim();
	const shown = accountTable.show(rows, accountTable.filter ? [] : last);
	setText(byId("table-title"), (KINDS[group.kind] ?? [group.kind])[0]);
	setText(byId("table-note"), accountTable.filter ? shown + " of " + rows.length : String(rows.length));
}

function showGroups(now) {
	const place = byId("groups");
	place.hidden = now.groups.length < 2;
	if (place.childElementCount !== now.groups.length)
		place.replaceChildren(...now.groups.map(group => {
			const button = element("button", "", (KINDS[group.kind] ?? [group.kind])[0]);
			button.type = "button";
			button.addEventListener("click", () => {
				page.kind = group.kind;
				accountTable?.setColumns(accountColumns(group), "power_uw");
				show();
				loadAnew();
			});
			return button;
		}));
	now.groups.forEach((group, i) => place.children[i].setAttribute("aria-pressed", String(group.kind === page.kind)));
}

function showZones(now) {
	zoneTable.show(now.zones.map(zone => ({ ...zone, name: zone.id, detail: zone.error ?? (zone.counted ? null : "not in the sum"),
		className: zone.error ? "broken" : zone.counted ? "" : "rest" })),
	[{ ...now.total, id: "total", name: "Total", className: "sum" }]);
}

/* Figures at the top. */
function showFigures(now) {
	const total = now.total;
	const history = page.history;
	const end = history.times.length - 1;
	const live = now.state.up && end >= 0 && history.total[end] !== null;
	const idle = live ? history.idle[end] : null;
	const other = live ? history.other[end] : null;
	const group = now.groups[0];
	/* What stands in the table, too. */
	const accounts = live && group ? [...group.accounts, ...(group.rest ? [group.rest] : [])].reduce((sum, one) => sum + (one.power_uw ?? 0), 0) : null;
	const ofTotal = (part, whole) => percent(part, whole) === null ? "" : percent(part, whole).toFixed(0) + "\u202f% of the power";
	const counted = now.zones.filter(zone => zone.counted && !zone.error).map(zone => zone.id);
	/* Where nothing is divided (yet), there are no parts to show. */
	for (const id of ["accounts-power", "other-power", "idle-power"])
		byId(id).parentElement.hidden = !group;
	document.querySelector(".accounts").hidden = !group;
	document.querySelector(".tables").classList.toggle("alone", !group);
	setNumber(byId("power"), total.power_uw, watts);
	setText(byId("power-note"), now.state.estimate ? "an estimate, computed and not measured" : counted.length > 3 ? counted.length + " zones together" : counted.join(" + "));
	setText(byId("accounts-title"), group ? (KINDS[group.kind] ?? [group.kind])[0] : "Accounts");
	setNumber(byId("accounts-power"), accounts, watts);
	setText(byId("accounts-note"), ofTotal(accounts, total.power_uw));
	setNumber(byId("other-power"), other, watts);
	setText(byId("other-note"), ofTotal(other, history.total[end]));
	setNumber(byId("idle-power"), idle, watts);
	setText(byId("idle-note"), ofTotal(idle, history.total[end]));
	setNumber(byId("energy"), total.energy_uj, wattHours);
	setText(byId("energy-note"), total.energy_uj === null ? "" : joined(joules(total.energy_uj)) +
		(now.state.since_ns === null ? ", all that was counted" : " in " + duration(now.state.since_ns / 1e9)));
	showMeaning(now);
}

function showMeaning(now) {
	const meaning = now.meaning;
	const carbon = meaning?.carbon;
	byId("carbon-figure").hidden = !carbon;
	if (carbon) {
		setNumber(byId("carbon"), carbon.ug_per_hour === null ? null : carbon.ug_per_hour / 1e6, value => {
			const [number, unit] = grams(value);
			return [number, unit + "/h"];
		});
		const note = carbon.counted_ug > 0 ? joined(grams(carbon.counted_ug / 1e6)) + " so far; " + carbon.note : carbon.note;
		setText(byId("carbon-note"), note);
		byId("carbon-note").title = note;
	}
	const texts = meaning?.equivalents ?? [];
	byId("meaning").hidden = texts.length === 0;
	if (byId("equivalents").textContent !== texts.join(""))
		byId("equivalents").replaceChildren(...texts.map(text => element("li", "", text)));
}

/* The state: always there. */
const age = seconds => seconds < 1 ? "less than a second" : duration(seconds);

function chip(text, kind, title) {
	const made = element("li", kind, text);
	if (title)
		made.title = title;
	return made;
}

function showState() {
	const state = page.now?.state;
	const chips = [];
	const live = state && state.up && !page.failed;
	chips.push(chip(page.paused ? "Paused" : live ? "Live" : page.now || page.failed ? "No figures" : "Asking", live && !page.paused ? "live" : "warn"));
	if (state?.age_ns !== null && state?.age_ns !== undefined)
		chips.push(chip(age((state.age_ns / 1e6 + performance.now() - page.received) / 1000) + " old", live ? "" : "warn", "Age of the last sample"));
	if (state?.source)
		chips.push(chip("source " + state.source, "", "Where the energy is read"));
	if (typeof state?.estimate === "boolean")
		chips.push(state.estimate ? chip("estimate", "warn", "Computed from a model, not measured") : chip("measured", ""));
	if (state?.sight)
		chips.push(chip(state.sight + " view", "", page.now.machine === "host" ? "What guests see of it" : "What the host lets this machine see"));
	if (state?.learning)
		chips.push(chip("learning", "warn", "Calibration is not done yet: the division will still improve"));
	const list = byId("state");
	if (list.textContent !== chips.map(one => one.textContent).join("") || list.firstChild.className !== chips[0].className)
		list.replaceChildren(...chips);
	const banner = byId("banner");
	const reason = page.failed ? "No answer from the program that serves this page: " + page.failed
		: state && !state.up ? state.reason ?? "There are no figures." : "";
	if (banner.textContent !== reason)
		banner.textContent = reason;
	banner.hidden = reason === "";
}

/* Charts. */
function showCharts() {
	const history = page.history;
	const missing = typeof Dygraph === "undefined";
	byId("charts").hidden = missing;
	byId("no-charts").hidden = !missing;
	setText(byId("no-charts"), missing ? "Charts need the package libjs-dygraphs on this machine: install it and start the service again. The tables are complete without it." : "");
	history.choose();
	if (missing || !history.times.length)
		return;
	const rows = history.rows();
	const energies = History.energies(rows);
	pictures[0].draw(history, rows);
	pictures[1].draw(history, energies.rows);
	showLegend(byId("legend"), history);
	const known = rows.filter(row => row[1] !== null).map(row => row.slice(1).reduce((sum, value) => sum + value, 0));
	const used = energies.used;
	const span = duration(Math.round((rows[rows.length - 1][0] - rows[0][0]) / 1000));
	setText(byId("power-caption"), known.length ? "least " + joined(watts(Math.min(...known) * 1e6)) + ", most " + joined(watts(Math.max(...known) * 1e6)) : "");
	setText(byId("energy-caption"), used > 0 ? joined(wattHours(used * 3.6e9)) + " in " + span : "");
	byId("power-chart").setAttribute("aria-label", "Power over the last " + span + ", stacked by account; " + byId("power-caption").textContent);
	byId("energy-chart").setAttribute("aria-label", "Energy used in the last " + span + ", stacked by account; " + byId("energy-caption").textContent);
}

function show() {
	showState();
	if (!page.now)
		return;
	showCharts();
	showFigures(page.now);
	showAccounts(page.now);
	showGroups(page.now);
	showZones(page.now);
	setText(byId("version"), "Wattport " + page.now.version);
	setText(byId("where"), (page.now.machine === "host" ? "hypervisor " : "machine ") + location.host);
	document.title = (page.now.total.power_uw === null ? "" : joined(watts(page.now.total.power_uw)) + " \u00b7 ") + "Wattport";
}

async function ask(path) {
	const answer = await fetch(path, { cache: "no-store" });
	if (!answer.ok)
		throw new Error(answer.status + " " + answer.statusText);
	return answer.json();
}

async function load() {
	const path = "/api/v1/history" + (page.range === "hour" ? "/hour" : "") + (page.kind ? "/" + page.kind : "");
	page.history.load(await ask(path));
	page.loaded = performance.now();
	page.stale = false;
}

/* What the charts show is another range, or another kind of account. */
function loadAnew() {
	page.stale = true;
	load().then(show, () => { page.stale = true; });
}

async function refresh() {
	if (!page.paused && !document.hidden) {
		try {
			const now = await ask("/api/v1/now");
			page.received = performance.now();
			/* The first accounts have come: their charts begin. */
			if (page.history.kind === null && now.groups.length)
				page.stale = true;
			if (page.stale || (page.range === "hour" && page.received - page.loaded >= COARSE_MS))
				await load();
			if (page.range === "minutes" && !page.history.add(now))
				page.stale = true;
			page.now = now;
			page.failed = null;
		} catch (error) {
			page.failed = error.message;
			page.stale = true;
			if (page.now)
				page.now = withoutPower(page.now);
		}
		show();
	}
	setTimeout(refresh, PERIOD_MS);
}

/* What was, when nobody answers any more: energy stands, power is not known. */
function withoutPower(now) {
	const bare = one => ({ ...one, power_uw: null });
	return { ...now, state: { ...now.state, up: false, age_ns: now.state.age_ns }, total: bare(now.total), zones: now.zones.map(bare),
		groups: now.groups.map(group => ({ ...group, accounts: group.accounts.map(bare), rest: group.rest && bare(group.rest) })) };
}

function choose(range) {
	page.range = range;
	byId("range-minutes").setAttribute("aria-pressed", String(range === "minutes"));
	byId("range-hour").setAttribute("aria-pressed", String(range === "hour"));
	loadAnew();
}

byId("range-minutes").addEventListener("click", () => choose("minutes"));
byId("range-hour").addEventListener("click", () => choose("hour"));
byId("pause").addEventListener("click", () => {
	page.paused = !page.paused;
	page.stale = true;
	byId("pause").setAttribute("aria-pressed", String(page.paused));
	setText(byId("pause"), page.paused ? "Go on" : "Pause");
	showState();
});
byId("filter").addEventListener("input", () => show());
document.addEventListener("visibilitychange", () => { page.stale = true; });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());
refresh();
