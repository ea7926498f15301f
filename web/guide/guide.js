/** The guide's search, over the index that .ci/guide.py writes, and what keyboards need. The pages work without it. */

/** @typedef {{ location: string, title: string, text: string }} Entry */

const MAX_FOUND = 12;
const EXCERPT = 160; // characters
const root = new URL(".", import.meta.url);
const field = /** @type {HTMLInputElement} */ (document.querySelector("#search"));
const found = /** @type {HTMLElement} */ (document.querySelector("#found"));

/** @type {Promise<Entry[]> | undefined} */
let index;

async function entries() {
  const reply = await fetch(new URL("search.json", root));
  return reply.json();
}

/**
 * @param {Entry[]} all
 * @param {string[]} words
 * @returns {Entry[]}  Entries that have every word; those with more words in the title first.
 */
function matching(all, words) {
  const scored = [];
  for (const entry of all) {
    const title = entry.title.toLowerCase();
    const text = `${title} ${entry.text.toLowerCase()}`;
    if (words.every((word) => text.includes(word))) {
      scored.push({ entry, score: words.filter((word) => title.includes(word)).length });
    }
  }
  return scored.sort((a, b) => b.score - a.score).slice(0, MAX_FOUND).map(({ entry }) => entry);
}

/** @param {Entry} entry @param {string} word */
function line(entry, word) {
  const link = document.createElement("a");
  link.href = new URL(entry.location, root).href;
  link.textContent = entry.title;
  const at = Math.max(0, entry.text.toLowerCase().indexOf(word) - EXCERPT / 4);
  const excerpt = document.createElement("span");
  excerpt.textContent = entry.text.slice(at, at + EXCERPT);
  const paragraph = document.createElement("p");
  paragraph.append(link, excerpt);
  return paragraph;
}

async function search() {
  const words = field.value.toLowerCase().split(/\s+/).filter((word) => word.length > 1);
  found.hidden = words.length === 0;
  if (words.length === 0) return;
  const hits = matching(await (index ??= entries()), words);
  const lines = hits.map((entry) => line(entry, words[0] ?? ""));
  if (lines.length === 0) {
    const nothing = document.createElement("p");
    nothing.textContent = "Nothing found.";
    lines.push(nothing);
  }
  found.replaceChildren(...lines);
}

// On wide screens the list of pages is always open.
const list = document.querySelector("nav details");
const wide = matchMedia("(min-width: 56rem)");
const adapt = () => list?.toggleAttribute("open", wide.matches);
wide.addEventListener("change", adapt);
adapt();

// A keyboard must reach what scrolls.
const scrolling = new ResizeObserver((blocks) => {
  for (const { target } of blocks) {
    if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", "0");
    else target.removeAttribute("tabindex");
  }
});
for (const block of document.querySelectorAll("article pre, article table")) scrolling.observe(block);

field.hidden = false;
field.addEventListener("input", () => void search());
