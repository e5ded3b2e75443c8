/* A table whose rows stay the same elements while their figures change: sortable, filtered. */
import { element, setNumber, setText } from "./text.js";

/*
 * A column: {key, title, text, value(row), show(cell, value, row, scale), unit(rows), wide}. `text` columns are
 * sorted by the alphabet, the others by size; what is not known comes last, by energy.
 */
export class Table {
	constructor(table, columns, sortKey, notify) {
		this.body = table.tBodies[0];
		this.head = table.tHead.rows[0];
		this.notify = notify;
		this.rows = new Map();
		this.filter = "";
		this.setColumns(columns, sortKey);
	}

	setColumns(columns, sortKey) {
		this.columns = columns;
		this.sort = { key: sortKey, up: false };
		this.rows.clear();
		this.body.replaceChildren();
		this.head.replaceChildren(...columns.map(column => this.makeHead(column)));
		this.markSort();
	}

	makeHead(column) {
		const cell = element("th", (column.text ? "text " : "") + (column.wide ?? ""));
		const button = element("button", "sort");
		cell.scope = "col";
		button.type = "button";
		button.append(element("span", "", column.title), element("span", "unit", ""), element("span", "arrow"));
		button.addEventListener("click", () => {
			const again = this.sort.key === column.key;
			this.sort = { key: column.key, up: again ? !this.sort.up : Boolean(column.text) };
			this.markSort();
			this.notify();
		});
		cell.append(button);
		return cell;
	}

	markSort() {
		this.columns.forEach((column, index) => {
			const sorted = column.key === this.sort.key;
			const cell = this.head.cells[index];
			if (sorted)
				cell.setAttribute("aria-sort", this.sort.up ? "ascending" : "descending");
			else
				cell.removeAttribute("aria-sort");
		});
	}

	compare(left, right) {
		const column = this.columns.find(one => one.key === this.sort.key);
		const a = column.value(left), b = column.value(right);
		let order = 0;
		if (column.text)
			order = String(a ?? "").localeCompare(String(b ?? ""));
		else if (a === null && b === null)
			order = (left.energy_uj ?? 0) - (right.energy_uj ?? 0);
		else if (a === null || b === null)
			return (a === null) - (b === null);
		else
			order = a - b;
		return (this.sort.up ? order : -order) || left.name.localeCompare(right.name);
	}

	/* Rows have `id` and `name`; `last` rows stay at the end. Returns how many are shown. */
	show(rows, last) {
		const wanted = this.filter.toLowerCase();
		const shown = rows.filter(row => !wanted || (row.name + " " + (row.detail ?? "") + " " + row.id).toLowerCase().includes(wanted))
			.sort((a, b) => this.compare(a, b));
		const scales = this.columns.map(column => column.unit ? column.unit(rows) : null);
		scales.forEach((scale, index) => setText(this.head.cells[index].querySelector(".unit"), scale ? scale[1] : this.columns[index].fixed ?? ""));
		const living = new Set();
		[...shown, ...last].forEach((row, position) => {
			const line = this.line(row);
			living.add(row.id);
			this.columns.forEach((column, index) => column.show(line.cells[index], column.value(row), row, scales[index]));
			line.className = row.className ?? "";
			if (this.body.rows[position] !== line)
				this.body.insertBefore(line, this.body.rows[position] ?? null);
		});
		for (const [id, line] of this.rows)
			if (!living.has(id)) {
				line.remove();
				this.rows.delete(id);
			}
		return shown.length;
	}

	line(row) {
		let line = this.rows.get(row.id);
		if (line)
			return line;
		line = element("tr");
		for (const column of this.columns) {
			const cell = element(column.head ? "th" : "td", (column.text ? "text " : "") + (column.wide ?? ""));
			if (column.head)
				cell.scope = "row";
			line.append(cell);
		}
		this.rows.set(row.id, line);
		return line;
	}
}

/* Cells. */
export function showText(cell, value) {
	setText(cell, value ?? "");
}

/* Whole and fraction of one unit for the whole column, so that the digits stand below each other. */
export function showScaled(places) {
	return (cell, value, row, scale) => setNumber(cell, value, number => [(number / (scale ? scale[0] : 1)).toFixed(places)]);
}
