"""Answers that are declared in words: "The answer is 5", ``<answer>5</answer>``, a last line that is a result."""

import re

from harness.graders.math.answer import Extracted

TAIL_CHARACTERS = 4_000
"""How far from the end a statement may stand."""

MAX_ANSWER = 400
"""How long a stated answer may be."""

_TAG = re.compile(r"<answer>\s*(.*?)\s*</answer>", re.DOTALL | re.IGNORECASE)
_MARK = r"[*_`\"“”'\s]*"
_VERB = (
    r"(?<![A-Za-z])(?:is|are|was|equals|would\ be|must\ be|should\ be|becomes|comes\ out\ to\ be|turns\ out\ to\ be)"
    r"(?![A-Za-z])"
)
_DECLARATION = re.compile(
    rf"""(?:
        (?<![A-Za-z])(?:answer|ans)(?![A-Za-z])(?:\s+(?:to|of|for)\s[^.:\n=]{{0,80}}?)?{_MARK}(?:{_VERB}{_MARK}[:：]?|[:：=])
      | (?<![A-Za-z])(?:final|correct|required|desired)\s+(?:value|result|solution|number)
            (?:\s+(?:to|of|for)\s[^.:\n=]{{0,80}}?)?{_MARK}(?:{_VERB}{_MARK}[:：]?|[:：=])
      | (?:答案|最终结果)(?:应该|应|就)?(?:是|为|等于|[:：=])[:：]?
      | (?:^|\n)\s*\#{{4}}\s
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_FORMULA = re.compile(
    r"\$\$(?P<a>.+?)\$\$|\$(?P<b>(?:\\.|[^$\\])+?)\$|\\\[(?P<c>.+?)\\\]|\\\((?P<d>.+?)\\\)",
    re.DOTALL,
)
_LINK = re.compile(r"\s*(?:,|;|and|or|,\s*and|,\s*or|和|或|、)\s*(?=\$|\\\(|\\\[)")
_NEGATION = re.compile(r"^(?:not|no longer|never|n't|neither|不是|并非)(?![a-zA-Z])", re.IGNORECASE)
_ADVERB = re.compile(
    r"^(?:(?:therefore|thus|hence|then|simply|just|indeed|exactly|given by|equal to|clearly)[\s,:]+)+", re.IGNORECASE
)
_INSTEAD = re.compile(r"[^.\n]{0,80}?\bbut\b(?:\s+(?:rather|instead))?\s+(?!not\b)", re.IGNORECASE)
_END = re.compile(
    r"\n|。|；|;\s|[.!?](?=\s|$|[*_`\"”'])|,?\s+(?:because|since|as|where|which|for|so|but|when|if|due|by|from|after|rounded)\s"
)
_TRIM = " \t\r\n*_`\"“”'."
_UNIT_WORDS = re.compile(r"^\s*(\\?%|percent|degrees?|°)", re.IGNORECASE)
_LAST_LINE = re.compile(
    r"^(?:(?:so|thus|therefore|hence|final answer|finally|answer|∴|所以|因此|故)[,:：]?\s*)?(?P<body>.+?)[.。]?$",
    re.IGNORECASE,
)
_BARE_RESULT = re.compile(
    r"^(?:[a-zA-Z]\w?\s*=\s*)?(?:[-+−]?\$?[\d][\d,]*(?:\.\d+)?(?:\s*/\s*\d+)?\s*(?:\\?%|°)?)(?:\s*[a-zA-Z²³/]{1,12}){0,2}$"
)


def _formulas(text: str) -> tuple[str, int] | None:
    """Reads one formula, or several linked by "and" or commas, from the start of ``text``: (answer, end)."""
    parts: list[str] = []
    end = 0
    while (match := _FORMULA.match(text, end)) is not None:
        parts.append(next(group for group in match.groups() if group is not None).strip())
        end = match.end()
        link = _LINK.match(text, end)
        if link is None:
            break
        end = link.end()
    return (", ".join(parts), end) if parts else None


def _stated(text: str) -> str | None:
    """Reads the answer that follows a declaration."""
    text = text.lstrip(" \t\r\n*_`:：\"“'")
    text = _ADVERB.sub("", text)
    if _NEGATION.match(text):
        instead = _INSTEAD.match(text)
        return _stated(text[instead.end() :]) if instead else None
    formula = _formulas(text)
    if formula is not None:
        answer, end = formula
        unit = _UNIT_WORDS.match(text[end:])
        return answer + ("\\%" if unit and unit.group(1) in ("%", "\\%", "percent") else "")
    end_match = _END.search(text + "\n")
    answer = text[: end_match.start()] if end_match else text
    answer = answer.strip(_TRIM)
    # "x = $5$": the words before a formula are not part of the answer when they end in "=" or "is".
    tail = re.search(r"(?:=|is|are|be)\s*(?=\$|\\\()", answer)
    if tail:
        formula = _formulas(answer[tail.end() :] + " ")
        if formula is not None:
            return formula[0]
    return answer or None


def _last_line(text: str) -> str | None:
    """Returns the last line's result when the line is nothing but a result."""
    lines = text.rstrip().rsplit("\n", 1)
    line = lines[-1].strip().strip("*_` ")
    match = _LAST_LINE.match(line)
    if match is None:
        return None
    body = match.group("body").strip("*_` ")
    formula = _FORMULA.fullmatch(body)
    if formula is not None:
        content = next(group for group in formula.groups() if group is not None).strip()
        return content if "\n" not in content else None
    return body if _BARE_RESULT.match(body) else None


def _last_declaration(text: str) -> str | None:
    for match in reversed(list(_DECLARATION.finditer(text))):
        answer = _stated(text[match.end() :])
        if answer and len(answer) <= MAX_ANSWER:
            return answer
    return None


def find_statement(text: str) -> Extracted | None:
    """Returns the answer that is declared last in words, or None."""
    tail = text[-TAIL_CHARACTERS:]
    tags = _TAG.findall(tail)
    if tags and tags[-1]:
        inner = _last_declaration(tags[-1])
        if inner:
            return Extracted(inner, "tag")
        formula = _formulas(tags[-1])
        whole = formula is not None and formula[1] >= len(tags[-1].rstrip(" ."))
        return Extracted(formula[0] if formula is not None and whole else tags[-1].strip(_TRIM), "tag")
    answer = _last_declaration(tail)
    if answer:
        return Extracted(answer, "statement")
    line = _last_line(tail)
    return Extracted(line, "last line") if line and len(line) <= MAX_ANSWER else None
