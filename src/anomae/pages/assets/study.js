/** The study page: one state (where we are, how we look), every control changes it, everything shown follows it. */
(async () => {
  const facts = JSON.parse(byId("facts").textContent);
  const { slices, findings } = facts;
  const shape = facts.shape;
  const state = { at: facts.start, chosen: 0, mapShown: true };
  let viewer = null;
  window.study = { facts, state, get viewer() { return viewer; } };

  const sliceOf = (z) => slices.index.indexOf(z);

  async function opened() {
    const box = byId("viewer");
    const parts = {};
    const array = (buffer, type) => {
      const Kind = type === "int16" ? Int16Array : Uint8Array;
      return new Kind(buffer, facts.header_bytes);
    };
    parts.scanBuffer = await unpacked(byId("part-scan"));
    parts.scan = array(parts.scanBuffer, facts.scan.type);
    if (facts.map) {
      parts.mapBuffer = await unpacked(byId("part-map"));
      parts.map = array(parts.mapBuffer, "uint8");
    }
    if (facts.has_findings) parts.labels = array(await unpacked(byId("part-labels")), "uint8");
    state.parts = parts;
    if (facts.planes) {
      try {
        return await PlanesViewer.open(box, facts, parts, moved);
      } catch (reason) {
        box.querySelectorAll("canvas").forEach((canvas) => canvas.remove());
        byId("layouts").hidden = true;
        byId("no-planes").hidden = false;
        byId("no-planes").textContent =
          `This browser cannot show three planes (${reason.message}); axial slices are shown instead.`;
      }
    }
    return SlicesViewer.open(box, facts, parts, moved);
  }

  /** What is known at one position, as numbers; the test of the page reads them too. */
  function numbersAt([z, y, x]) {
    const [shownZ, shownY, shownX] = [z, y, x].map((index, axis) => Math.floor(index / facts.by[axis]));
    const voxel = (shownZ * facts.shown[1] + shownY) * facts.shown[2] + shownX;
    const k = sliceOf(z);
    const { scan, map } = state.parts;
    return {
      slice: k < 0 ? null : slices.number[k],
      position: k < 0 ? null : slices.position_mm[k],
      score: k < 0 ? null : slices.score[k],
      flag: k < 0 || !slices.flag ? null : slices.flag[k],
      share: k < 0 || !slices.share ? null : slices.share[k],
      value: facts.colour ? [0, 1, 2].map((c) => scan[3 * voxel + c]) : scan[voxel] * facts.scan.slope + facts.scan.intercept,
      map: map ? map[voxel] * facts.map.slope : null,
    };
  }

  /** World (x, y, z) in mm of a voxel of the scan; the page's own voxels may each be several of these. */
  function worldOf(at) {
    const [z, y, x] = at.map((index, axis) => (index - (facts.by[axis] - 1) / 2) / facts.by[axis]);
    return facts.affine.map(([a, b, c, d]) => a * x + b * y + c * z + d);
  }

  function sliceSentence(here) {
    if (here.score === null) return "this slice was not scored";
    const flag = here.flag === null ? "" : here.flag ? ", flagged" : ", not flagged";
    return `score ${short(here.score)}${flag}`;
  }

  function moved(at) {
    state.at = at;
    const here = numbersAt(at);
    byId("slice-number").textContent = `${here.slice === null ? at[0] : here.slice} (0 to ${shape[0] - 1})`;
    byId("slice-position").textContent = here.position === null ? "" : `, z ${short(here.position)} mm`;
    byId("slice-score").textContent = sliceSentence(here);
    byId("slice-score").className = here.flag ? "value is-flagged" : "value";
    byId("slice-share").textContent =
      here.share === null ? "" : `higher than ${short(100 * here.share)} % of ${facts.calibration}`;
    byId("voxel-value").textContent = facts.colour
      ? here.value.join(", ")
      : `${short(here.value)}${facts.unit ? ` ${facts.unit}` : ""}`;
    if (facts.map) {
      byId("map-value").textContent = short(here.map);
      byId("colour-here").style.left = `${100 * clamp(here.map / facts.map.top, 0, 1)}%`;
    }
    byId("cross").textContent = facts.affine ? `${worldOf(at).map(millimetre).join(", ")} mm` : `${at[1]}, ${at[2]}`;
    if (state.strip) state.strip.show(at[0], `slice ${byId("slice-number").textContent}, ${sliceSentence(here)}`);
    for (const row of document.querySelectorAll("#slice-rows tr.is-here")) row.classList.remove("is-here");
    const row = document.querySelector(`#slice-rows tr[data-z="${at[0]}"]`);
    if (row) row.classList.add("is-here");
  }

  function goTo(at) {
    viewer.goTo(at);
  }

  const goToSlice = (z) => goTo([z, state.at[1], state.at[2]]);

  function choose(number) {
    state.chosen = number;
    for (const row of document.querySelectorAll("#findings tbody tr")) {
      const chosen = Number(row.dataset.number) === number;
      row.classList.toggle("is-chosen", chosen);
      row.querySelector("button").setAttribute("aria-pressed", String(chosen));
      if (chosen) seenIn(row.closest(".scroll"), row);
    }
    viewer.setOutlined(byId("outlined").checked, number);
    const finding = findings.find((each) => each.number === number);
    if (finding) goTo(finding.at);
  }

  /** Scroll a box, and nothing around it, to where one of its rows is seen. */
  function seenIn(box, row) {
    const [inner, outer] = [row.getBoundingClientRect(), box.getBoundingClientRect()];
    box.scrollTop += Math.min(0, inner.top - outer.top) + Math.max(0, inner.bottom - outer.bottom);
  }

  function nextFinding(step) {
    if (!findings.length) return;
    const now = findings.findIndex((each) => each.number === state.chosen);
    const next = now < 0 ? (step > 0 ? 0 : findings.length - 1) : (now + step + findings.length) % findings.length;
    choose(findings[next].number);
  }

  function nextFlagged(step) {
    if (!slices.flag) return;
    const flagged = slices.index.filter((_, k) => slices.flag[k]);
    if (!flagged.length) return;
    const ahead = step > 0 ? flagged.filter((z) => z > state.at[0]) : flagged.filter((z) => z < state.at[0]).reverse();
    goToSlice(ahead.length ? ahead[0] : step > 0 ? flagged[0] : flagged[flagged.length - 1]);
  }

  function setWindow(low, high, name) {
    const range = high > low ? [low, high] : [low, low + 1e-6];
    [state.low, state.high] = range;
    viewer.setWindow(...range);
    byId("window").value = name || "";
    byId("level").value = short((range[0] + range[1]) / 2);
    byId("width").value = short(range[1] - range[0]);
  }

  function setOpacity(percent) {
    const value = clamp(percent, 0, 100);
    byId("opacity").value = value;
    byId("opacity-said").textContent = `${value} %`;
    viewer.setOpacity(value / 100);
  }

  function setLayout(name) {
    if (!facts.planes || byId("layouts").hidden) return;
    for (const button of document.querySelectorAll("#layouts button")) {
      button.setAttribute("aria-pressed", String(button.dataset.layout === name));
    }
    viewer.setLayout(name);
  }

  function wired() {
    for (const row of document.querySelectorAll("#findings tbody tr")) {
      row.addEventListener("click", () => choose(Number(row.dataset.number)));
    }
    for (const { name, low, high } of facts.windows) {
      const option = document.createElement("option");
      option.value = name;
      option.textContent = facts.colour ? name : `${name} (${short(low)} to ${short(high)})`;
      byId("window").append(option);
    }
    byId("window").addEventListener("change", (event) => {
      const chosen = facts.windows.find((each) => each.name === event.target.value);
      if (chosen) setWindow(chosen.low, chosen.high, chosen.name);
    });
    for (const name of ["level", "width"]) {
      byId(name).addEventListener("change", () => {
        const [level, width] = [Number(byId("level").value), Math.max(Number(byId("width").value), 1e-6)];
        if (Number.isFinite(level) && Number.isFinite(width)) setWindow(level - width / 2, level + width / 2);
      });
    }
    if (!facts.colour) windowByDrag(byId("viewer"), () => [state.low, state.high], setWindow);
    byId("opacity").addEventListener("input", (event) => setOpacity(Number(event.target.value)));
    byId("outlined").addEventListener("change", (event) => viewer.setOutlined(event.target.checked, state.chosen));
    for (const button of document.querySelectorAll("#layouts button")) {
      button.addEventListener("click", () => setLayout(button.dataset.layout));
    }
    byId("previous-finding").addEventListener("click", () => nextFinding(-1));
    byId("next-finding").addEventListener("click", () => nextFinding(1));
    byId("next-flagged").addEventListener("click", () => nextFlagged(1));
    byId("previous-finding").disabled = byId("next-finding").disabled = !findings.length;
    byId("next-flagged").disabled = !slices.flag || !slices.flag.some(Boolean);
    byId("all-slices").addEventListener("toggle", fillSlices, { once: true });
  }

  function fillSlices() {
    const rows = slices.index.map((z, k) => {
      const row = document.createElement("tr");
      row.dataset.z = z;
      const flag = slices.flag === null ? "–" : slices.flag[k] ? "flagged" : "";
      const share = slices.share === null ? "–" : `${short(100 * slices.share[k])} %`;
      for (const text of [slices.number[k], short(slices.position_mm[k]), short(slices.score[k]), share, flag]) {
        const cell = document.createElement("td");
        cell.textContent = text;
        row.append(cell);
      }
      const button = document.createElement("button");
      button.type = "button";
      button.className = "link";
      button.textContent = slices.number[k];
      row.cells[0].replaceChildren(button);
      row.addEventListener("click", () => goToSlice(z));
      if (slices.flag && slices.flag[k]) row.className = "is-flagged";
      return row;
    });
    byId("slice-rows").append(...rows);
    moved(state.at);
  }

  const keys = {
    ArrowUp: () => stepSlice(1),
    ArrowDown: () => stepSlice(-1),
    PageUp: () => stepSlice(10),
    PageDown: () => stepSlice(-10),
    Home: () => goToSlice(0),
    End: () => goToSlice(shape[0] - 1),
    n: () => nextFinding(1),
    p: () => nextFinding(-1),
    f: () => nextFlagged(1),
    F: () => nextFlagged(-1),
    m: () => {
      state.mapShown = Number(byId("opacity").value) === 0;
      if (!state.mapShown) state.opacity = Number(byId("opacity").value);
      setOpacity(state.mapShown ? state.opacity || 100 : 0);
    },
    o: () => byId("outlined").click(),
    "+": () => setOpacity(Number(byId("opacity").value) + 10),
    "-": () => setOpacity(Number(byId("opacity").value) - 10),
    w: () => {
      const now = facts.windows.findIndex((each) => each.name === byId("window").value);
      const { low, high, name } = facts.windows[(now + 1) % facts.windows.length];
      setWindow(low, high, name);
    },
    1: () => setLayout("planes"),
    2: () => setLayout("axial"),
    3: () => setLayout("coronal"),
    4: () => setLayout("sagittal"),
  };

  function stepSlice(count) {
    goToSlice(clamp(state.at[0] + count * facts.by[0], 0, shape[0] - 1));
  }

  function keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typed = event.target.closest("input[type=number], select, textarea");
    const within = event.target.closest("#viewer, #strip");
    const moves = event.key.startsWith("Arrow") || event.key.startsWith("Page") || ["Home", "End"].includes(event.key);
    if (typed || (moves && !within) || !keys[event.key]) {
      if (!within || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
      stepSlice(event.key === "ArrowRight" ? 1 : -1);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  }

  try {
    viewer = await opened();
  } catch (reason) {
    byId("no-planes").hidden = false;
    byId("no-planes").textContent = `This page could not show the scan (${reason.message}); use a current browser.`;
    document.body.dataset.state = "failed";
    return;
  }
  if (shape[0] > 1) state.strip = new Strip(byId("strip"), facts, goToSlice);
  wired();
  document.addEventListener("keydown", keyed, true);
  const first = facts.windows.find((each) => each.name === facts.window);
  setWindow(first.low, first.high, first.name);
  setLayout("planes");
  goTo(facts.start);
  document.body.dataset.state = "ready";
})();
