/** A picture, or the axial slices of a volume one by one, on a plain canvas. */
class SlicesViewer {
  static async open(box, facts, parts, onMove) {
    const viewer = new SlicesViewer();
    const canvas = document.createElement("canvas");
    canvas.className = "plain";
    box.append(canvas);
    Object.assign(viewer, { facts, parts, canvas, box, onMove, outlined: true, chosen: 0, opacity: 1 });
    viewer.turned = facts.volume; // a volume is stored from back to front and from left to right
    [viewer.low, viewer.high] = [0, 1];
    canvas.addEventListener("wheel", (event) => {
      if (facts.shape[0] < 2) return;
      event.preventDefault();
      viewer.step(-Math.sign(event.deltaY)); // down: towards the feet
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => event.button === 0 && viewer.pointed(event));
    canvas.addEventListener("pointermove", (event) => event.buttons === 1 && viewer.pointed(event));
    new ResizeObserver(() => viewer.draw()).observe(box);
    return viewer;
  }

  step(count) {
    const [z, y, x] = this.at;
    this.goTo([clamp(z + count * this.facts.by[0], 0, this.facts.shape[0] - 1), y, x]);
  }

  goTo(at) {
    this.at = at;
    this.draw();
    this.onMove(at);
  }

  setWindow(low, high) {
    [this.low, this.high] = [low, high];
    this.draw();
  }

  setOpacity(share) {
    this.opacity = share;
    this.draw();
  }

  setOutlined(outlined, chosen) {
    [this.outlined, this.chosen] = [outlined, chosen];
    this.draw();
  }

  setLayout() {}

  pointed(event) {
    if (!this.frame) return;
    const box = this.canvas.getBoundingClientRect();
    const { left, top, width, height } = this.frame;
    const across = clamp((event.clientX - box.left - left) / width, 0, 0.999999);
    const down = clamp((event.clientY - box.top - top) / height, 0, 0.999999);
    const [, rows, columns] = this.facts.shape;
    const row = Math.floor((this.turned ? 1 - down : down) * rows * 0.999999);
    const column = Math.floor((this.turned ? 1 - across : across) * columns * 0.999999);
    this.goTo([this.at[0], row, column]);
  }

  /** One slice as a small canvas: colours(index) gives red, green, blue, opacity of a pixel of the page. */
  painted(colours) {
    const [, rows, columns] = this.facts.shown;
    const small = document.createElement("canvas");
    [small.width, small.height] = [columns, rows];
    const image = new ImageData(columns, rows);
    const start = Math.floor(this.at[0] / this.facts.by[0]) * rows * columns;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const from = start + row * columns + column;
        const to = this.turned ? (rows - 1 - row) * columns + columns - 1 - column : row * columns + column;
        const [r, g, b, a] = colours(from);
        image.data.set([r, g, b, a], 4 * to);
      }
    }
    small.getContext("2d").putImageData(image, 0, 0);
    return small;
  }

  draw() {
    const { canvas, facts, parts, box } = this;
    if (!this.at || !box.clientWidth) return;
    const size = window.devicePixelRatio || 1;
    canvas.width = Math.round(box.clientWidth * size);
    canvas.height = Math.round(box.clientHeight * size);
    const [, rows, columns] = facts.shape;
    const [, up, across] = facts.spacing_mm;
    const scale = Math.min(box.clientWidth / (columns * across), box.clientHeight / (rows * up));
    const [width, height] = [columns * across * scale, rows * up * scale];
    const [left, top] = [(box.clientWidth - width) / 2, (box.clientHeight - height) / 2];
    this.frame = { left, top, width, height };
    const brush = canvas.getContext("2d");
    brush.fillStyle = "#000";
    brush.fillRect(0, 0, canvas.width, canvas.height);
    const { slope, intercept } = facts.scan;
    const steps = 255 / Math.max(this.high - this.low, 1e-12);
    const grey = (index) => {
      if (facts.colour) return [parts.scan[3 * index], parts.scan[3 * index + 1], parts.scan[3 * index + 2], 255];
      const value = clamp((parts.scan[index] * slope + intercept - this.low) * steps, 0, 255);
      return [value, value, value, 255];
    };
    const laid = [left, top, width, height].map((side) => side * size);
    brush.imageSmoothingEnabled = true;
    brush.drawImage(this.painted(grey), ...laid);
    if (parts.map && this.opacity > 0) {
      const table = Array.from({ length: 256 }, (_, step) => mapColour(facts, (step * facts.map.slope) / facts.map.top));
      brush.globalAlpha = this.opacity;
      brush.drawImage(this.painted((index) => table[parts.map[index]]), ...laid);
      brush.globalAlpha = 1;
    }
    this.outlines = 0;
    const [, shownRows, shownColumns] = facts.shown;
    const screen = (u, v) => [
      laid[0] + laid[2] * (this.turned ? 1 - u / shownColumns : u / shownColumns),
      laid[1] + laid[3] * (this.turned ? 1 - v / shownRows : v / shownRows),
    ];
    if (parts.labels && this.outlined) {
      const start = Math.floor(this.at[0] / facts.by[0]) * shownRows * shownColumns;
      const label = (u, v) => parts.labels[start + v * shownColumns + u];
      this.outlines = drawOutlines(brush, shownColumns, shownRows, label, screen, this.chosen, size);
    }
    const [, row, column] = this.at.map((index, axis) => Math.floor(index / facts.by[axis]) + 0.5);
    drawCross(brush, screen(column, row), laid, size);
    if (this.turned) this.sides(brush, laid, size);
  }

  sides(brush, [left, top, width, height], size) {
    brush.fillStyle = "#c0c6cc";
    brush.font = `600 ${13 * size}px system-ui, sans-serif`;
    brush.textBaseline = "middle";
    brush.fillText("R", left + 6 * size, top + height / 2);
    brush.fillText("L", left + width - 15 * size, top + height / 2);
  }
}
