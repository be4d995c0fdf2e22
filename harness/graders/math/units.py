"""Units and currencies around an answer: taken off before numbers are compared, compared where both sides have one."""

import re
from functools import lru_cache

_ALIASES = {
    "length": {
        "mm": "mm millimeter millimetre", "cm": "cm centimeter centimetre", "m": "m meter metre",
        "km": "km kilometer kilometre",
        "in": "in inch inche", "ft": "ft foot feet", "yd": "yd yard", "mi": "mi mile",
    },
    "mass": {
        "mg": "mg milligram", "g": "g gram gramme gm", "kg": "kg kilogram", "lb": "lb pound", "oz": "oz ounce",
        "t": "ton tonne",
    },
    "time": {
        "s": "s sec second", "min": "min minute", "h": "h hr hour", "d": "day", "wk": "week", "mo": "month",
        "yr": "yr year",
    },
    "money": {"cent": "cent ¢", "dollar": "dollar usd \\$ $", "euro": "euro eur €", "pound": "gbp £"},
    "angle": {"deg": "deg degree \\circ", "rad": "rad radian"},
    "volume": {"ml": "ml milliliter millilitre", "l": "l liter litre", "gal": "gal gallon"},
    "speed": {"m/s": "m/s mps", "km/h": "km/h kmh kph kmph", "mph": "mph mi/h", "km/s": "km/s"},
}  # fmt: skip
_UNITS = {
    alias: (dimension, unit)
    for dimension, table in _ALIASES.items()
    for unit, names in table.items()
    for alias in names.split()
}

_TEXT_UNIT = re.compile(
    r"(?:\s*[/*]?\s*(?:\\cdot\s*)?\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|it|sf)|mbox|hbox|operatorname)\s*\{(?P<last>[^{}]*)\}"
    r"(?:\s*\^\s*(?:\{\s*[-+]?[0-9]+\s*\}|[0-9]))?)+\s*$"
)
_SYMBOLS = (
    "cm|mm|km|dm|nm|m|in|ft|yd|mi|inch(?:es)?|feet|foot|miles?|yards?|met(?:er|re)s?|kg|mg|g|lbs?|oz|sec|s|min|hrs?|h|mph|kmh|kph"
    "|ml|mL|L|Hz|J|N|W|V|K|Pa|eV|mol|rad|units?|cents?|dollars?|degrees?|hours?|minutes?|seconds?|days?|weeks?|months?|years?"
)
_BARE_UNIT = re.compile(
    rf"(?<=[0-9}})])\s*(?P<unit>(?:(?:square|cubic|sq\.?|cu\.?)\s+)?(?:{_SYMBOLS})"
    rf"(?:\s*\^\s*\{{?\s*-?[0-9]\s*\}}?)?(?:\s*(?:/|per)\s*(?:{_SYMBOLS})(?:\s*\^\s*\{{?\s*-?[0-9]\s*\}}?)?)?)\.?$"
)
_WORDS = re.compile(
    r"^(?P<number>[-+]?(?:[0-9][0-9,./]*|\\frac\{[0-9]+\}\{[0-9]+\}))\s+"
    r"(?P<unit>[A-Za-z]{3,}(?:[ -][A-Za-z]{2,}){0,3})\.?$"
)
_REMARK = re.compile(
    r"^(?P<number>[-+]?(?:[0-9][0-9,.]*|\\frac\{[0-9]+\}\{[0-9]+\}))\s*"
    r"(?P<unit>[\u4e00-\u9fff]{1,6}|\([A-Za-z][A-Za-z ,.'-]*\))$"
)
_NO_UNIT = re.compile(
    r"\b(?:and|or|mod|million|billion|thousand|trillion|hundred|pi|percent|sqrt|choose|plus|minus|times|over)\b",
    re.IGNORECASE,
)
_CURRENCY = re.compile(
    r"^([-+]?)\s*(\\\$|\$|€|£|¥|₹|\\(?:text|mathrm)\s*\{\s*(?:US)?\\?\$\s*\}|(?:USD|EUR|GBP|Rs\.?|RMB)(?![a-zA-Z]))\s*(?=[0-9.\\])"
)
_CURRENCY_END = re.compile(r"(?<=[0-9])\s*(\\\$|\$|€|£|¥|¢|₹|USD|EUR)$")
_WRAP = re.compile(r"\\(?:text\w*|math\w+|mbox|hbox|operatorname)\s*|[{}\\~]")
_POWER = re.compile(r"\^\s*([0-9])|^(square|sq|cubic|cu)\.?\s+|\s+(squared|cubed)$")
_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
_DEGREE_END = re.compile(r"(?<=[0-9}])\s*\^\s*\{?\s*\\circ\s*\}?$")


@lru_cache(maxsize=8192)
def split_unit(text: str) -> tuple[str, str | None]:
    """Returns (answer without its unit or currency, the unit as written or None) of a cleaned answer."""
    match = _CURRENCY.match(text)
    if match:
        return match.group(1) + text[match.end() :].strip(), match.group(2)
    match = _CURRENCY_END.search(text)
    if match:
        return text[: match.start()].strip(), match.group(1)
    match = _TEXT_UNIT.search(text)
    if match and text[: match.start()].strip() and not _NO_UNIT.search(match.group()):
        return text[: match.start()].strip(), match.group().strip()
    match = _DEGREE_END.search(text)
    if match and not _FUNCTION.search(text):
        return text[: match.start()].strip(), "\\circ"
    match = _REMARK.match(text)
    if match:
        return match.group("number"), match.group("unit")
    match = _WORDS.match(text)
    if match and not _NO_UNIT.search(match.group("unit")):
        return match.group("number"), match.group("unit")
    match = _BARE_UNIT.search(text)
    if match:
        return text[: match.start()].strip(), match.group("unit")
    return text, None


def canonical_unit(unit: str) -> tuple[str, str, int] | None:
    """Returns (dimension, unit, power) of a unit as written, or None for one that is not in the table."""
    text = _WRAP.sub("", unit.replace("\\$", "dollar").replace("\\circ", "deg")).strip().strip(".").strip()
    powers = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
    power = 1
    match = _POWER.search(text)
    if match:
        power = int(match.group(1)) if match.group(1) else powers[match.group(2) or match.group(3)]
        text = (text[: match.start()] + text[match.end() :]).strip()
    for name in (text, text.lower(), text.lower().removesuffix("s"), text.lower().removesuffix("es")):
        if name in _UNITS:
            return (*_UNITS[name], power)
    return None


def units_clash(gold: str | None, answer: str | None) -> bool:
    """Whether both sides name a unit of the same dimension, and not the same one."""
    if gold is None or answer is None:
        return False
    left, right = canonical_unit(gold), canonical_unit(answer)
    return left is not None and right is not None and left[0] == right[0] and left[1:] != right[1:]
