/* Numbers as a person reads them. What is not known is null, and is never shown as a number. */
export const UNKNOWN = "\u2013";
const THIN = "\u202f";

/* Three digits that count; tabular, so that they stand still. */
function digits(value) {
	const size = Math.abs(value);
	if (size >= 100)
		return value.toFixed(0);
	return value.toFixed(size >= 10 ? 1 : 2);
}

function scaled(value, units) {
	let index = 0;
	while (index + 1 < units.length && value >= units[index + 1][0])
		index++;
	return [digits(value / units[index][0]), units[index][1]];
}

const WATTS = [[1, "W"], [1e3, "kW"], [1e6, "MW"]];
const HOURS = [[1e-3, "mWh"], [1, "Wh"], [1e3, "kWh"], [1e6, "MWh"], [1e9, "GWh"]];
const JOULES = [[1, "J"], [1e3, "kJ"], [1e6, "MJ"], [1e9, "GJ"], [1e12, "TJ"]];
const GRAMS = [[1e-3, "mg"], [1, "g"], [1e3, "kg"], [1e6, "t"]];

export const watts = uw => scaled(uw / 1e6, WATTS);
export const wattHours = uj => scaled(uj / 3.6e9, HOURS);
export const joules = uj => scaled(uj / 1e6, JOULES);
export const grams = g => scaled(g, GRAMS);
export const joined = ([number, unit]) => number + THIN + unit;

/* The unit in which a column is told, by its largest value, so that its rows can be compared. */
export function columnUnit(largest_uj) {
	const wh = largest_uj / 3.6e9;
	let unit = HOURS[0];
	for (const next of HOURS)
		if (wh >= next[0])
			unit = next;
	return unit;
}

export function percent(part, whole) {
	if (part === null || whole === null || !(whole > 0))
		return null;
	return 100 * part / whole;
}

export function duration(seconds) {
	if (seconds < 1)
		return seconds.toFixed(1) + THIN + "s";
	const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
	const first = units.findIndex(([size]) => seconds >= size);
	const [size, name] = units[first];
	const whole = Math.floor(seconds / size);
	const next = units[first + 1];
	const rest = next ? Math.floor((seconds - whole * size) / next[0]) : 0;
	return whole + THIN + name + (rest > 0 && whole < 10 ? " " + rest + THIN + next[1] : "");
}

export function clockTime(ms, withSeconds) {
	const pad = number => String(number).padStart(2, "0");
	const date = new Date(ms);
	return pad(date.getHours()) + ":" + pad(date.getMinutes()) + (withSeconds ? ":" + pad(date.getSeconds()) : "");
}

/* An element with text in it; text from outside gets nowhere but into textContent. */
export function element(tag, className, text) {
	const made = document.createElement(tag);
	if (className)
		made.className = className;
	if (text !== undefined)
		made.textContent = text;
	return made;
}

export function setText(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

/* A number with its unit, or the word for what is not known: seen as a dash. */
export function setNumber(node, value, format) {
	if (value === null || value === undefined) {
		const dash = element("span", "unknown", UNKNOWN);
		dash.setAttribute("aria-hidden", "true");
		node.replaceChildren(dash, element("span", "hidden", "unknown"));
		return;
	}
	const [number, unit] = format(value);
	const data = element("data", "", number);
	data.value = String(value);
	if (unit)
		node.replaceChildren(data, element("span", "unit", unit));
	else
		node.replaceChildren(data);
}
