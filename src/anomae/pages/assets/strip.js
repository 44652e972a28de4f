/** The scores of all slices as bars, with the threshold, the findings and the current slice; a slider to the keyboard. */
class Strip {
  constructor(box, facts, goToSlice) {
    Object.assign(this, { box, facts, goToSlice });
    const { score, index } = facts.slices;
    const values = facts.threshold === null ? score : [...score, facts.threshold];
    this.low = Math.min(0, ...values);
    this.high = Math.max(...values) + 0.06 * (Math.max(...values) - this.low || 1);
    this.count = facts.shape[0];
    const svg = (name, given, parent) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
      parent.append(made);
      return made;
    };
    const up = (value) => (100 * (this.high - value)) / (this.high - this.low);
    this.svg = svg("svg", { viewBox: `0 0 ${this.count} 100`, preserveAspectRatio: "none", "aria-hidden": "true" }, box);
    index.forEach((at, k) => {
      const [top, bottom] = [up(Math.max(score[k], 0)), up(Math.min(score[k], 0))];
      const flagged = facts.slices.flag && facts.slices.flag[k];
      const kind = flagged ? "bar flagged" : "bar";
      svg("rect", { x: at + 0.08, width: 0.84, y: top, height: Math.max(bottom - top, 0.8), class: kind }, this.svg);
    });
    for (const finding of facts.findings) {
      const ends = finding.slices.map((number) => facts.slices.number.indexOf(number)).map((k) => (k < 0 ? 0 : index[k]));
      svg("rect", { x: ends[0], width: ends[1] - ends[0] + 1, y: 97, height: 3, class: "finding" }, this.svg);
    }
    if (facts.threshold !== null) {
      const at = up(facts.threshold);
      svg("line", { x1: 0, x2: this.count, y1: at, y2: at, class: "threshold" }, this.svg);
      const said = document.createElement("span");
      said.className = "threshold-label";
      said.style.top = `${at}%`;
      said.textContent = `threshold ${short(facts.threshold)}`;
      box.append(said);
    }
    this.marker = svg("rect", { x: 0, width: 1, y: 0, height: 100, class: "marker" }, this.svg);
    for (const [name, value] of [["top", Math.max(...score)], ["bottom", this.low]]) {
      const tick = document.createElement("span");
      tick.className = "tick";
      tick.style.top = `${up(value)}%`;
      tick.textContent = short(value);
      tick.dataset.end = name;
      box.append(tick);
    }
    box.setAttribute("aria-valuemin", Math.min(...facts.slices.number));
    box.setAttribute("aria-valuemax", Math.max(...facts.slices.number));
    const at = (event) => {
      const inner = this.svg.getBoundingClientRect();
      const share = (event.clientX - inner.left) / inner.width;
      this.goToSlice(clamp(Math.floor(share * this.count), 0, this.count - 1));
    };
    box.addEventListener("pointerdown", (event) => {
      box.setPointerCapture(event.pointerId);
      at(event);
    });
    box.addEventListener("pointermove", (event) => event.buttons === 1 && at(event));
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.goToSlice(clamp(this.now - Math.sign(event.deltaY), 0, this.count - 1));
    }, { passive: false });
  }

  show(slice, said) {
    this.now = slice;
    this.marker.setAttribute("x", slice);
    const k = this.facts.slices.index.indexOf(slice);
    this.box.setAttribute("aria-valuenow", k < 0 ? slice : this.facts.slices.number[k]);
    this.box.setAttribute("aria-valuetext", said);
  }
}
