// How a file is read: every row option with the value that holds now. Only what a person changed is asked for; all else
// stays as the server is configured.

import { el } from "./dom.js";

const DELIMITERS = [[",", "comma"], [";", "semicolon"], ["\\t", "tab"], ["|", "vertical bar"]];
const ENCODINGS = ["utf-8", "windows-1252", "iso-8859-15", "windows-1250", "windows-1251", "shift_jis", "gb18030", "big5"];
const FIELDS = ["id", "name", "time_of_start"];
const FIELD_WORDS = { id: "Column that holds the id", name: "Column that holds the name", time_of_start: "Column that holds the time of start" };

let lists = 0;

function suggestions(values) {
  lists += 1;
  return el("datalist", { id: `values-${lists}` }, ...values.map((value) => el("option", { value })));
}

function choice(pairs) {
  return el("select", {}, ...pairs.map(([value, text]) => el("option", { value }, text)));
}

// As the server compares names: case, blanks, "-" and "_" do not matter.
function same(name, wanted) {
  const key = (text) => (text ?? "").toLowerCase().replace(/[\s_-]/g, "");
  return key(name) === key(wanted);
}

export class OptionsForm {
  #fields = new Map();
  #changed = new Map();
  #filled = new Map();

  // `changed`: called whenever a person has changed something.
  constructor(changed) {
    const zones = suggestions(Intl.supportedValuesOf?.("timeZone") ?? ["UTC", "Europe/Berlin", "America/New_York"]);
    const encodings = suggestions(ENCODINGS);
    const text = (list) => el("input", { list: list?.id, autocomplete: "off", spellcheck: "false" });
    const parts = [
      ["delimiter", "Delimiter", choice([...DELIMITERS, ["auto", "find it"]])],
      ["encoding", "Encoding", text(encodings)],
      ["header", "First line names the columns", choice([["true", "yes"], ["false", "no"]])],
      ...FIELDS.map((field) => [field, FIELD_WORDS[field], choice([])]),
      ["zone", "Time zone of times without one", text(zones)],
      ["formats", "Form of times, where it is another one (one a line)", el("textarea", { rows: "1", spellcheck: "false", placeholder: "%d.%m.%Y %H:%M" })],
      ["existing", "Users that are stored already", choice([["keep", "keep as they are"], ["replace", "replace with the file's"]])],
      ["max_rejects", "Bad rows, at most (a number or %)", text()],
    ];
    const labels = parts.map(([name, words, field]) => {
      field.name = name;
      this.#fields.set(name, field);
      return el("label", {}, el("span", {}, words), field);
    });
    this.node = el("div", { class: "options" }, ...labels, zones, encodings);
    for (const event of ["input", "change"]) {
      this.node.addEventListener(event, ({ target }) => {
        if (this.#changed.get(target.name) === target.value) return;
        this.#changed.set(target.name, target.value);
        // Names of columns mean positions now, or the other way round.
        if (target.name === "header") FIELDS.forEach((field) => this.#changed.delete(field));
        changed();
      });
    }
  }

  // Shows what holds: `options` effective for the upload, `columns` those of the file where it was read.
  show(options, columns, delimiter) {
    const shown = { ...options, delimiter: delimiter ?? options.delimiter ?? "auto", header: String(options.header), formats: options.formats.join("\n") };
    for (const [name, field] of this.#fields) {
      if (FIELDS.includes(name)) this.#showColumn(name, field, options, columns);
      else if (document.activeElement !== field) this.#set(field, this.#changed.get(name) ?? String(shown[name]));
    }
    this.#fields.get("formats").rows = Math.max(1, options.formats.length);
  }

  #showColumn(name, select, options, columns) {
    const wanted = options.columns[name];
    if (columns) this.#fill(select, columns.map(({ name, example }) => ({ name, example })), options.header);
    // Of a refused file nobody told which is which.
    const at = columns?.findIndex((column) => column.field === name || same(column.name, wanted)) ?? -1;
    const missing = columns ? "" : wanted;
    const found = at < 0 ? missing : options.header ? columns[at].name : String(at + 1);
    this.#set(select, this.#changed.get(name) ?? found);
  }

  #fill(select, columns, header) {
    // A list that somebody has open stays as it is.
    const filled = JSON.stringify([columns, header]);
    if (this.#filled.get(select) === filled) return;
    this.#filled.set(select, filled);
    const options = columns.map(({ name, example }, at) => {
      const value = header ? name : String(at + 1);
      const text = header ? name || "(without a name)" : `column ${at + 1}`;
      // The option's own text form has commas between columns.
      const unusable = header && (!name?.trim() || name.includes(","));
      return el("option", { value, disabled: unusable }, example ? `${text} – e.g. ${example.slice(0, 30)}` : text);
    });
    select.replaceChildren(el("option", { value: "", disabled: true }, "choose one"), ...options);
  }

  #set(field, value) {
    if (field.tagName === "SELECT" && ![...field.options].some((option) => option.value === value)) {
      field.append(el("option", { value }, value));
    }
    if (field.value !== value) field.value = value;
  }

  // What was changed, as a query.
  query() {
    const query = new URLSearchParams();
    for (const [name, value] of this.#changed) {
      if (name === "formats") for (const line of value.split("\n")) { if (line.trim()) query.append(name, line.trim()); }
      if (FIELDS.includes(name) || name === "formats" || !value.trim()) continue;
      query.set(name, value.trim());
    }
    const columns = FIELDS.filter((field) => this.#changed.get(field)).map((field) => `${field}=${this.#changed.get(field)}`);
    // Without a header columns are positions, with one names: those of before mean nothing then.
    const unset = { true: "id=id,name=name,time_of_start=time_of_start", false: "id=1,name=2,time_of_start=3" };
    if (columns.length) query.set("columns", columns.join(","));
    else if (query.has("header")) query.set("columns", unset[query.get("header")]);
    return query;
  }

  // What was changed, by name; and takes over what was changed before or in another form.
  get changed() {
    return Object.fromEntries(this.#changed);
  }

  take(changed) {
    for (const [name, value] of Object.entries(changed)) if (this.#fields.has(name)) this.#changed.set(name, String(value));
  }

  focus(name) {
    this.#fields.get(name).focus();
  }
}
