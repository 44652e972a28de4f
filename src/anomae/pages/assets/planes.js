/** A volume in three planes, drawn by NiiVue; the outlines of findings are drawn on a canvas above its own. */
class PlanesViewer {
  static async open(box, facts, parts, onMove) {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(await unpacked(byId("part-niivue")));
    document.head.append(script);
    const viewer = new PlanesViewer();
    Object.assign(viewer, { facts, labels: parts.labels, outlined: true, chosen: 0, onMove });
    const canvas = document.createElement("canvas");
    box.append(canvas);
    viewer.above = document.createElement("canvas");
    viewer.above.className = "above";
    if (!canvas.getContext("webgl2")) throw new Error("no WebGL 2");
    const nv = new niivue.Niivue({
      logLevel: "error",
      backColor: [0, 0, 0, 1],
      crosshairWidth: 0, // drawn on the canvas above: NiiVue's own is as thick as a voxel
      fontColor: [0.75, 0.78, 0.8, 1],
      fontMinPx: 13,
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      showAllOrientationMarkers: true,
      isNearestInterpolation: false,
      invertScrollDirection: true, // the wheel down is towards the feet, as the key is
      multiplanarShowRender: 0,
      multiplanarPadPixels: 4,
      dragAndDropEnabled: false,
      dragMode: 0, // none: what the right button does is in windowing.js
      viewModeHotKey: "",
      clipPlaneHotKey: "",
      cycleClipPlaneHotKey: "",
      isResizeCanvas: true,
    });
    viewer.nv = nv;
    nv.resetBriCon = () => {}; // a double click, or a long touch, would put another window behind the boxes' back
    const draw = nv.drawScene.bind(nv);
    nv.drawScene = (...given) => {
      const drawn = draw(...given);
      viewer.drawAbove();
      return drawn;
    };
    await nv.attachToCanvas(canvas);
    box.append(viewer.above);
    canvas.tabIndex = -1; // the box around it takes the keys
    nv.updateGLVolume = () => {}; // costly, and asked for by every step below: done once, by the first setWindow
    const scan = await niivue.NVImage.new(parts.scanBuffer, "scan.nii", "gray", 1);
    nv.addVolume(scan);
    if (parts.mapBuffer) {
      const nodes = facts.map.colours.map((_, index) => mapColour(facts, index / 255));
      nv.addColormap("anomae", {
        R: nodes.map((node) => node[0]),
        G: nodes.map((node) => node[1]),
        B: nodes.map((node) => node[2]),
        A: nodes.map((node) => Math.round(node[3])),
        I: nodes.map((_, index) => index),
      });
      const top = facts.map.top / facts.map.slope;
      nv.addVolume(await niivue.NVImage.new(parts.mapBuffer, "map.nii", "anomae", 1, null, 0, top));
      nv.volumes[1].cal_min = 0;
      nv.volumes[1].cal_max = top;
      nv.volumes[1].colorbarVisible = false;
      // NiiVue makes the opacity of a colour map all or nothing; a third volume, itself never drawn, says how much.
      const much = Uint8Array.from({ length: 256 }, (_, step) => mapColour(facts, (step * facts.map.slope) / facts.map.top)[3]);
      const ramp = parts.mapBuffer.slice(0);
      const bytes = new Uint8Array(ramp, facts.header_bytes);
      for (let i = 0; i < bytes.length; i++) bytes[i] = much[bytes[i]];
      nv.addVolume(await niivue.NVImage.new(ramp, "ramp.nii", "gray", 0, null, 0, 255));
      nv.volumes[2].cal_min = 0;
      nv.volumes[2].cal_max = 255;
      nv.volumes[1].modulationImage = 2;
      nv.volumes[1].modulateAlpha = 1;
    }
    delete nv.updateGLVolume;
    viewer.fresh = true;
    nv.onLocationChange = (where) => viewer.moved(where.vox);
    return viewer;
  }

  moved([x, y, z]) {
    const at = [z, y, x].map((index, axis) => {
      // Within one voxel of the page the finer position that was asked for is kept.
      const by = this.facts.by[axis];
      return this.at && Math.floor(this.at[axis] / by) === index ? this.at[axis] : index * by;
    });
    this.at = at.map((index, axis) => clamp(index, 0, this.facts.shape[axis] - 1));
    this.onMove(this.at);
  }

  goTo(at) {
    this.at = at;
    const shown = at.map((index, axis) => Math.floor(index / this.facts.by[axis]));
    this.nv.scene.crosshairPos = [2, 1, 0].map((axis) => (shown[axis] + 0.5) / this.facts.shown[axis]);
    this.nv.drawScene();
    this.onMove(at);
  }

  setWindow(low, high) {
    const { slope, intercept } = this.facts.scan;
    this.nv.volumes[0].cal_min = (low - intercept) / slope;
    this.nv.volumes[0].cal_max = (high - intercept) / slope;
    if (this.fresh) this.nv.updateGLVolume();
    else this.refresh(0);
    this.fresh = false;
  }

  /** One of the volumes anew: the other stays as it is. */
  refresh(layer) {
    this.nv.refreshLayers(this.nv.volumes[layer], layer);
    this.nv.drawScene();
  }

  setOpacity(share) {
    if (this.nv.volumes.length < 2) return;
    this.nv.volumes[1].opacity = share;
    if (this.due) return; // a slider asks more often than a large map can be blended
    this.due = requestAnimationFrame(() => {
      this.due = 0;
      this.refresh(1);
    });
  }

  setOutlined(outlined, chosen) {
    this.outlined = outlined;
    this.chosen = chosen;
    this.drawAbove();
  }

  setLayout(name) {
    const kinds = { axial: 0, coronal: 1, sagittal: 2, planes: 3 };
    // Not to the very edge: the letters there would be cut.
    if (name === "planes") {
      // The axial plane is the large one: its slices are what was scored.
      this.nv.customLayout = [
        { sliceType: 0, position: [0, 0, 0.62, 0.985] },
        { sliceType: 1, position: [0.63, 0, 0.37, 0.495] },
        { sliceType: 2, position: [0.63, 0.505, 0.37, 0.495] },
      ];
    } else {
      this.nv.customLayout = [{ sliceType: kinds[name], position: [0.005, 0, 0.99, 0.985] }];
    }
    this.nv.setSliceType(kinds[name]);
  }

  /** The tiles on the screen: what plane each shows, and where, in pixels of the canvas. */
  tiles() {
    return (this.nv.screenSlices || []).filter((tile) => tile.axCorSag <= 2);
  }

  drawAbove() {
    const { above, nv } = this;
    if (!nv.gl) return;
    const { width, height } = nv.gl.canvas;
    if (above.width !== width) above.width = width;
    if (above.height !== height) above.height = height;
    const brush = above.getContext("2d");
    brush.clearRect(0, 0, width, height);
    this.outlines = 0;
    if (!nv.volumes.length) return;
    const [nz, ny, nx] = this.facts.shown;
    const [fx, fy, fz] = nv.scene.crosshairPos;
    const index = (share, side) => clamp(Math.round(share * side - 0.5), 0, side - 1);
    const x = index(fx, nx), y = index(fy, ny), z = index(fz, nz);
    const planes = [
      [nx, ny, (u, v) => this.labels[(z * ny + v) * nx + u]],
      [nx, nz, (u, v) => this.labels[(v * ny + y) * nx + u]],
      [ny, nz, (u, v) => this.labels[(v * ny + u) * nx + x]],
    ];
    for (const tile of this.tiles()) {
      const [left, top, w, h] = tile.leftTopWidthHeight;
      const [columns, rows, at] = planes[tile.axCorSag];
      // The patient's right and front are on the left; what is above or in front is at the top.
      const screen = (u, v) => [left + w * (1 - u / columns), top + h * (1 - v / rows)];
      const size = nv.uiData.dpr || 1;
      if (this.labels && this.outlined) {
        this.outlines += drawOutlines(brush, columns, rows, at, screen, this.chosen, size);
      }
      const here = [[x, y], [x, z], [y, z]][tile.axCorSag];
      drawCross(brush, screen(here[0] + 0.5, here[1] + 0.5), tile.leftTopWidthHeight, size);
    }
  }
}
