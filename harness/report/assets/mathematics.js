"use strict";
/* LaTeX -> MathML as DOM nodes. Only elements that are listed here are ever made, and text goes in as text nodes. */
const RingliteMath = (() => {
  const NS = "http://www.w3.org/1998/Math/MathML";
  const el = (name, children = [], attributes = {}) => {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    for (const child of children) node.append(child);
    return node;
  };
  const row = (nodes) => (nodes.length === 1 ? nodes[0] : el("mrow", nodes));
  const words = (text) => Object.fromEntries(text.trim().split(/\s+/).map((pair) => [pair.slice(0, -1), pair.slice(-1)]));

  const LETTERS = words(`alphaα betaβ gammaγ deltaδ epsilonϵ varepsilonε zetaζ etaη thetaθ varthetaϑ iotaι kappaκ lambdaλ muμ nuν
    xiξ piπ varpiϖ rhoρ varrhoϱ sigmaσ varsigmaς tauτ upsilonυ phiϕ varphiφ chiχ psiψ omegaω GammaΓ DeltaΔ ThetaΘ LambdaΛ XiΞ PiΠ
    SigmaΣ UpsilonΥ PhiΦ PsiΨ OmegaΩ ellℓ infty∞ partial∂ nabla∇ hbarℏ Reℜ Imℑ aleph\u2135 emptyset∅ varnothing∅ forall∀ exists∃ angle∠
    triangle△ prime′ degree° circ∘ star⋆ bullet• dots… ldots… cdots⋯ vdots⋮ ddots⋱ dotsc… dotsb⋯ square□ blacksquare■ checkmark✓ top⊤ bot⊥`);
  const OPERATORS = words(`times× div÷ pm± mp∓ cdot⋅ ast∗ le≤ leq≤ leqslant⩽ ge≥ geq≥ geqslant⩾ ne≠ neq≠ equiv≡ approx≈ sim∼ simeq≃ cong≅
    propto∝ ll≪ gg≫ in∈ notin∉ ni∋ subset⊂ subseteq⊆ supset⊃ supseteq⊇ cup∪ cap∩ setminus∖ land∧ lor∨ wedge∧ vee∨ neg¬ lnot¬ to→ rightarrow→ leftarrow←
    leftrightarrow↔ Rightarrow⇒ Leftarrow⇐ Leftrightarrow⇔ implies⟹ iff⟺ longrightarrow⟶ mapsto↦ mid∣ nmid∤ parallel∥ perp⊥ oplus⊕ otimes⊗ lfloor⌊ rfloor⌋
    lceil⌈ rceil⌉ langle⟨ rangle⟩ lvert| rvert| vert| Vert‖ lVert‖ rVert‖ colon: therefore∴ because∵ models⊨ vdash⊢ uparrow↑ downarrow↓ backslash\\ lbrace{ rbrace} prec≺ succ≻`);
  const LARGE = words(`sum∑ prod∏ coprod∐ bigcup⋃ bigcap⋂ bigoplus⨁ bigvee⋁ bigwedge⋀ int∫ iint∬ iiint∭ oint∮`);
  const FUNCTIONS = new Set(`sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp lim max min sup inf gcd lcm det dim ker deg arg mod Pr limsup liminf`.split(" "));
  const UNDER = new Set(["lim", "max", "min", "sup", "inf", "limsup", "liminf", "sum", "prod", "coprod", "bigcup", "bigcap", "bigoplus", "bigvee", "bigwedge", "underbrace", "overbrace"]);
  const ACCENTS = { hat: "^", widehat: "^", bar: "‾", overline: "‾", vec: "→", overrightarrow: "→", tilde: "~", widetilde: "~", dot: "˙", ddot: "¨", overbrace: "⏞" };
  const UNDERS = { underline: "_", underbrace: "⏟" };
  const VARIANTS = { mathbb: "double-struck", mathcal: "script", mathscr: "script", mathfrak: "fraktur", mathbf: "bold", boldsymbol: "bold", bm: "bold" };
  const TEXTS = new Set(["text", "textbf", "textit", "textrm", "mathrm", "operatorname", "mbox", "mathit", "mathsf", "mathtt", "texttt", "hbox"]);
  const SPACES = { ",": "0.17em", ":": "0.22em", ";": "0.28em", " ": "0.25em", "!": "0em", quad: "1em", qquad: "2em", enspace: "0.5em", thinspace: "0.17em" };
  const IGNORED = new Set(["displaystyle", "textstyle", "limits", "nolimits", "left.", "right.", "nonumber", "notag", "bigl", "bigr", "big", "Big", "Bigl", "Bigr", "bigg", "Bigg", "biggl", "biggr", "hline", "hfill"]);
  const FENCES = { pmatrix: ["(", ")"], bmatrix: ["[", "]"], Bmatrix: ["{", "}"], vmatrix: ["|", "|"], Vmatrix: ["‖", "‖"], cases: ["{", ""] };
  const ESCAPED = new Set(["{", "}", "%", "$", "#", "&", "_"]);
  const MOST_TOKENS = 4000;
  const MOST_DEPTH = 60;

  const letter = (char, variant) => {
    const code = char.codePointAt(0);
    const upper = code >= 65 && code <= 90, lower = code >= 97 && code <= 122, digit = code >= 48 && code <= 57;
    if (variant === "double-struck") {
      const special = { C: "ℂ", H: "ℍ", N: "ℕ", P: "ℙ", Q: "ℚ", R: "ℝ", Z: "ℤ" };
      if (special[char]) return special[char];
      if (upper) return String.fromCodePoint(0x1d538 + code - 65);
      if (lower) return String.fromCodePoint(0x1d552 + code - 97);
      if (digit) return String.fromCodePoint(0x1d7d8 + code - 48);
    }
    if (variant === "bold") {
      if (upper) return String.fromCodePoint(0x1d400 + code - 65);
      if (lower) return String.fromCodePoint(0x1d41a + code - 97);
      if (digit) return String.fromCodePoint(0x1d7ce + code - 48);
    }
    if (variant === "script" && upper) {
      const special = { B: "ℬ", E: "ℰ", F: "ℱ", H: "ℋ", I: "ℐ", L: "ℒ", M: "ℳ", R: "ℛ" };
      return special[char] || String.fromCodePoint(0x1d49c + code - 65);
    }
    if (variant === "fraktur" && lower) return String.fromCodePoint(0x1d51e + code - 97);
    return char;
  };

  const tokenize = (source) => {
    const tokens = source.match(/\\[a-zA-Z]+\*?|\\[\s\S]|\d+(?:[.,]\d+)*|\s+|[\s\S]/gu) || [];
    if (tokens.length > MOST_TOKENS) throw new Error("too long");
    return tokens;
  };

  class Parser {
    constructor(source) { this.tokens = tokenize(source); this.at = 0; this.depth = 0; }
    peek() { return this.tokens[this.at]; }
    next() { return this.tokens[this.at++]; }
    skip() { while (this.peek() !== undefined && /^\s+$/.test(this.peek())) this.at++; }
    list(stop) {
      if (++this.depth > MOST_DEPTH) throw new Error("too deep");
      const nodes = [];
      for (;;) {
        this.skip();
        const token = this.peek();
        if (token === undefined || stop(token)) break;
        const node = this.scripted();
        if (node) nodes.push(node);
      }
      this.depth--;
      return nodes;
    }
    group() {
      this.skip();
      if (/^\d{2,}/.test(this.peek() || "")) {  // \frac23 and x^10 take one digit, as TeX does
        const digits = this.tokens[this.at];
        this.tokens[this.at] = digits.slice(1);
        return el("mn", [digits[0]]);
      }
      if (this.peek() !== "{") { const node = this.atom(); return node || el("mrow"); }
      this.next();
      const nodes = this.list((token) => token === "}");
      this.next();
      return row(nodes);
    }
    raw() {
      this.skip();
      if (this.peek() !== "{") return this.next() || "";
      let depth = 0, text = "";
      while (this.at < this.tokens.length) {
        const token = this.next();
        if (token === "{") { if (depth++) text += token; }
        else if (token === "}") { if (!--depth) break; text += token; }
        else text += token;
      }
      return text;
    }
    optional() {
      this.skip();
      if (this.peek() !== "[") return null;
      this.next();
      const nodes = this.list((token) => token === "]");
      this.next();
      return row(nodes);
    }
    scripted() {
      const start = this.peek();
      let base = this.atom();
      let under = null, over = null;
      for (;;) {
        this.skip();
        const token = this.peek();
        if (token === "_" && !under) { this.next(); under = this.group(); }
        else if (token === "^" && !over) { this.next(); over = this.group(); }
        else if (token === "'" ) { this.next(); const prime = el("mo", ["′"]); over = over ? el("mrow", [over, prime]) : prime; }
        else break;
      }
      if (!under && !over) return base;
      base = base || el("mrow");
      const limits = UNDER.has((start || "").slice(1));
      if (under && over) return el(limits ? "munderover" : "msubsup", [base, under, over]);
      if (under) return el(limits ? "munder" : "msub", [base, under]);
      return el(limits ? "mover" : "msup", [base, over]);
    }
    fence() {
      this.skip();
      const token = this.next() || "";
      if (token === ".") return "";
      return token.startsWith("\\") ? OPERATORS[token.slice(1)] || token.slice(1) : token;
    }
    atom() {
      this.skip();
      const token = this.next();
      if (token === undefined) return null;
      if (token === "{") { this.at--; return this.group(); }
      if (token === "}" || token === "&") return null;
      if (token === "^" || token === "_") { this.at--; return el("mrow"); }
      if (/^\d/.test(token)) return el("mn", [token]);
      if (token === "~") return el("mspace", [], { width: "0.25em" });
      if (!token.startsWith("\\")) return /^\p{L}$/u.test(token) ? el("mi", [token]) : el("mo", [token === "-" ? "−" : token]);
      return this.command(token.slice(1).replace(/\*$/, ""));
    }
    command(name) {
      if (name in LETTERS) return el("mi", [LETTERS[name]]);
      if (name in OPERATORS) return el("mo", [OPERATORS[name]]);
      if (name in LARGE) return el("mo", [LARGE[name]], { largeop: "true" });
      if (FUNCTIONS.has(name)) return el("mrow", [el("mi", [name]), el("mspace", [], { width: "0.1em" })]);
      if (name in SPACES) return el("mspace", [], { width: SPACES[name] });
      if (ESCAPED.has(name)) return el("mo", [name]);
      if (name === "|") return el("mo", ["‖"]);
      if (name === "\\" || name === "newline") return el("mspace", [], { width: "1em" });
      if (IGNORED.has(name)) return null;
      if (/^[dt]?frac$|^cfrac$/.test(name)) return el("mfrac", [this.group(), this.group()]);
      if (/^[dt]?binom$/.test(name)) {
        return el("mrow", [el("mo", ["("]), el("mfrac", [this.group(), this.group()], { linethickness: "0" }), el("mo", [")"])]);
      }
      if (name === "sqrt") { const index = this.optional(); const body = this.group(); return index ? el("mroot", [body, index]) : el("msqrt", [body]); }
      if (name === "boxed" || name === "fbox") return el("mrow", [this.group()], { class: "boxed" });
      if (name in ACCENTS) return el("mover", [this.group(), el("mo", [ACCENTS[name]], { stretchy: String(/wide|over/.test(name)) })]);
      if (name in UNDERS) return el("munder", [this.group(), el("mo", [UNDERS[name]])]);
      if (name === "overset" || name === "stackrel") { const over = this.group(); return el("mover", [this.group(), over]); }
      if (name === "underset") { const under = this.group(); return el("munder", [this.group(), under]); }
      if (name in VARIANTS) { const text = this.raw(); return el("mi", [[...text].map((char) => letter(char, VARIANTS[name])).join("")], { mathvariant: "normal" }); }
      if (TEXTS.has(name)) return el("mtext", [this.raw().replace(/\$/g, "").replace(/ /g, "\u00a0")]);
      if (name === "pmod") return el("mrow", [el("mo", ["("]), el("mi", ["mod"]), el("mspace", [], { width: "0.3em" }), this.group(), el("mo", [")"])]);
      if (name === "bmod") return el("mo", ["mod"]);
      if (name === "not") { const next = this.atom(); if (next) next.textContent += "\u0338"; return next; }
      if (name === "left") {
        const open = this.fence();
        const inner = this.list((token) => token === "\\right");
        this.next();
        const close = this.fence();
        const fence = (text) => el("mo", [text], { fence: "true", stretchy: "true" });
        return el("mrow", [...(open ? [fence(open)] : []), ...inner, ...(close ? [fence(close)] : [])]);
      }
      if (name === "begin") return this.environment(this.raw().replace(/\*$/, ""));
      if (name === "end") { this.raw(); return null; }
      return el("mtext", ["\\" + name], { class: "unknown" });
    }
    environment(name) {
      if (name === "array" || name === "tabular") this.raw();
      const rows = [[]];
      for (;;) {
        const cell = this.list((token) => token === "&" || token === "\\\\" || token === "\\end" || token === "}");
        rows[rows.length - 1].push(el("mtd", cell));
        const token = this.next();
        if (token === "\\\\") rows.push([]);
        else if (token !== "&") break;
      }
      this.raw();
      if (rows.length > 1 && rows[rows.length - 1].every((cell) => !cell.childNodes.length)) rows.pop();
      const aligned = /align|split|gather|eqn/.test(name);
      const table = el("mtable", rows.map((cells) => el("mtr", cells)), aligned ? { class: "aligned", displaystyle: "true" } : name === "cases" ? { class: "cases" } : {});
      const [open, close] = FENCES[name] || ["", ""];
      const fence = (text) => el("mo", [text], { fence: "true", stretchy: "true" });
      return el("mrow", [...(open ? [fence(open)] : []), table, ...(close ? [fence(close)] : [])]);
    }
  }

  /** Returns a math element for LaTeX source, or null where it cannot be read: the source is shown then. */
  const render = (source, display) => {
    try {
      const parser = new Parser(source);
      const nodes = parser.list(() => false);
      return el("math", [el("mrow", nodes)], display ? { display: "block" } : {});
    } catch (error) {
      return null;
    }
  };
  return { render };
})();
