"""Brings the many notations of one answer to the few that the parser knows. Text in, text out; no mathematics here."""

import re

from harness.graders.math.boxes import close_brace
from harness.graders.math.notations import rewrite

_CHARACTERS = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "＋": "+", "＝": "=",
        "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "•": r"\cdot ", "∙": r"\cdot ", "÷": r"\div ", "∗": "*",
        "π": r"\pi ", "𝜋": r"\pi ", "∞": r"\infty ", "±": r"\pm ", "∓": r"\mp ", "°": r"^{\circ}", "º": r"^{\circ}",
        "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≡": r"\equiv ",
        "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "ℝ": r"\mathbb{R}", "∖": r"\setminus ",
        "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
        "⅕": r"\frac{1}{5}", "⅙": r"\frac{1}{6}", "⅛": r"\frac{1}{8}", "⅜": r"\frac{3}{8}", "⅝": r"\frac{5}{8}",
        "⅞": r"\frac{7}{8}", "⁄": "/", "∕": "/", "％": r"\%", "，": ",", "；": ";", "：": ":", "（": "(", "）": ")",
        "。": ".", "、": ",", "｛": r"\{", "｝": r"\}", "［": "[", "］": "]", "𝑖": "i",
        "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "θ": r"\theta ", "λ": r"\lambda ", "μ": r"\mu ",
        "φ": r"\phi ",
        "ω": r"\omega ", "σ": r"\sigma ", "ρ": r"\rho ", "∠": r"\angle ", "′": "'", "’": "'", "⟨": "(", "⟩": ")",
        "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2002": " ", "\u2003": " ", "\u3000": " ", "\u200b": "",
        "\ufeff": "", "\u2061": "", "\u2062": "",
    }
    | {chr(0xFF10 + digit): str(digit) for digit in range(10)}
)  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUPER_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+")
_SUB_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_ROOT = re.compile(r"√\s*(?:\(([^()]*)\)|\{([^{}]*)\}|([0-9.]+|[a-zA-Z]))")

_SIZES = re.compile(
    r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|left|right|middle|[bB]igg?[lrm]?|mleft|mright)(?![a-zA-Z])\.?"
)
_THIN_IN_NUMBER = re.compile(r"(?<=[0-9])(?:\\[,!;: ]|~|\{\s*,\s*\}|\{\\,\})+(?=[0-9]{3}(?![0-9]))")
_COMMA_THIN = re.compile(r"(?<=[0-9]),(?:\s|\\,)*\\!\s*(?=[0-9]{3})")
_SPACES = re.compile(r"\\(?:[,;:!> ]|q?quad(?![a-zA-Z])|hspace\*?\{[^{}]*\}|hfill(?![a-zA-Z]))|~|&nbsp;|[\s]+|\\$")
_FRACTIONS = re.compile(r"\\[dtc]frac(?![a-zA-Z])")
_COMMAND = re.compile(r"(\\(?!frac|sqrt|text|math)[a-zA-Z]+) ?")
_WRAPPER = re.compile(
    r"^(\\(?:text(?:bf|it|rm|normal|sf|tt)?|math(?:rm|bf|it|sf|tt|normal)|mbox|hbox|bm|boldsymbol|operatorname\*?|emph|underline"
    r"|ensuremath|fbox|boxed)\s*)?\{"
)
_TRAILING = re.compile(r"(?:[\s.,;:。]|\\\\)+$")
_DOLLARS = re.compile(r"(?<!\\)\$")
_MATH_MARKS = re.compile(r"\\[()\[\]]")
_COLOURS = re.compile(
    r"\\(?:color|textcolor)\s*\{[^{}]*\}|\\(?:bf|rm|it|boldmath|bfseries|large|Large|small)(?![a-zA-Z])"
)
_CONSTANT = re.compile(r"\\(?:mathrm|text|mathbf|textrm|textit|mathit)\s*\{\s*([ied])\s*\}")
# The grammar reads E as Euler's number and drops what stands below it; a name that it knows keeps E_1 and E_2 apart.
_ENERGY = re.compile(r"(?<![a-zA-Z\\])E\s*_\s*(?:\{([^{}]*(?:\{[^{}]*\})?[^{}]*)\}|([0-9a-zA-Z]))")
_SET_BUILDER = re.compile(r"^\\\{\s*[a-zA-Z]\s*(?:\\in\s*\\mathbb\s*\{?R\}?\s*)?(?:\\mid|\||:)\s*(.+)\\\}$")
_ANSWER_WORDS = re.compile(r"^(?:the\s+)?(?:final\s+|correct\s+)?answer\s*(?:is\b|:|=)\s*:?\s*(?=\S)", re.IGNORECASE)
_RATIO_WORDS = re.compile(r"(?<=[0-9])\s*(?:\\text\s*\{\s*to\s*\}|to)\s*(?=[0-9])")
_ELLIPSIS = re.compile(r"(?<=[0-9])\s*(?:\.{3,}|…|\\(?:[lc]?dots|dotsc)(?![a-zA-Z]))(?=\s*\$?\s*$)")
_MARKDOWN = re.compile(r"^(\*{1,2}|_{1,2}|`+)(.+)\1$", re.DOTALL)


def _unicode(text: str) -> str:
    text = _ROOT.sub(lambda m: r"\sqrt{" + (m.group(1) or m.group(2) or m.group(3) or "") + "}", text)
    text = _SUPER_RUN.sub(lambda m: "^{" + m.group().translate(_SUPERSCRIPTS) + "}", text)
    text = _SUB_RUN.sub(lambda m: "_{" + m.group().translate(_SUBSCRIPTS) + "}", text)
    return text.translate(_CHARACTERS)


def _brace_fractions(text: str) -> str:
    r"""Gives every ``\frac`` its braces: ``\frac12`` and ``\frac1{2}`` become ``\frac{1}{2}``."""
    text = _FRACTIONS.sub(r"\\frac", text)
    position = 0
    for _ in range(64):
        start = text.find(r"\frac", position)
        if start < 0:
            break
        position = cursor = start + 5
        for _argument in range(2):
            while cursor < len(text) and text[cursor] == " ":
                cursor += 1
            if cursor < len(text) and text[cursor] == "{":
                end = close_brace(text, cursor)
                if end is None:
                    return text
                cursor = end + 1
            elif cursor < len(text) and (text[cursor].isascii() and text[cursor].isalnum()):
                text = text[:cursor] + "{" + text[cursor] + "}" + text[cursor + 1 :]
                cursor += 3
            elif (name := _COMMAND.match(text, cursor)) is not None:
                text = text[:cursor] + "{" + name.group(1) + "}" + text[name.end() :]
                cursor += len(name.group(1)) + 2
            else:
                break
    return text


def unwrap(text: str) -> str:
    r"""Removes what encloses a whole answer: ``{...}``, ``\text{...}``, ``\mathbf{...}``, ``**...**``."""
    for _ in range(12):
        before = text
        markdown = _MARKDOWN.match(text)
        if markdown:
            text = markdown.group(2).strip()
        match = _WRAPPER.match(text)
        if match and close_brace(text, match.end() - 1) == len(text) - 1:
            text = text[match.end() : -1].strip()
        if text == before:
            break
    return text


def clean(text: str) -> str:
    """Returns an answer in the notation that the parser knows best, on one line."""
    text = _ELLIPSIS.sub(r"\\ldots", _unicode(text.strip()))
    text = text.replace("\\$", "\x00") if "\\$" in text else text
    text = _DOLLARS.sub(" ", text)
    text = _MATH_MARKS.sub(" ", text).replace("\x00", "\\$")
    text = rewrite(_CONSTANT.sub(r" \1 ", _COLOURS.sub(" ", _SIZES.sub("", text))))
    text = _COMMA_THIN.sub("", text)
    text = _THIN_IN_NUMBER.sub("", text)
    if "matrix" not in text and "\\\\" in text:
        text = re.sub(r"\\\\(?=[a-zA-Z])", r"\\", text) if "begin" not in text else text
    text = _SPACES.sub(" ", text) if "begin" not in text else re.sub(r"\\[,;:!>]|~|\s+", " ", text)
    text = _brace_fractions(text.strip())
    text = _TRAILING.sub("", text) if "begin" not in text else text.strip(" .,")
    text = _ENERGY.sub(
        lambda m: "W_{E" + re.sub(r"\\text|[^0-9a-zA-Z]", "", m.group(1) or m.group(2)) + "}", unwrap(text)
    )
    text = _ANSWER_WORDS.sub("", text)
    return _RATIO_WORDS.sub(":", _SET_BUILDER.sub(r"\1", text)).strip()
