/*
 * What the charts show: a history of powers, in columns, and its pictures by dygraphs.
 *
 * A picture has eleven layers from top to bottom: those accounts of a kind that used most in the range, the others together,
 * work of no account, idle. A moment of which nothing is known is a gap in all of them, never a zero.
 */
import { element, joined, wattHours, watts, clockTime, setText } from "./text.js";

export const COLOURS = 8;
const LAYERS = COLOURS + 3;
const REST = COLOURS, OTHER = COLOURS + 1, IDLE = COLOURS + 2;
/* Whoever is in the picture is left in it until another has used so much more: colours should not change hands. */
const NEWCOMER = 1.25;
/* Samples of one clock do not differ by so much in the order in which they are answered. */
const CLOCK_BACK_MS = 5000;

/* A slice a-b.slice lies in a.slice (systemd.slice(5)): both in one picture would be twice what was used. */
const isWithin = (kind, name) => kind === "slice" && name.replace(/\.slice$/, "").includes("-");

export class History {
	constructor() {
		this.load({ range_ms: 300000, kind: null, t_ms: [], energy_uj: null, total_uw: [], idle_uw: [], other_uw: [], accounts: [] });
		this.chosen = new Array(COLOURS).fill(null);
	}

	load(document) {
		this.range = document.range_ms;
		this.kind = document.kind;
		this.times = document.t_ms;
		this.total = document.total_uw;
		this.idle = document.idle_uw;
		this.other = document.other_uw;
		this.accounts = new Map(document.accounts.map(one => [one.id, { name: one.name, power: one.power_uw }]));
		/* What comes next is counted from the last point on, so that nothing is left out or counted twice. */
		this.before = document.energy_uj === null ? null : { time: this.last, total: document,
			accounts: new Map(document.accounts.map(one => [one.id, one.energy_uj])) };
		this.present = 0;
	}

	/* What the charts show: all of the range when there is as much, and right up to the present, also of a gap. */
	window() {
		const end = Math.max(this.last, this.present);
		return [Math.max(end - this.range, Math.min(this.times[0], end - this.range / 5)), end];
	}

	get last() {
		return this.times.length ? this.times[this.times.length - 1] : null;
	}

	push(time, total, idle, other, powers) {
		this.times.push(time);
		this.total.push(total);
		this.idle.push(idle);
		this.other.push(other);
		for (const [id, { name, power }] of powers) {
			if (!this.accounts.has(id))
				this.accounts.set(id, { name, power: new Array(this.times.length - 1).fill(null) });
			this.accounts.get(id).name = name;
			this.accounts.get(id).power.push(power);
		}
		for (const account of this.accounts.values())
			if (account.power.length < this.times.length)
				account.power.push(null);
		const old = this.times.findIndex(one => one >= time - this.range);
		if (old > 0) {
			for (const column of [this.times, this.total, this.idle, this.other])
				column.splice(0, old);
			for (const [id, account] of this.accounts) {
				account.power.splice(0, old);
				if (account.power.every(one => one === null))
					this.accounts.delete(id);
			}
		}
	}

	/*
	 * What the page asked for just now: power is what the counters grew by since the point before. False: the clock was
	 * set back, and what is known is of other times.
	 */
	add(now) {
		if (now.state.age_ns !== null)
			this.present = now.t_ms + (now.state.up ? 0 : now.state.age_ns / 1e6);
		if (!now.state.up) {
			if (this.last !== null && this.total[this.total.length - 1] !== null)
				this.push(Math.max(this.present, this.last + 1), null, null, null, []);
			this.before = null;
			return true;
		}
		const before = this.before;
		if (this.last !== null && now.t_ms <= this.last + 500)
			return now.t_ms > this.last - CLOCK_BACK_MS;
		const accounts = now.groups.find(one => one.kind === this.kind)?.accounts ?? [];
		this.before = { time: now.t_ms, total: now.total, accounts: new Map(accounts.map(one => [one.id, one.energy_uj])) };
		/* Where nothing is known to have been before, this is a beginning: the gap goes up to here. */
		const grown = (later, earlier) => before && later !== null && (earlier ?? null) !== null && later >= earlier
			? (later - earlier) * 1000 / (now.t_ms - before.time) : null;
		const total = grown(now.total.energy_uj, before?.total.energy_uj);
		const powers = total === null ? []
			: accounts.map(one => [one.id, { name: one.name, power: grown(one.energy_uj, before.accounts.get(one.id)) }]);
		this.push(now.t_ms, total, grown(now.total.idle_uj, before?.total.idle_uj),
			grown(now.total.other_uj, before?.total.other_uj), powers);
		return true;
	}

	/* Who is in the picture: by what they used in it; each keeps its place. */
	choose() {
		const used = new Map();
		for (const [id, { name, power }] of this.accounts) {
			if (isWithin(this.kind, name))
				continue;
			let sum = 0;
			for (let i = 1; i < power.length; i++)
				sum += (power[i] ?? 0) * (this.times[i] - this.times[i - 1]);
			if (sum > 0)
				used.set(id, sum);
		}
		const order = [...used.keys()].sort((a, b) => used.get(b) - used.get(a));
		this.chosen = this.chosen.map(id => used.has(id) ? id : null);
		for (const id of order.slice(0, COLOURS)) {
			if (this.chosen.includes(id))
				continue;
			let place = this.chosen.indexOf(null);
			if (place < 0) {
				place = this.chosen.reduce((least, one, i) => used.get(one) < used.get(this.chosen[least]) ? i : least, 0);
				if (used.get(id) < NEWCOMER * used.get(this.chosen[place]))
					continue;
			}
			this.chosen[place] = id;
		}
		return this.chosen;
	}

	/* Rows of the picture: time, then the layers in watts; the parts of a row are its total. */
	rows() {
		const columns = this.chosen.map(id => id === null ? null : this.accounts.get(id)?.power ?? null);
		return this.times.map((time, i) => {
			const row = new Array(LAYERS + 1).fill(null);
			row[0] = time;
			if (this.total[i] === null)
				return row;
			let rest = this.total[i] - (this.idle[i] ?? 0) - (this.other[i] ?? 0);
			columns.forEach((power, k) => {
				row[1 + k] = (power ? power[i] ?? 0 : 0) / 1e6;
				rest -= power ? power[i] ?? 0 : 0;
			});
			row[1 + REST] = Math.max(0, rest) / 1e6;
			row[1 + OTHER] = (this.other[i] ?? 0) / 1e6;
			row[1 + IDLE] = (this.idle[i] ?? 0) / 1e6;
			return row;
		});
	}

	/* The same, added up from the left edge, in watt-hours; with the sum of all. */
	static energies(rows) {
		const sums = new Array(LAYERS).fill(0);
		const made = rows.map((row, i) => {
			const line = [row[0]];
			const hours = i > 0 ? (row[0] - rows[i - 1][0]) / 3.6e6 : 0;
			for (let k = 0; k < LAYERS; k++) {
				const known = row[1 + k] !== null;
				if (known)
					sums[k] += row[1 + k] * hours;
				line.push(known || i === 0 ? sums[k] : null);
			}
			return line;
		});
		return { rows: made, used: sums.reduce((sum, value) => sum + value, 0) };
	}

	layerName(layer) {
		if (layer < COLOURS)
			return this.chosen[layer] === null ? null : this.accounts.get(this.chosen[layer])?.name ?? null;
		const known = column => column.some(one => one !== null);
		if (layer === REST)
			return known(this.idle) ? "all others" : "this machine";
		if (layer === OTHER)
			return known(this.other) ? "other work" : null;
		return known(this.idle) ? "idle" : null;
	}
}

/* A tick of an axis is a round number. */
const axisNumber = ([number, unit]) => [String(+number), unit];

function palette() {
	const style = getComputedStyle(document.documentElement);
	const read = name => style.getPropertyValue(name).trim();
	const names = [...Array(COLOURS).keys()].map(i => "--layer-" + i).concat("--layer-rest", "--layer-other", "--layer-idle");
	return { layers: names.map(read), grid: read("--grid"), axis: read("--axis") };
}

/* Its legend writes HTML and styles into the page, which the content policy rightly refuses; the page has its own. */
function withoutLegend() {
	if (typeof Dygraph !== "undefined")
		Dygraph.PLUGINS = Dygraph.PLUGINS.filter(plugin => plugin !== Dygraph.Plugins.Legend);
}

/* One canvas; `format` is of a layer's figure. */
export class Picture {
	constructor(node, readout, format) {
		withoutLegend();
		this.node = node;
		this.readout = readout;
		this.format = format;
		this.graph = null;
	}

	options(history, rows) {
		const colours = palette();
		const most = Math.max(...rows.map(row => row.slice(1).reduce((sum, value) => sum + (value ?? 0), 0)));
		const axis = value => value === 0 ? "0" : joined(axisNumber(this.format(value)));
		return {
			file: rows,
			colors: colours.layers,
			dateWindow: history.window(),
			valueRange: [0, most > 0 ? 1.08 * most : 1],
			axes: {
				x: { ticker: Dygraph.dateTicker, axisLabelFormatter: time => clockTime(time, history.range < 600000), drawGrid: false,
					pixelsPerLabel: 90, axisLineColor: colours.axis, axisLabelWidth: 70 },
				y: { axisLabelFormatter: axis, gridLineColor: colours.grid, axisLineColor: "transparent",
					axisLabelWidth: 62, pixelsPerLabel: 34 },
			},
		};
	}

	draw(history, rows) {
		if (!rows.length || typeof Dygraph === "undefined")
			return;
		const options = this.options(history, rows);
		this.history = history;
		this.node.dataset.points = String(rows.filter(row => row[1] !== null).length);
		if (this.graph) {
			this.graph.updateOptions(options);
			return;
		}
		this.graph = new Dygraph(this.node, rows, {
			...options,
			labels: ["time", ...Array.from({ length: LAYERS }, (_, i) => "layer " + i)],
			stackedGraph: true, stackedGraphNaNFill: "none", fillAlpha: 0.82, strokeWidth: 0.75, legend: "never",
			includeZero: true, drawPoints: false, highlightCircleSize: 0, axisTickSize: 4, axisLabelFontSize: 11,
			interactionModel: {}, xRangePad: 0, yRangePad: 0, rightGap: 8,
			highlightCallback: (event, x, points, index) => this.tell(event, x, index),
			unhighlightCallback: () => { this.readout.hidden = true; },
		});
	}

	/* What was at the moment under the pointer. */
	tell(event, time, index) {
		const lines = [element("p", "time", clockTime(time, true))];
		let sum = 0, known = false;
		for (let layer = 0; layer < LAYERS; layer++) {
			const value = this.graph.getValue(index, layer + 1);
			const name = this.history.layerName(layer);
			if (value === null || name === null)
				continue;
			known = true;
			sum += value;
			if (!(value > 0))
				continue;
			const line = element("p");
			line.append(element("span", "swatch layer-" + layer), element("span", "name", name),
				element("span", "figure", joined(this.format(value))));
			lines.push(line);
		}
		const total = element("p", "sum");
		total.append(element("span", "name", "total"), element("span", "figure", known ? joined(this.format(sum)) : "unknown"));
		lines.push(total);
		this.readout.replaceChildren(...lines);
		this.readout.hidden = false;
		const box = this.readout.getBoundingClientRect();
		const left = event.clientX + 16 + box.width > innerWidth ? event.clientX - 16 - box.width : event.clientX + 16;
		this.readout.style.left = Math.max(4, left) + "px";
		this.readout.style.top = Math.max(4, Math.min(event.clientY + 12, innerHeight - box.height - 4)) + "px";
	}
}

export const powerPicture = (node, readout) => new Picture(node, readout, value => watts(value * 1e6));
export const energyPicture = (node, readout) => new Picture(node, readout, value => wattHours(value * 3.6e9));

export function showLegend(list, history) {
	const layers = [];
	for (let layer = 0; layer < LAYERS; layer++)
		if (history.layerName(layer) !== null)
			layers.push(layer);
	while (list.children.length > layers.length)
		list.lastChild.remove();
	layers.forEach((layer, i) => {
		if (!list.children[i]) {
			const item = element("li");
			item.append(element("span"), element("span", "name"));
			list.append(item);
		}
		list.children[i].firstChild.className = "swatch layer-" + layer;
		setText(list.children[i].lastChild, history.layerName(layer));
	});
}
