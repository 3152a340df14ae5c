// Filters, searches and shows the responses of the page. What models and data sets wrote is only ever set as text.
(async () => {
  "use strict";
  const PER_PAGE = 25;
  const EXCERPT = 160; // characters
  const FORMULA = /^'*[=+\-@\t\r]/; // how a cell begins that a spreadsheet runs
  const root = document.getElementById("explorer");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  if (!("DecompressionStream" in window)) return; // the fallback stays visible

  document.head.append(make("style", part("style").textContent)); // a style element may not be in the body
  const { lists, columns } = await unpack(part("data").textContent);
  const { study, banner, suffix } = root.dataset;
  const total = columns.model.length;
  const lower = Object.fromEntries(
    ["response", "question", "system", "body"].map((name) => [name, lists[name].map((text) => (text || "").toLowerCase())]),
  );
  const agreement = Array.from({ length: total }, (_, i) => agreementOf(i));
  const filters = []; // of {select, keep(response, value)}
  let found = [];
  let page = 0;

  makeFilters();
  part("fallback").hidden = true;
  part("form").hidden = false;
  listen();
  if (!openLinked()) update();

  async function unpack(base64) {
    const bytes = Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  // what a response is

  function ofPrompt(i, name) {
    return columns[name][columns.prompt[i]];
  }

  function word(i, name) {
    return lists[name][name === "model" ? columns.model[i] : ofPrompt(i, name)];
  }

  function modelName(i) {
    return word(i, "model") + suffix;
  }

  function textOf(i) {
    return lists.body[ofPrompt(i, "row")];
  }

  function idOf(i) {
    return `${word(i, "model")}:${lists.prompt_id[columns.prompt[i]]}`;
  }

  function verdictOf(i, k) {
    return lists.verdict[columns.verdict[k][i]] || ["missing", ""];
  }

  function verdictWord(i, k) {
    const [verdict] = verdictOf(i, k);
    return verdict === "missing" ? "no verdict" : verdict;
  }

  // whether the labellers that have a verdict agree that it is a refusal
  function agreementOf(i) {
    const verdicts = lists.labeller.map((_, k) => verdictOf(i, k)[0]).filter((verdict) => verdict !== "missing");
    const refused = verdicts.filter((verdict) => verdict === "refused").length;
    return refused === 0 || refused === verdicts.length ? "agree" : "differ";
  }

  // filters

  function makeFilters() {
    for (const name of ["model", "task", "persona", "template"]) {
      const words = lists[name].map((value, code) => [String(code), name === "model" ? value + suffix : value]);
      const own = name === "model" ? (i) => columns.model[i] : (i) => ofPrompt(i, name);
      addFilter(name === "model" ? root.dataset.model : name, name, [sorted(words)], (i, value) => own(i) === Number(value));
    }
    lists.labeller.forEach((labeller, k) => {
      const codes = [...new Set(columns.verdict[k])].filter((code) => code >= 0);
      const verdicts = [...new Set(codes.map((code) => lists.verdict[code][0]))].map((name) => [`verdict ${name}`, name]);
      const categories = codes.map((code) => [`category ${code}`, lists.verdict[code].join(": ")]);
      const keep = (i, value) => {
        const [kind, wanted] = value.split(" ");
        return kind === "verdict" ? verdictOf(i, k)[0] === wanted : columns.verdict[k][i] === Number(wanted);
      };
      addFilter(`verdict of ${labeller}`, `verdict ${labeller}`, [sorted(verdicts), sorted(categories)], keep);
    });
    if (lists.labeller.length > 1) {
      const words = [["agree", "labellers agree"], ["differ", "labellers differ"]];
      addFilter("agreement on refusal", "agreement", [words], (i, value) => agreement[i] === value);
    }
  }

  function sorted(words) {
    const rank = ([, value]) => (value === "baseline" ? 0 : 1);
    return words.sort((a, b) => rank(a) - rank(b) || a[1].localeCompare(b[1], "en", { numeric: true }));
  }

  function addFilter(title, name, groups, keep) {
    const select = make("select", "", { name, id: `explorer ${name}`.replaceAll(" ", "-") });
    select.append(make("option", "all", { value: "" }));
    groups.forEach((words, place) => {
      const target = place ? make("optgroup", "", { label: "by category" }) : select;
      for (const [value, shown] of words) target.append(make("option", shown, { value }));
      if (place) select.append(target);
    });
    const field = make("div");
    field.append(make("label", title[0].toUpperCase() + title.slice(1), { htmlFor: select.id }), select);
    part("filters").append(field);
    filters.push({ select, keep });
  }

  function matches() {
    const active = filters.filter(({ select }) => select.value);
    const wanted = part("search").value.trim().toLowerCase();
    const has = (name) => lower[name].map((text) => text.includes(wanted));
    const hit = wanted && { response: has("response"), question: has("question"), system: has("system"), body: has("body") };
    const all = [];
    for (let i = 0; i < total; i++) {
      if (!active.every(({ select, keep }) => keep(i, select.value))) continue;
      if (
        !hit ||
        hit.response[columns.response[i]] ||
        hit.question[ofPrompt(i, "question")] ||
        hit.system[ofPrompt(i, "system")] ||
        hit.body[ofPrompt(i, "row")]
      ) {
        all.push(i);
      }
    }
    return all;
  }

  // the list

  function update() {
    found = matches();
    page = 0;
    say(`${count(found.length)} of ${count(total)} responses match.`);
    draw();
  }

  function draw() {
    const first = page * PER_PAGE;
    const shown = found.slice(first, first + PER_PAGE);
    part("list").replaceChildren(...shown.map(item));
    part("pages").hidden = found.length <= PER_PAGE;
    part("place").textContent = `${count(first + 1)} to ${count(first + shown.length)} of ${count(found.length)}`;
    part("previous").disabled = page === 0;
    part("next").disabled = first + PER_PAGE >= found.length;
  }

  function item(i) {
    const details = make("details", "", { className: "response" });
    const labels = lists.labeller.map((labeller, k) => `${labeller} ${verdictWord(i, k)}`);
    const facts = [modelName(i), ...["task", "persona", "template"].map((name) => word(i, name))].join(", ");
    const summary = make("summary");
    summary.append(make("span", `${facts}: ${labels.join(", ")}`, { className: "facts" }));
    const start = lists.response[columns.response[i]].slice(0, 2 * EXCERPT).replace(/\s+/g, " ");
    const excerpt = make("span", [...start].slice(0, EXCERPT).join("") || "(empty response)", { className: "excerpt" });
    excerpt.dir = "auto";
    summary.append(excerpt);
    details.append(summary);
    details.dataset.response = i;
    details.addEventListener("toggle", () => {
      if (details.childElementCount === 1) details.append(...opened(i));
    });
    const entry = make("li");
    entry.append(details);
    return entry;
  }

  function opened(i) {
    const verdicts = make("ul");
    lists.labeller.forEach((labeller, k) => verdicts.append(verdictLine(i, k, labeller)));
    const link = make("a", "Link to this response", { href: `#r=${encodeURIComponent(idOf(i))}` });
    const last = make("p", "", { className: "small" });
    last.append(link, ` Prompt ${lists.prompt_id[columns.prompt[i]]}, text ${lists.row[ofPrompt(i, "row")]}`);
    return [heading("Prompt"), promptOf(i), heading("Response"), responseOf(i), heading("Verdicts"), verdicts, last];
  }

  function promptOf(i) {
    const quote = make("blockquote");
    const system = word(i, "system");
    if (system) quote.append(make("div", system, { className: "part", dir: "auto" }), make("hr"));
    quote.append(make("div", word(i, "question"), { className: "part", dir: "auto" }));
    const text = textOf(i);
    if (text === null) {
      quote.append(make("p", `[text ${lists.row[ofPrompt(i, "row")]}: not on this page]`, { className: "small" }));
      return quote;
    }
    const body = make("div", text.replace(/^\n+/, ""), { className: "part text", dir: "auto" });
    const button = make("button", "", { type: "button" });
    const turn = () => veil(body, button, !body.classList.contains("veiled"));
    button.addEventListener("click", turn);
    body.addEventListener("click", () => body.classList.contains("veiled") && turn());
    veil(body, button, !part("texts").checked);
    quote.append(body, button);
    return quote;
  }

  function veil(body, button, hide) {
    body.classList.toggle("veiled", hide);
    body.setAttribute("aria-hidden", String(hide));
    button.textContent = hide ? "Show text" : "Hide text";
  }

  function responseOf(i) {
    const text = lists.response[columns.response[i]];
    const inside = new Uint8Array(text.length);
    for (const spans of lists.labeller.map((_, k) => columns.evidence[k][i] || [])) {
      for (let s = 0; s < spans.length; s += 2) inside.fill(1, spans[s], spans[s + 1]);
    }
    const quote = make("blockquote", "", { dir: "auto" });
    for (let from = 0, to = 1; from < text.length; from = to, to++) {
      while (to < text.length && inside[to] === inside[from]) to++;
      quote.append(inside[from] ? make("mark", text.slice(from, to)) : text.slice(from, to));
    }
    if (!text) quote.append(make("span", "(empty response)", { className: "small" }));
    return quote;
  }

  function verdictLine(i, k, labeller) {
    const [, category] = verdictOf(i, k);
    const line = make("li", `${labeller}: ${verdictWord(i, k)}`);
    if (category) line.append(" (", make("code", category), lists.meaning[category] ? `, ${lists.meaning[category]})` : ")");
    const text = lists.response[columns.response[i]];
    const spans = columns.evidence[k][i] || [];
    for (let s = 0; s < spans.length; s += 2) {
      const words = make("bdi");
      words.append(make("mark", text.slice(spans[s], spans[s + 1])));
      line.append(s ? " … " : ": ", words);
    }
    return line;
  }

  function heading(title) {
    return make("h3", title);
  }

  // links to a response: #r=<model>:<prompt id>

  function openLinked() {
    if (!location.hash.startsWith("#r=")) return false;
    const wanted = decoded(location.hash.slice(3));
    let i = 0;
    while (i < total && idOf(i) !== wanted) i++;
    clear();
    if (i === total) {
      say(`The response ${wanted} is not on this page.`);
      root.scrollIntoView();
      return true;
    }
    page = Math.floor(i / PER_PAGE);
    draw();
    const details = part("list").querySelector(`[data-response="${i}"]`);
    details.append(...opened(i));
    details.classList.add("own");
    details.open = true;
    details.querySelector("summary").focus({ preventScroll: true });
    details.scrollIntoView({ block: "center" });
    return true;
  }

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // a "%" that encodes nothing
    }
  }

  // the selection as a file

  function download() {
    const verdictColumns = lists.labeller.flatMap((labeller) => [`verdict ${labeller}`, `category ${labeller}`]);
    const head = ["id", "model", "task", "persona", "template", "row_id", "system", "prompt", "response", ...verdictColumns];
    const rows = found.map((i) => [
      idOf(i),
      modelName(i),
      ...["task", "persona", "template"].map((name) => word(i, name)),
      lists.row[ofPrompt(i, "row")],
      word(i, "system"),
      word(i, "question") + (textOf(i) ?? ""),
      lists.response[columns.response[i]],
      ...lists.labeller.flatMap((_, k) => verdictOf(i, k)),
    ]);
    const noted = banner ? [[...head, "study"], ...rows.map((row) => [...row, banner])] : [head, ...rows];
    const text = noted.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
    const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    make("a", "", { href: address, download: `${study.replaceAll("/", "_")}_responses.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  function cell(value) {
    const text = FORMULA.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  // small things

  function listen() {
    let waiting = 0;
    part("form").addEventListener("input", (event) => {
      if (event.target === part("texts")) return;
      clearTimeout(waiting);
      waiting = setTimeout(update, event.target === part("search") ? 150 : 0);
    });
    part("form").addEventListener("submit", (event) => event.preventDefault());
    part("clear").addEventListener("click", clear);
    part("texts").addEventListener("change", showTexts);
    part("download").addEventListener("click", download);
    part("previous").addEventListener("click", () => turnPage(-1));
    part("next").addEventListener("click", () => turnPage(1));
    window.addEventListener("hashchange", openLinked);
  }

  function clear() {
    for (const { select } of filters) select.value = "";
    part("search").value = "";
    update();
  }

  function showTexts() {
    for (const body of part("list").querySelectorAll(".text")) veil(body, body.nextSibling, !part("texts").checked);
  }

  function turnPage(by) {
    page += by;
    draw();
    part("status").scrollIntoView();
    part("list").querySelector("summary").focus({ preventScroll: true });
  }

  function say(text) {
    part("status").textContent = text;
  }

  function count(n) {
    return n.toLocaleString("en");
  }

  function make(tag, text = "", properties = {}) {
    const node = document.createElement(tag);
    if (text) node.textContent = text;
    return Object.assign(node, properties);
  }
})();
