/** Elements from code; what comes from elsewhere is only ever set as text. */

/**
 * @param {string} tag
 * @param {Record<string, string | boolean | number>} [attributes]  `text` is the element's text; false leaves one out
 * @param {...(Node | string)} inside
 * @returns {any}
 */
export function make(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = String(value);
    else if (value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...inside);
  return made;
}

/** @param {string} tag @param {Record<string, string>} attributes @param {...Node} inside @returns {any} */
export function drawn(tag, attributes, ...inside) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

/** Set a text only if it changes. @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A table whose first column names its rows.
 *
 * @param {string} label  For screen readers.
 * @param {string[]} heads
 * @param {(Node | string)[][]} rows
 */
export function table(label, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col", text })));
  const body = rows.map(([name, ...cells]) => make(
    "tr", {},
    make("th", { scope: "row" }, name ?? ""),
    ...cells.map((cell, index) => make("td", { "data-head": heads[index + 1] ?? "" }, cell)),
  ));
  return make("div", { class: "scrolled", tabindex: 0, role: "region", "aria-label": label },
    make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
}
