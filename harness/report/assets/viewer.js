"use strict";
/* The sample viewer: an index of numbers in the page, texts on demand. */
const RINGLITE = JSON.parse(document.getElementById("ringlite-data").textContent);
const chunks = new Map();   // name -> records
const waiting = new Map();  // name -> resolvers
window.ringliteChunk = (name, records) => {
  chunks.set(name, records);
  for (const resolve of waiting.get(name) || []) resolve(records);
  waiting.delete(name);
};
for (const block of document.querySelectorAll("script[data-chunk]")) ringliteChunk(block.dataset.chunk, JSON.parse(block.textContent));

const KEPT = 24;  // chunk files held in memory
const load = (name) => {
  if (chunks.has(name)) {
    const records = chunks.get(name);
    if (RINGLITE.files) { chunks.delete(name); chunks.set(name, records); }
    return Promise.resolve(records);
  }
  return new Promise((resolve, reject) => {
    const already = waiting.get(name);
    if (already) { already.push(resolve); return; }
    waiting.set(name, [resolve]);
    const script = document.createElement("script");
    script.src = `${RINGLITE.folder}/${name}.js`;
    script.onload = () => script.remove();
    script.onerror = () => { script.remove(); waiting.delete(name); reject(new Error(`${script.src} is not there`)); };
    document.head.append(script);
    if (chunks.size > KEPT && RINGLITE.files) chunks.delete(chunks.keys().next().value);
  });
};

const RIGHT = 1, CUT = 2, NONE = 4, GRADED = 8, DISAGREE = 16, FAILED = 32;
const FILTERS = [
  ["all", "All", () => true],
  ["right", "Right", (flag) => flag & RIGHT],
  ["wrong", "Wrong", (flag) => (flag & GRADED) && !(flag & RIGHT)],
  ["truncated", "Truncated", (flag) => flag & CUT],
  ["none", "No answer", (flag) => flag & NONE],
  ["disagree", "Graders disagree", (flag) => flag & DISAGREE],
];
const $ = (id) => document.getElementById(id);
const { node, visible } = RingliteText;
const viewer = $("viewer");
const state = { bench: 0, filter: "all", query: "", problem: null, hits: [], at: 0, texts: null, source: false };
const ROW = 40;

const bench = () => RINGLITE.benchmarks[state.bench];
const orders = new Map();
const order = (number) => {
  if (!orders.has(number)) {
    const data = RINGLITE.benchmarks[number];
    const slots = data.problem.map((_, slot) => slot);
    slots.sort((a, b) => data.problem[a] - data.problem[b] || data.number[a] - data.number[b]);
    orders.set(number, slots);
  }
  return orders.get(number);
};

const search = () => {
  const data = bench(), wanted = state.query.toLowerCase();
  const pass = FILTERS.find(([name]) => name === state.filter)[2];
  const ids = wanted ? data.ids.map((id) => id.toLowerCase().includes(wanted)) : null;
  const answers = wanted ? data.answers.map((answer) => answer.toLowerCase().includes(wanted)) : null;
  const texts = wanted && state.texts && state.texts.query === wanted && state.texts.bench === state.bench ? state.texts : null;
  state.hits = order(state.bench).filter((slot) => {
    if (!pass(data.flags[slot])) return false;
    if (state.problem !== null && data.problem[slot] !== state.problem) return false;
    return !wanted || ids[data.problem[slot]] || answers[data.answer[slot]] || (texts && (texts.slots.has(slot) || texts.problems.has(data.problem[slot])));
  });
  state.at = Math.min(state.at, Math.max(0, state.hits.length - 1));
};

/* Search in the texts themselves: all chunks of a benchmark one after the other, each let go again. */
let searching = 0;
const searchTexts = async () => {
  const data = bench(), wanted = state.query.toLowerCase(), run = ++searching, number = state.bench;
  if (!wanted) return;
  const slots = new Map(data.problem.map((problem, slot) => [`${number}.${problem}.${data.number[slot]}`, slot]));
  const found = { query: wanted, bench: number, slots: new Set(), problems: new Set() };
  const names = [...new Set(data.chunk)].map((chunk) => `s${chunk}`);
  const prompts = [...new Set(data.problemChunk)].map((chunk) => `p${chunk}`);
  for (const [done, name] of [...prompts, ...names].entries()) {
    $("progress").textContent = `searching ${done + 1} of ${prompts.length + names.length}`;
    let records;
    try { records = await load(name); } catch (error) { $("progress").textContent = error.message; return; }
    if (run !== searching) return;
    for (const [key, record] of Object.entries(records)) {
      const text = name[0] === "s" ? record[0] + record[2] : record[0] || "";
      if (!key.startsWith(`${number}.`) || !text.toLowerCase().includes(wanted)) continue;
      if (name[0] === "s") found.slots.add(slots.get(key)); else found.problems.add(Number(key.split(".")[1]));
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  $("progress").textContent = "";
  state.texts = found;
  update();
};

const outcome = (flag) => !(flag & GRADED) ? ["ungraded", "·"] : flag & RIGHT ? ["right", "✓"] : flag & CUT ? ["cut", "✂"] : flag & NONE ? ["none", "∅"] : ["wrong", "✗"];

const list = $("list"), spacer = $("spacer");
const drawList = () => {
  const data = bench();
  spacer.style.height = `${state.hits.length * ROW}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const last = Math.min(state.hits.length, first + Math.ceil(list.clientHeight / ROW) + 8);
  const rows = [];
  for (let at = first; at < last; at++) {
    const slot = state.hits[at], [kind, mark] = outcome(data.flags[slot]);
    const row = node("div", undefined, `item ${at === state.at ? "chosen" : ""}`);
    row.id = `item-${at}`;
    row.style.top = `${at * ROW}px`;
    row.dataset.at = at;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", at === state.at);
    row.append(node("span", mark, `mark ${kind}`), node("span", visible(data.ids[data.problem[slot]]), "id"), node("span", `#${data.number[slot]}`, "number"),
      node("span", data.answer[slot] >= 0 ? visible(data.answers[data.answer[slot]]) : "", "answer"));
    if (data.flags[slot] & DISAGREE) row.append(node("span", "≠", "disagree"));
    rows.push(row);
  }
  spacer.replaceChildren(...rows);
  list.setAttribute("aria-activedescendant", state.hits.length ? `item-${state.at}` : "");
};

const fact = (name, value) => { const box = node("span", undefined, "fact"); box.append(node("b", name), ` ${value}`); return box; };
const folded = (title, open) => { const box = node("details"); box.open = open; box.append(node("summary", title)); return box; };

let shown = 0;
const drawDetail = async () => {
  const pane = $("detail"), data = bench(), run = ++shown;
  if (!state.hits.length) { pane.replaceChildren(node("p", "No sample matches. Take away a filter or the search.", "quiet")); return; }
  const slot = state.hits[state.at], problem = data.problem[slot], key = `${state.bench}.${problem}.${data.number[slot]}`;
  const grades = [[data.grade_chunk[slot], key], ...Object.entries(data.others).map(([name, list]) => [list[slot], `${key}.${name}`])].filter(([chunk]) => chunk >= 0);
  let text, asked, said;
  try {
    text = (await load(`s${data.chunk[slot]}`))[key];
    asked = (await load(`p${data.problemChunk[problem]}`))[`${state.bench}.${problem}`];
    said = [];
    for (const [chunk, name] of grades) said.push((await load(`g${chunk}`))[name]);
  } catch (error) {
    if (run === shown) pane.replaceChildren(node("p", `${error.message}: keep the folder ${RINGLITE.folder} beside the page.`, "quiet"));
    return;
  }
  if (run !== shown) return;
  const [head, left, tail, seed, finish] = text, [prompt, gold, metadata] = asked, [kind, mark] = outcome(data.flags[slot]);
  const top = node("div", undefined, "top");
  top.append(node("span", mark, `mark ${kind}`), node("h3", `${visible(data.ids[problem])}  #${data.number[slot]}`));
  const facts = node("div", undefined, "facts");
  if (data.answer[slot] >= 0) facts.append(fact("answer", visible(data.answers[data.answer[slot]])));
  if (gold) facts.append(fact("gold", visible(gold)));
  if (data.tokens[slot] >= 0) facts.append(fact("tokens", data.tokens[slot].toLocaleString("en")));
  facts.append(fact("end", finish));
  if (seed !== null) facts.append(fact("seed", seed));
  for (const [name, value] of Object.entries(metadata)) if (value !== null && typeof value !== "object" && String(value).length < 60) facts.append(fact(name, visible(String(value))));
  const parts = [top, facts];
  if (data.hidden) parts.push(node("p", "The authors of this benchmark ask that its text not be passed on: questions and responses are left out of this page. They are in the run folder.", "quiet"));
  if (prompt) { const box = folded("Problem", true); RingliteText[state.source ? "source" : "rendered"](box, prompt, false); parts.push(box); }
  if (!data.hidden) {
    const box = folded("Response", true), body = node("div", undefined, "response");
    const draw = state.source ? RingliteText.source : RingliteText.rendered;
    const bare = !state.source && !head.includes("```") && /^\s*(def |class |import |from |#include)|^\n*(?: {4}|\t)\S/.test(head);
    draw(body, head, bare);
    if (left) { body.append(node("p", `… ${left.toLocaleString("en")} characters left out; samples.jsonl has them …`, "quiet")); draw(body, tail, bare); }
    if (!head) body.append(node("p", "(empty)", "quiet"));
    box.append(body);
    parts.push(box);
  }
  for (const [scorer, correct, status, extracted, evidence] of said) {
    const box = folded(`${scorer}: ${correct ? "right" : status === "ok" ? "wrong" : status.replace("_", " ")}`, said.length < 3);
    if (extracted) { const line = node("p"); line.append(node("b", "extracted ")); if (extracted.includes("\n")) box.append(line, RingliteText.codeBlock(extracted)); else { line.append(visible(extracted)); box.append(line); } }
    if (evidence) box.append(node("pre", visible(evidence), "source"));
    if (!extracted && !evidence) box.append(node("p", "no further evidence", "quiet"));
    parts.push(box);
  }
  pane.replaceChildren(...parts);
  pane.scrollTop = 0;
};

const counts = () => {
  const data = bench();
  for (const [name, , pass] of FILTERS) {
    const total = data.flags.reduce((sum, flag, slot) => sum + (pass(flag) && (state.problem === null || data.problem[slot] === state.problem) ? 1 : 0), 0);
    const button = $(`filter-${name}`);
    button.querySelector(".count").textContent = total.toLocaleString("en");
    button.setAttribute("aria-pressed", state.filter === name);
  }
  $("found").textContent = `${state.hits.length.toLocaleString("en")} of ${data.flags.length.toLocaleString("en")} samples`;
  $("one-problem").hidden = state.problem === null;
  $("one-problem").textContent = state.problem === null ? "" : `problem ${visible(data.ids[state.problem])} ✕`;
  const files = new Set(data.chunk).size;
  $("deep").textContent = RINGLITE.files ? `search in texts (${files} ${files === 1 ? "file" : "files"})` : "search in texts";
  $("deep").disabled = !state.query || data.hidden;
};
const update = () => { search(); counts(); drawList(); drawDetail(); };
const choose = (at) => {
  if (at < 0 || at >= state.hits.length) return;
  state.at = at;
  if (at * ROW < list.scrollTop) list.scrollTop = at * ROW;
  if ((at + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (at + 1) * ROW - list.clientHeight;
  drawList();
  drawDetail();
};
const show = (number, problem) => { state.bench = number; state.problem = problem; state.at = 0; list.scrollTop = 0; $("bench").value = number; update(); };

if (viewer) {
  for (const [number, data] of RINGLITE.benchmarks.entries()) { const option = node("option", data.title); option.value = number; $("bench").append(option); }
  $("bench").hidden = RINGLITE.benchmarks.length < 2;
  for (const [name, title] of FILTERS) {
    const button = node("button", title);
    button.type = "button"; button.id = `filter-${name}`; button.append(node("span", "", "count"));
    button.addEventListener("click", () => { state.filter = name; state.at = 0; list.scrollTop = 0; update(); });
    $("filters").append(button);
  }
  $("bench").addEventListener("change", (event) => show(Number(event.target.value), null));
  let timer;
  $("query").addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      state.query = event.target.value.trim(); state.at = 0; list.scrollTop = 0; searching++;
      update();
      if (!RINGLITE.files && !bench().hidden) searchTexts();
    }, 120);
  });
  $("query").addEventListener("keydown", (event) => { if (event.key === "Enter" && state.query) searchTexts(); });
  $("deep").addEventListener("click", searchTexts);
  $("one-problem").addEventListener("click", () => show(state.bench, null));
  $("source").addEventListener("click", () => { state.source = !state.source; $("source").setAttribute("aria-pressed", state.source); drawDetail(); });
  list.addEventListener("scroll", drawList, { passive: true });
  list.addEventListener("click", (event) => { const row = event.target.closest(".item"); if (row) choose(Number(row.dataset.at)); });
  new ResizeObserver(drawList).observe(list);
  document.addEventListener("click", (event) => {
    const mark = event.target.closest("[data-problem]");
    if (!mark) return;
    show(Number(mark.dataset.bench), Number(mark.dataset.problem));
    viewer.scrollIntoView({ block: "start" });
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "Escape") { if (typing) event.target.blur(); else if (state.problem !== null) show(state.bench, null); return; }
    if (typing) return;
    const step = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && (event.key.length === 1 || document.activeElement === list)) { event.preventDefault(); choose(state.at + step); }
    else if (event.key === "/") { event.preventDefault(); $("query").focus(); }
    else if (event.key === "s") $("source").click();
    else if (/^[1-6]$/.test(event.key)) $(`filter-${FILTERS[event.key - 1][0]}`).click();
  });
  update();
}
