"use strict";
/* Responses as DOM nodes: fenced code (highlighted), mathematics, headings, bold. Every piece of text is a text node. */
const RingliteText = (() => {
  const node = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  // Control characters are shown, not obeyed; direction overrides are named.
  const visible = (text) =>
    text
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, (char) => String.fromCharCode(0x2400 + char.charCodeAt(0)))
      .replace(/\u007f/g, "\u2421")
      .replace(/[\u0080-\u009f\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]/g, (char) => `\u27e8U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`);

  const KEYWORDS = new Set(`False None True and as assert async await break class continue def del elif else except finally for from global if import in is
    lambda nonlocal not or pass raise return try while with yield match case auto bool char const constexpr do double enum explicit float inline int long
    namespace new nullptr operator private protected public short signed sizeof static struct switch template this throw typedef typename union unsigned
    using virtual void volatile boolean byte extends final implements instanceof interface package super throws var let function include define true false null`.split(/\s+/));
  const CODE = /("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|#[^\n]*|\b\d[\w.]*\b|[A-Za-z_]\w*)/g;

  const highlight = (source) => {
    const code = node("code");
    let end = 0;
    for (const match of source.matchAll(CODE)) {
      const text = match[0];
      let kind = "";
      if (/^["']/.test(text)) kind = "str";
      else if (/^(#|\/\/|\/\*)/.test(text)) kind = "com";
      else if (/^\d/.test(text)) kind = "num";
      else if (KEYWORDS.has(text)) kind = "key";
      else if (source[match.index + text.length] === "(") kind = "fun";
      if (!kind) continue;
      code.append(visible(source.slice(end, match.index)), node("span", visible(text), kind));
      end = match.index + text.length;
    }
    code.append(visible(source.slice(end)));
    return code;
  };

  const codeBlock = (source) => {
    const pre = node("pre");
    pre.append(highlight(source));
    return pre;
  };

  // Longest first: display before inline, so that $$ is not read as two $.
  const INLINE = /\$\$([\s\S]{1,6000}?)\$\$|\\\[([\s\S]{1,6000}?)\\\]|\\\(([\s\S]{1,3000}?)\\\)|\$(?!\s)([^$\n]{1,1500}?)(?<!\s)\$(?!\d)|`([^`\n]{1,400})`|\*\*([^*\n]{1,400})\*\*|(\\boxed\s*\{(?:[^{}\n]|\{(?:[^{}\n]|\{[^{}\n]*\})*\}){0,400}\})|\\begin\{(align\*?|equation\*?|gather\*?|cases|aligned)\}[\s\S]{1,6000}?\\end\{\8\}/g;

  const inline = (parent, text) => {
    let end = 0;
    for (const match of text.matchAll(INLINE)) {
      const [whole, dollars, square, round, dollar, code, bold, boxed, environment] = match;
      const display = dollars !== undefined || square !== undefined || environment !== undefined;
      const before = text.slice(end, match.index);
      parent.append(visible(display ? before.replace(/\n[ \t]*$/, "") : before));  // a display brings its own line breaks
      end = match.index + whole.length;
      if (display && text[end] === "\n") end++;
      if (code !== undefined) { parent.append(node("code", visible(code), "inline")); continue; }
      if (bold !== undefined) { const strong = node("strong"); inline(strong, bold); parent.append(strong); continue; }
      const source = dollars ?? square ?? round ?? dollar ?? boxed ?? whole;
      const empty = boxed !== undefined && /\{\s*\}$/.test(boxed);  // the prompt's own \\boxed{}
      parent.append(empty ? node("code", visible(whole), "inline") : RingliteMath.render(source, display) || visible(whole));
    }
    parent.append(visible(text.slice(end)));
  };

  const prose = (parent, text) => {
    for (const part of text.replace(/^(#{1,6} [^\n]+)$/gm, "\n\n$1\n\n").split(/\n{2,}/)) {
      if (!part.trim()) continue;
      const heading = /^(#{1,6}) ([^\n]+)$/.exec(part.trim());
      if (heading) {
        const title = node("h4");
        inline(title, heading[2]);
        parent.append(title);
        continue;
      }
      const paragraph = node("p");
      inline(paragraph, part);
      parent.append(paragraph);
    }
  };

  /** Fills a parent with rendered text; bare code (no fence, but indented lines of a program) stays code when told so. */
  const rendered = (parent, text, isCode) => {
    if (isCode) { parent.append(codeBlock(text)); return; }
    const marks = [...text.matchAll(/^[ \t]*```[^\n]*(?:\n|$)/gm)];
    if (marks.length % 2 && /^\n*(?: {4}|\t)\S/.test(text)) {  // goes on inside a fence that the prompt opened
      parent.append(codeBlock(text.slice(0, marks[0].index)));
      rendered(parent, text.slice(marks[0].index + marks[0][0].length), false);
      return;
    }
    const fence = /^[ \t]*```[^\n]*\n([\s\S]*?)(?:^[ \t]*```[ \t]*$|(?![\s\S]))/gm;
    let end = 0;
    for (const match of text.matchAll(fence)) {
      prose(parent, text.slice(end, match.index));
      parent.append(codeBlock(match[1]));
      end = match.index + match[0].length;
    }
    prose(parent, text.slice(end));
  };
  const source = (parent, text) => parent.append(node("pre", visible(text), "source"));
  return { rendered, source, visible, node, codeBlock };
})();
