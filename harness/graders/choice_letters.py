"""Single option letters as models write them: in boxes, after a declaration, alone on a line."""

import re
from dataclasses import dataclass
from typing import Literal

_FULL_WIDTH = str.maketrans(
    {chr(0xFF21 + i): chr(65 + i) for i in range(26)}
    | {chr(0xFF41 + i): chr(97 + i) for i in range(26)}
    | {"（": "(", "）": ")", "【": "[", "】": "]", "「": "(", "」": ")", "：": ":", "．": ".", "，": ","}
    | {"“": '"', "”": '"', "’": "'", "‘": "'"}
    | {"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u200b": ""}
)  # fmt: skip
_FONT = (
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|sf|it|tt|bb|cal|normal)|mbox|hbox|bm|boldsymbol|operatorname"
    r"|bf|rm|underline|fbox|boxed)"
)
_WRAPPED = re.compile(rf"{_FONT}\s*\{{([^{{}}]*)\}}")
_MARKS = re.compile(
    r"\*{1,3}|(?<![A-Za-z0-9])_{2}|_{2}(?![A-Za-z0-9])|`+|\$+|\\[()\[\],;! ]|~|</?(?:b|strong|i|em|u|mark)>"
)
_LEAD = re.compile(
    r"(?:[\s:\"'>=]|(?:the|an?(?=\s+(?:option|choice|answer))|option|choice|letter|answer|statement|likely|probably|definitely|clearly|most|simply|just|indeed|thus|therefore"
    r"|then|hence|actually|still|now|only|given\s+by|labell?ed|number|correct|indicated\s+by|as\s+follows|in\s+fact|选项|选|是|为)(?![A-Za-z])[\s:,\"']*)*",
    re.IGNORECASE,
)
_NOT = re.compile(r"(?:not|n't|never|neither|nor|不是|不选|非)(?![A-Za-z])|(?<=is)n't", re.IGNORECASE)
_BUT = re.compile(r"[^.\n]{0,60}?\bbut(?:\s+(?:rather|instead))?\s+", re.IGNORECASE)
_ENCLOSED = re.compile(r"\(\s*([A-Za-z])\s*[.)]?\s*\)|\[\s*([A-Za-z])\s*\]|\{\s*([A-Za-z])\s*\}|<\s*([A-Za-z])\s*>")
_BARE = re.compile(r"([A-Za-z])(?![A-Za-z0-9_^+&=\\/@#%(\[{]|-[A-Za-z0-9]|'[A-Za-z]|\.[A-Za-z0-9])|([A-Za-z])(?=\s?\()")
_AFTER_BARE = re.compile(
    r"\s*(?:$|\n|[.,;:!?)\]}\"'>|-]|[–—→✓✔✅。，；：！？、）]|\((?!\s*[A-Za-z]\s*=)"
    r"|(?:because|since|as|which|for|with|due|based|given|is|are|was|would|will|when|where|if|by|from|after|in|on|and|or|but|so|that|the|this|here|too|correctly|both|rather|at|to|not|also|has|due)\b"
    r"|[\u4e00-\u9fff]|[-+−]?\\?\$?\d|\\[a-zA-Z])"
)
_ARTICLE_NEXT = re.compile(r"\s+(?!because\b|since\b|as\b|is\b|was\b|with\b|for\b|which\b|and\b|or\b|but\b)[a-z]")
_MORE = re.compile(
    r"\s*(?:,|/|&|;|、|和|或|及|与|,?\s*and(?![a-z])|,?\s*or(?![a-z])|\+)\s*(?:options?\s+|both\s+)?(?:and\s+|or\s+)?",
    re.IGNORECASE,
)
_MORE_END = re.compile(r"\s*(?:$|\n|[.,;:!?)]|,?\s*(?:and|or|are|both)\b|。|、|和)")


_LISTED = re.compile(r"\(?A[).:][^\n]*\n+\s*[-*]?\s*\(?B[).:]")


@dataclass(frozen=True, slots=True)
class Found:
    """A declared letter (None when several are declared at once) and where it stands."""

    letter: str | None
    start: int


def simplify(text: str) -> str:
    """Takes fonts, bold marks, dollars and full-width forms off, so that letters stand plain or in brackets."""
    text = text.translate(_FULL_WIDTH)
    for _ in range(3):
        changed = _WRAPPED.sub(
            lambda m: f" {m.group(1).strip()} " if len(m.group(1).strip()) != 1 else m.group(1).strip(), text
        )
        if changed == text:
            break
        text = changed
    return _MARKS.sub("", text)


def _letter(text: str, position: int) -> tuple[str, int] | None:
    """Reads one letter at a place: (letter, end)."""
    match = _ENCLOSED.match(text, position)
    if match:
        return next(group for group in match.groups() if group), match.end()
    match = _BARE.match(text, position)
    if match is None:
        return None
    letter = match.group(1) or match.group(2)
    end = position + 1
    if not _AFTER_BARE.match(text, end):
        return None
    if letter in "aA" and _ARTICLE_NEXT.match(text, end):
        return None
    if letter.islower() and not re.match(r"\s*(?:$|\n|[.,;:)!])", text[end : end + 4]):
        return None
    return letter, end


def read_letter(text: str, position: int, letters: str) -> Found | None:
    """Reads the letter that follows a declaration at ``position``, or None when none does."""
    position = _lead(text, position)
    if _NOT.match(text, position):
        but = _BUT.match(text, position)
        if but is None:
            return None
        position = _lead(text, but.end())
    if _LISTED.match(text, position):
        return None
    first = _letter(text, position)
    if first is None or first[0].upper() not in letters:
        return None
    more = _MORE.match(text, first[1])
    if more:
        second = _letter(text, more.end())
        if second is not None and second[0].upper() in letters and _MORE_END.match(text, second[1]):
            same = second[0].upper() == first[0].upper()
            return Found(first[0].upper() if same else None, position)
    return Found(first[0].upper(), position)


def _lead(text: str, position: int) -> int:
    match = _LEAD.match(text, position)
    return match.end() if match else position


_DESCRIBED = re.compile(r"([A-Z])\s*(?:\(\s*(?![A-Z]\s*\))|[-–—]\s+(?![A-Z]\b))")


def box_letter(content: str, letters: str) -> tuple[Literal["letter", "several", "other"], str | None]:
    """Reads the content of a box or tag.

    Returns:
        ("letter", it); ("several", None) for several letters or one that is no option; ("other", None) else.
    """
    text = simplify(content).strip().strip(".,;:! \n\"'")
    text = text.replace("{", "(").replace("}", ")") if re.fullmatch(r"\W*[A-Za-z]\W*", text) else text
    if re.fullmatch(r"\(?[A-Za-z]\)?", text):
        letter = text.strip("()").upper()
        return ("letter", letter) if letter in letters else ("several", None)
    if re.fullmatch(
        rf"[\s(]*[{letters}][\s)]*(?:(?:,|/|&|;|、|and|or|和|或|\\text|\s)[\s(]*[{letters}][\s)]*)+",
        text,
        re.IGNORECASE,
    ):
        found = {character.upper() for character in re.sub(r"and|or|\\text", " ", text) if character.upper() in letters}
        return ("letter", found.pop()) if len(found) == 1 else ("several", None)
    described = _DESCRIBED.match(text)
    if described and described.group(1) in letters:
        return "letter", described.group(1)
    found_letter = line_letter(text, letters)
    return ("letter", found_letter) if found_letter else ("other", None)


_LINE = re.compile(
    r"^\s*(?:[-*•>#✅✓✔→]+\s*)?(?:(?:the\s+)?(?:final\s+|correct\s+|best\s+)?(?:answer|option|choice|ans|letter)(?:\s+(?:is|choice|option))?\s*[:=\-]?\s*)?"
    r"(?:\(\s*(?P<p>[A-Za-z])\s*\)|\[\s*(?P<s>[A-Za-z])\s*\]|(?P<l>[A-Za-z])(?P<mark>\s*[).:：、]|(?=\s*$)))(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)


def line_letter(line: str, letters: str) -> str | None:
    """Returns the letter of a line that is one: ``C``, ``(C)``, ``C.``, ``C) 5.2 eV``, ``Option C``."""
    match = _LINE.match(line.strip())
    if match is None:
        return None
    letter = match.group("p") or match.group("s") or match.group("l")
    rest = match.group("rest").strip()
    if letter.upper() not in letters or (
        letter.islower() and match.group("l") and rest and match.group("mark").strip() == "."
    ):
        return None
    if re.match(rf"(?:,|/|&|and\b|or\b|、)\s*\(?[{letters}]\)?(?:\W|$)", rest, re.IGNORECASE):
        return None
    if re.match(r"(?:is|are|was)\s+(?:not|in|wrong|false)", rest, re.IGNORECASE):
        return None
    return letter.upper()
