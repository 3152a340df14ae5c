// Run the annotation page without a browser: node page_in_node.js page.html < steps.json > states.json
// A step is [action, ...arguments]; the state after each step is what the page shows, stores and downloads.
"use strict";
const fs = require("fs"), vm = require("vm");

class Element {
  constructor(id) { Object.assign(this, { id, dataset: {}, attributes: {}, listeners: {}, value: "", textContent: "" }); }
  addEventListener(type, listener) { this.listeners[type] = listener; }
  setAttribute(name, value) { this.attributes[name] = value; }
  closest() { return this; }
  focus() {}
  blur() {}
  click() { return this.fire("click"); }
  fire(type, event = {}) {
    let prevented = false;
    const done = this.listeners[type]?.({ target: this, preventDefault: () => { prevented = true; }, ...event });
    return Promise.resolve(done).then(() => prevented);
  }
}

const html = fs.readFileSync(process.argv[2], "utf8");
const elements = {}, buttons = [], downloads = [], stored = new Map();
const tags = [...html.matchAll(/<[^>]* id="([\w-]+)"[^>]*>/g)];
for (const [, id] of tags) elements[id] = new Element(id);
for (const [, verdict] of html.matchAll(/ data-verdict="(\w+)"/g)) {
  buttons.push(new Element("button"));
  buttons.at(-1).dataset.verdict = verdict;
}
elements.data.textContent = html.match(/<script id="data"[^>]*>([^]*?)<\/script>/)[1];
const script = html.match(/<script>([^]*?)<\/script>/)[1];
const document = new Element("document");
document.getElementById = id => elements[id] || null;
document.querySelectorAll = () => buttons;
document.createElement = () => new Element("link");
const world = {
  document,
  localStorage: { getItem: key => stored.get(key) ?? null, setItem: (key, value) => { stored.set(key, value); } },
  URL: { createObjectURL: blob => { downloads.push(blob.text); return "blob:"; }, revokeObjectURL() {} },
  Blob: class { constructor(parts) { this.text = parts.join(""); } },
  setTimeout() {},
};

function load() {  // also a reload: what is stored remains
  for (const [tag, id] of tags) Object.assign(elements[id], { hidden: / hidden>/.test(tag), open: / open>/.test(tag) });
  vm.runInNewContext(script, { ...world });
}

const actions = {
  load,
  start: name => { elements.annotator.value = name; return elements.start.fire("submit"); },
  key: (key, event = {}) => document.fire("keydown", { key, target: document, ...event }),
  typed: (key, event = {}) => document.fire("keydown", { key, target: elements.note, ...event }),
  note: text => { elements.note.value = text; return elements.note.fire("input"); },
  choose: verdict => elements.choices.fire("click", { target: buttons.find(one => one.dataset.verdict === verdict) }),
  click: id => elements[id].click(),
  import: (name, text) => {
    elements.import.files = [{ name, text: async () => text }];
    return elements.import.fire("change");
  },
};

(async () => {
  const states = [];
  for (const [action, ...given] of JSON.parse(fs.readFileSync(0, "utf8"))) {
    const prevented = await actions[action](...given);
    const shown = Object.fromEntries(Object.values(elements).map(one => [one.id, one.hidden ? null : one.textContent]));
    const pressed = buttons.filter(one => one.attributes["aria-pressed"] === "true").map(one => one.dataset.verdict);
    const note = elements.note.value, open = elements.definitions.open, downloaded = downloads.at(-1);
    states.push({ shown, pressed, note, open, downloaded, prevented: prevented === true, done: elements.done.value });
  }
  process.stdout.write(JSON.stringify(states));
})();
