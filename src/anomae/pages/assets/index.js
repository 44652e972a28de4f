"use strict";
/** The table of all scans: sorted and filtered in memory, and only the rows of one page are in the document. */
(() => {
  const byId = (name) => document.getElementById(name);
  const content = JSON.parse(byId("content").textContent);
  const at = Object.fromEntries(content.names.map((name, index) => [name, index]));
  const rows = content.rows;
  const state = { by: "flag", up: true, page: 0, found: rows };
  const kinds = [["flagged", "Flagged"], ["none", "No flag"], ["clear", "Not flagged"]];
  const rank = (row) => (row[at.flag] === true ? 0 : row[at.flag] === null ? 1 : 2);
  const few = (value) => (value === null ? "–" : String(Number(value.toPrecision(4))));
  const controls = ["find", "kind", "rows"];
  const textual = new Set(["label", "patient", "reason"]);
  const collator = new Intl.Collator("en", { numeric: true });

  function compared(one, other) {
    const turn = state.up ? 1 : -1;
    if (state.by === "flag") return turn * (rank(one) - rank(other)) || other[at.score] - one[at.score];
    const [a, b] = [one[at[state.by]], other[at[state.by]]];
    if (textual.has(state.by)) {
      if (!a || !b) return !a - !b; // what is empty stands last either way
      return turn * collator.compare(a, b);
    }
    if (a === null || b === null) return (a === null) - (b === null);
    return turn * (a - b) || rank(one) - rank(other);
  }

  function sought() {
    const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = byId("kind").value;
    state.found = rows.filter((row) => {
      if (kind !== "all" && kinds[rank(row)][0] !== kind) return false;
      const text = `${row[at.label]} ${row[at.patient]} ${row[at.reason]}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    state.found.sort(compared);
    state.page = 0;
    shown();
  }

  function cell(line, content, kind) {
    const made = document.createElement("td");
    if (kind) made.className = kind;
    made.append(content);
    line.append(made);
  }

  function line(row) {
    const made = document.createElement("tr");
    const link = () =>
      row[at.page] ? Object.assign(document.createElement("a"), { href: row[at.page] }) : document.createElement("span");
    const pictured = link();
    pictured.className = "picture";
    pictured.tabIndex = -1;
    pictured.setAttribute("aria-hidden", "true");
    if (row[at.thumbnail]) {
      const image = Object.assign(document.createElement("img"), { loading: "lazy", alt: "" });
      image.src = row[at.thumbnail];
      pictured.append(image);
    }
    cell(made, pictured);
    const named = link();
    named.textContent = row[at.label];
    cell(made, named, "name");
    if (document.querySelector("[data-by=patient]")) cell(made, row[at.patient], "name");
    const [kind, words] = kinds[rank(row)];
    const badge = document.createElement("span");
    badge.className = `badge ${kind}`;
    badge.textContent = words;
    cell(made, badge);
    cell(made, few(row[at.score]), "number");
    cell(made, row[at.highest] === null ? "–" : String(row[at.highest]), "number");
    cell(made, row[at.flagged] === null ? "–" : `${row[at.flagged]} of ${row[at.slices]}`, "number");
    cell(made, few(row[at.findings]), "number");
    cell(made, few(row[at.largest_mm3] === null ? null : row[at.largest_mm3] / 1000), "number");
    cell(made, row[at.reason]);
    return made;
  }

  /** Kept with this entry of the history, for whoever comes back from a scan to where they were. */
  function kept() {
    const { by, up, page } = state;
    try {
      history.replaceState({ by, up, page, ...Object.fromEntries(controls.map((name) => [name, byId(name).value])) }, "");
    } catch {
      // A browser that allows so many a minute, or none for files: it then begins anew.
    }
  }

  function shown() {
    const count = Number(byId("rows").value);
    const pages = Math.max(1, Math.ceil(state.found.length / count));
    state.page = Math.min(Math.max(state.page, 0), pages - 1);
    const start = state.page * count;
    const some = state.found.slice(start, start + count);
    document.querySelector("#scans tbody").replaceChildren(...some.map(line));
    byId("nothing").hidden = some.length > 0;
    byId("shown").textContent = some.length ? `${start + 1} to ${start + some.length} of ${state.found.length}` : "0 of 0";
    byId("first").disabled = byId("previous").disabled = state.page === 0;
    byId("last").disabled = byId("next").disabled = state.page === pages - 1;
    for (const button of document.querySelectorAll("#scans thead button")) {
      const sorted = button.dataset.by === state.by ? (state.up ? "ascending" : "descending") : "none";
      button.parentElement.setAttribute("aria-sort", sorted);
    }
    kept();
  }

  for (const button of document.querySelectorAll("#scans thead button")) {
    button.addEventListener("click", () => {
      const { by } = button.dataset;
      // Numbers are of interest from the highest on.
      state.up = state.by === by ? !state.up : textual.has(by) || by === "flag";
      state.by = by;
      state.found.sort(compared);
      state.page = 0;
      shown();
    });
  }
  const turn = (change) => () => {
    state.page = change(state.page);
    shown();
    document.querySelector("#scans").scrollIntoView({ block: "nearest" });
  };
  byId("first").addEventListener("click", turn(() => 0));
  byId("previous").addEventListener("click", turn((page) => page - 1));
  byId("next").addEventListener("click", turn((page) => page + 1));
  byId("last").addEventListener("click", turn(() => Infinity));
  byId("find").addEventListener("input", sought);
  byId("kind").addEventListener("change", sought);
  byId("rows").addEventListener("change", () => {
    state.page = 0;
    shown();
  });
  const before = history.state;
  if (before && before.by in at) {
    Object.assign(state, { by: before.by, up: before.up });
    for (const name of controls) byId(name).value = before[name];
    if (!byId("kind").value) byId("kind").value = "all"; // the page was made anew meanwhile, and has fewer kinds
  }
  sought();
  if (before) {
    state.page = before.page;
    shown();
  }
  document.body.dataset.state = "ready";
})();
