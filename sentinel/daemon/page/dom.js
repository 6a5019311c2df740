// Elements out of functions, and the least change that makes one tree look like another: so focus, selection and the place of
// a screen reader stay where they are. What is put in is always text.

const SVG = 'http://www.w3.org/2000/svg';

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element[name] = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === '') continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** An element of HTML. */
export function h(name, attributes, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An element of SVG. */
export function s(name, attributes, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

const HANDLERS = ['onclick', 'onsubmit', 'oninput', 'onchange'];

/** Makes the children of `parent` look like these. */
export function show(parent, children) {
  const wanted = h('div', null, ...[children]);
  morphChildren(parent, wanted);
}

function morphChildren(old, wanted) {
  const keyed = new Map();
  for (const child of old.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
  let at = old.firstChild;
  for (const next of [...wanted.childNodes]) {
    const key = next.nodeType === Node.ELEMENT_NODE ? next.dataset.key : undefined;
    const same = key ? keyed.get(key) : at;
    if (same && isAlike(same, next) && (key || !same.dataset?.key)) {
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      morph(same, next);
    } else {
      old.insertBefore(next, at);
    }
  }
  while (at) {
    const rest = at.nextSibling;
    at.remove();
    at = rest;
  }
}

const isAlike = (one, other) => one.nodeName === other.nodeName && one.nodeType === other.nodeType;

function morph(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // Whether something is unfolded is the reader's business.
    if (!next.hasAttribute(name) && name !== 'open') old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const handler of HANDLERS) if (old[handler] !== next[handler]) old[handler] = next[handler];
  if (!old.hasAttribute('data-own')) morphChildren(old, next);
}

/** Sets a text where it is another one. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const SHAPES = {
  ok: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z', 'm4.800 8.300 2.200 2.200 4.200-4.800'],
  info: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z', 'M8 7.300v4M8 4.600v.2'],
  warning: ['M8 1.200 15.300 14.400H.7Z', 'M8 6v4M8 12v.2'],
  critical: ['M5 .8h6L15.200 5v6L11 15.200H5L.8 11V5Z', 'm5.400 5.400 5.200 5.200m0-5.200-5.200 5.200'],
  paused: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z', 'M6.200 5.200v5.600M9.800 5.200v5.600'],
  moving: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z', 'M4.500 8h6.500m-2.800-3L11.200 8l-3 3'],
  unknown: ['M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z', 'M5 8h6'],
};

/** A sign whose shape says what its colour says. */
export function icon(name, size = 16) {
  const [shape, mark] = SHAPES[name] ?? SHAPES.unknown;
  return s('svg', { class: `icon icon-${name}`, viewBox: '0 0 16 16', width: size, height: size, 'aria-hidden': 'true' },
    s('path', { class: 'icon-shape', d: shape }), s('path', { class: 'icon-mark', d: mark }));
}
