"""Commands and plain-text notations that mean something the parser knows under another name."""

import re

_CASES = re.compile(r"\\begin\{(?:cases|aligned|align\*?|array|gathered|split)\}(?:\{[lcr|]*\})?(.*?)\\end\{[a-z*]+\}")

REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\[td]binom(?![a-zA-Z])", r"\\binom"),
        (r"\\(?:nice|s|x)frac(?![a-zA-Z])", r"\\frac"),
        (r"\{\s*([0-9a-zA-Z]+)\s*\\choose\s*([0-9a-zA-Z]+)\s*\}", r"\\binom{\1}{\2}"),
        (r"\{\s*([^{}]+?)\s*\\over(?![a-zA-Z])\s*([^{}]+?)\s*\}", r"\\frac{\1}{\2}"),
        (r"^([^{}]+?)\s*\\over(?![a-zA-Z])\s*([^{}]+)$", r"\\frac{\1}{\2}"),
        (r"\\(?:lbrace|lbrack)(?![a-zA-Z])", r"\\{"),
        (r"\\(?:rbrace|rbrack)(?![a-zA-Z])", r"\\}"),
        (r"\\(?:lvert|rvert|mid|vert)(?![a-zA-Z])", "|"),
        (r"\\(?:varnothing|O)(?![a-zA-Z])", r"\\emptyset"),
        (r"\\(?:leqslant|leqq)(?![a-zA-Z])", r"\\le"),
        (r"\\(?:geqslant|geqq)(?![a-zA-Z])", r"\\ge"),
        (r"\\(?:colon)(?![a-zA-Z])", ":"),
        (r"\\(?:ast|star)(?![a-zA-Z])", "*"),
        (r"\\(?:cdotp|centerdot|bullet)(?![a-zA-Z])", r"\\cdot"),
        (r"\\surd(?![a-zA-Z])", r"\\sqrt"),
        (r"\\lg(?![a-zA-Z])", r"\\log_{10}"),
        (r"\\(?:i|j)math(?![a-zA-Z])", "i"),
        (
            r"\\(?:operatorname|mathrm|text)\s*\{\s*(arcsin|arccos|arctan|sin|cos|tan|log|ln|lcm|gcd)\s*\}",
            r"\\\1 ",
        ),
        (
            r"\\(?:checkmark|blacksquare|square|qed|phantom\{[^{}]*\}|hphantom\{[^{}]*\}|label\{[^{}]*\}|tag\{[^{}]*\})(?![a-zA-Z])",
            " ",
        ),
        (r"\^\s*\{?\s*(?:\\text\s*\{)?o\s*\}?\s*\}?\s*$", r"^{\\circ}"),
        (r"\\degrees?(?![a-zA-Z])|(?<=[0-9])\s*\\deg(?![a-zA-Z])", r"^{\\circ}"),
        (r"\\log_\{?e\}?(?![a-zA-Z])", r"\\ln "),
        (r"(?<=[\[(])([^\[\]();]*);([^\[\]();]*)(?=[\])])", r"\1,\2"),
        (r"(?<=[0-9])\s*\^?\s*\{?\\?(?:text\{)?(?:st|nd|rd|th)\}?\}?\s*$", ""),
        (r"\*\*", "^"),
        (r"(?<![a-zA-Z\\])[pP]i(?![a-zA-Z])", r"\\pi "),
        (r"(?<![a-zA-Z\\])(?:infinity|infty|inf|oo)(?![a-zA-Z])", r"\\infty "),
        (r"(?<![a-zA-Z\\])sqrt\s*(?=[({0-9])", r"\\sqrt"),
        (r"(?<![a-zA-Z\\])(sin|cos|tan|log|ln)(?=\s*[({0-9])", r"\\\1"),
        (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"\\sqrt\s+([0-9a-zA-Z])", r"\\sqrt{\1}"),
        (r"\]\s*(-?[^\[\](),;]+)\s*[,;]\s*([^\[\](),;]+)\s*\[", r"(\1,\2)"),
        (r"<=|=<", r"\\le "),
        (r">=|=>", r"\\ge "),
        (r"!=", r"\\ne "),
    )
)


def rewrite(text: str) -> str:
    """Returns an answer in the commands that the parser knows."""
    if "\\begin" in text:
        text = _CASES.sub(_listed, text)
    for pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    return text


def _listed(match: re.Match[str]) -> str:
    """Writes the lines of an environment behind each other; a grid or a definition by cases stays what it is."""
    lines = [line.strip().strip(",;").replace("&", " ").strip() for line in re.split(r"\\\\", match.group(1))]
    body = match.group(1)
    if re.search(r"\\(?:text|mbox|quad|hline)|if\b", body) or ("&" in body and "=" not in body):
        return match.group()
    return ", ".join(line for line in lines if line)
