/** Lists every operation of the bridge, by face, from its OpenAPI document. */

/**
 * @typedef {Record<string, any>} Json
 */

export const METHODS = ["get", "post", "put", "patch", "delete"];

/**
 * @param {string} tag
 * @param {string} [text]
 * @param {...Node} inside
 */
function element(tag, text = "", ...inside) {
  const made = document.createElement(tag);
  made.textContent = text;
  made.append(...inside);
  return made;
}

/** A sentence with `code` in backticks as elements.  @param {string} tag  @param {string} text */
function sentence(tag, text) {
  return element(tag, "", ...text.split("`").map((part, at) => (at % 2 ? element("code", part) : document.createTextNode(part))));
}

/** A schema in one line.  @param {Json} schema  @returns {string} */
function type(schema) {
  if (schema["$ref"]) return String(schema["$ref"]).split("/").pop() ?? "";
  if ("const" in schema) return JSON.stringify(schema["const"]);
  if (schema["enum"]) return schema["enum"].map((/** @type {unknown} */ one) => JSON.stringify(one)).join(" | ");
  const several = schema["anyOf"] ?? schema["allOf"];
  if (several) return several.map(type).join(schema["anyOf"] ? " | " : " & ");
  if (schema["type"] === "array") return `[${type(schema["items"])}]`;
  const plain = [schema["type"] ?? "any"].flat().join(" | ");
  const bounds = "minimum" in schema && "maximum" in schema ? ` ${schema["minimum"]} to ${schema["maximum"]}` : "";
  return plain + bounds + ("default" in schema ? `, ${schema["default"]} unless said` : "");
}

/** Rows of a schema's fields, inner ones behind a dot.  @param {Json} schema  @param {string} before  @returns {Node[]} */
function rows(schema, before = "") {
  /** @type {string[]} */
  const required = schema["required"] ?? [];
  return Object.entries(schema["properties"] ?? {}).flatMap(([name, field]) => {
    const inner = field["type"] === "array" ? field["items"] : field;
    const row = element(
      "tr", "",
      element("td", "", element("code", before + name + (required.includes(name) ? "" : "?"))),
      element("td", "", element("code", type(field))),
      sentence("td", field["description"] ?? ""),
    );
    return [row, ...rows(inner, `${before}${name}.`)];
  });
}

/** @param {string} title  @param {Json} schema */
function fields(title, schema) {
  const found = rows(schema);
  const body = found.length > 0 ? element("table", "", ...found) : element("p", "", element("code", type(schema)));
  return [element("h3", title), body];
}

/** @param {string} method  @param {string} path  @param {Json} operation */
function operationBlock(method, path, operation) {
  const inside = element("div");
  if (operation["description"]) inside.append(sentence("p", operation["description"]));
  const ways = operation["security"].flatMap((/** @type {Json} */ one) => Object.keys(one));
  inside.append(element("p", ways.length > 0 ? `Opened by: ${ways.join(", ")}.` : "Open to all."));
  for (const parameter of operation["parameters"] ?? []) {
    const must = parameter["required"] ? "" : "?";
    inside.append(element("p", "", element("code", `${parameter["in"]} ${parameter["name"]}${must}: ${type(parameter["schema"])}`)));
  }
  for (const [kind, content] of Object.entries(operation["requestBody"]?.["content"] ?? {})) {
    inside.append(...fields(`Body, ${kind}`, content["schema"]));
  }
  const errors = element("table");
  for (const [status, response] of Object.entries(operation["responses"])) {
    const [kind, content] = Object.entries(response["content"] ?? {})[0] ?? ["", { schema: {} }];
    if (Number(status) < 400) inside.append(...fields(`${status} ${kind || response["description"]}`, content["schema"]));
    else errors.append(element("tr", "", element("td", status), sentence("td", response["description"]), element("td", "", element("code", type(content["schema"])))));
  }
  inside.append(element("h3", "Errors"), errors);
  const summary = element("summary", "", element("b", method.toUpperCase()), element("code", path), sentence("span", ` — ${operation["summary"]}`));
  return element("details", "", summary, inside);
}

/** @param {Json} api */
function show(api) {
  const place = /** @type {HTMLElement} */ (document.getElementById("faces"));
  const contents = /** @type {HTMLElement} */ (document.getElementById("contents"));
  for (const face of api["tags"]) {
    const id = `face-${face["name"].replaceAll(" ", "-")}`;
    const section = element("section", "", element("h2", face["name"]), sentence("p", face["description"]));
    section.id = id;
    for (const [path, methods] of Object.entries(api["paths"])) {
      for (const method of METHODS) {
        const operation = methods[method];
        if (operation?.["tags"].includes(face["name"])) section.append(operationBlock(method, path, operation));
      }
    }
    place.append(section);
    const link = /** @type {HTMLAnchorElement} */ (element("a", face["name"]));
    link.href = `#${id}`;
    contents.append(link);
  }
  const shapes = element("section", "", element("h2", "Shapes"));
  for (const [name, schema] of Object.entries(api["components"]["schemas"])) {
    shapes.append(element("details", "", element("summary", name), element("div", "", sentence("p", schema["description"] ?? ""), ...fields("Fields", schema))));
  }
  place.append(shapes);
}

const answer = await fetch("openapi.json");
show(await answer.json());
