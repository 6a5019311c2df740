// A list of which only those rows exist that can be seen, so that thousands cost as little as thirty. It scrolls with the page.

/** Rows above and below what can be seen. */
const BEYOND = 8;

/**
 * Shows `items` in `body`. `make(item)` gives a row, `fill(row, item)` brings it up to date, `key(item)` tells items apart.
 */
export function windowed(body, { make, fill, key }) {
  let items = [];
  let height = 0;
  let asked = false;
  const rows = new Map();

  function draw() {
    asked = false;
    if (!body.isConnected) return;
    const top = body.getBoundingClientRect().top;
    const from = Math.max(0, Math.floor(-top / height) - BEYOND);
    const to = Math.min(items.length, Math.ceil((innerHeight - top) / height) + BEYOND);
    const focused = body.contains(document.activeElement) ? document.activeElement : null;
    const seen = new Set();
    let at = body.firstElementChild;
    for (let index = from; index < to; index += 1) {
      const item = items[index];
      const name = key(item);
      seen.add(name);
      let row = rows.get(name);
      if (!row) {
        row = make(item);
        rows.set(name, row);
      }
      if (row === at) at = at.nextElementSibling;
      else body.insertBefore(row, at);
      fill(row, item);
      const place = `translateY(${index * height}px)`;
      if (row.style.transform !== place) row.style.transform = place;
      row.setAttribute('aria-rowindex', index + 2);
    }
    for (const [name, row] of rows) {
      if (seen.has(name)) continue;
      // Who is at a row by keyboard stays there while the row is still one of the list.
      if (row.contains(focused) && items.some((item) => key(item) === name)) continue;
      row.remove();
      rows.delete(name);
    }
    if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
  }

  const ask = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(draw);
  };
  addEventListener('scroll', ask, { passive: true });
  addEventListener('resize', () => {
    measure();
    ask();
  });

  /** The height of a row is the stylesheet's business. */
  function measure() {
    height = Number.parseFloat(getComputedStyle(body).getPropertyValue('--row')) || 44;
    body.style.height = `${items.length * height}px`;
  }

  return {
    set(next) {
      items = next;
      if (body.isConnected) {
        if (!height) measure();
        body.style.height = `${items.length * height}px`;
        draw();
      }
    },
  };
}
