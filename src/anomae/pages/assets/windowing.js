/**
 * The window by the right button: to the right widens it, upwards makes the picture brighter, both by a share of the
 * present width, so that it serves CT numbers and fractions alike. now(): the window, [low, high]; set: changes it.
 */
function windowByDrag(box, now, set) {
  const share = 1 / 200; // of the width, a pixel
  let last = null;
  box.addEventListener("contextmenu", (event) => event.preventDefault());
  // The viewer below is not told of this button: it has gestures of its own for it.
  box.addEventListener("mousedown", (event) => event.button === 2 && event.stopPropagation(), true);
  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 2) return;
    box.setPointerCapture(event.pointerId);
    last = [event.clientX, event.clientY];
  });
  box.addEventListener("pointermove", (event) => {
    if (event.buttons !== 2 || !last) {
      last = null;
      return;
    }
    const [across, down] = [event.clientX - last[0], event.clientY - last[1]];
    last = [event.clientX, event.clientY];
    const [low, high] = now();
    const level = (low + high) / 2 + down * share * (high - low);
    const width = (high - low) * Math.exp(across * share);
    set(level - width / 2, level + width / 2);
  });
}
