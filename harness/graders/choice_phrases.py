"""The phrases with which models declare an option letter. The letter itself is read by ``choice_letters``."""

import re

_IS = (
    r"(?:\s*(?:(?<![a-z])(?:is|are|was|be|being|seems\s+to\s+be|appears\s+to\s+be"
    r"|(?:would|should|must|can\s+only|has\s+to|will|might|may|could)(?:\s+[a-z]+)?\s+be)(?![a-z])"
    r"|=|:|-{1,2}>?|–|—|→|⇒|=>))"
)
_NOUN = r"(?:answer|ans|option|choice|letter|solution|conclusion|selection|response|pick)"
_THING = r"(?:one|statement|structure|product|compound|expression|value|match|answer|option|choice)"
_WORD = r"(?<![A-Za-z])"
_BARE = r"(?:option\s+|choice\s+)?\(?[A-D]\)?"

STRONG = re.compile(
    rf"""
      {_WORD}{_NOUN}(?:\s+(?:choice|option|letter))?["']?
        (?:\s+(?:to|for|of|in|among|from|that|which|here)\s[^.\n:]{{0,100}}?)?{_IS}+
    | {_WORD}(?:correct|right|best|final|true)\s+{_THING}{_IS}+
    | {_WORD}(?:answer|ans)\b\s*\n+
    | {_WORD}answer\s+(?=\(?[A-D]\)?\s*(?:[.!]|\n|$))
    | {_WORD}(?:choose|chose|select|selected|selecting|pick|picked|picking|choosing|go\s+with|going\s+with|settle\s+on
        |opt\s+for|leads?\s+(?:us\s+)?to|making|makes|i(?:'d|\s+would)\s+say|guess)
        (?=\s*(?:the\s+)?(?:option|choice|answer|letter)?\s*[:(\["']?\s*[A-Z]\b)
    | {_WORD}(?:wait|actually|rather|instead|correction|but)[,:]?\s+(?:no[,:]?\s+)?(?:it(?:'s|\s+is)\s+|make\s+that\s+)?
        (?={_BARE}\s*[.!\n)]|{_BARE}\s*$)
    | (?:^|\n)\s*\#{{4}}\s*
    | (?:正确)?(?:答案|选项|选择)(?:应该|应当|应|就|只能)?(?:是|为|选项|选择|选|填|：|:)*[:：]?
    | (?:故|应|因此|所以|我|该|可|就)?(?:选择|选)(?:项)?[:：]?
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What plainly declares an answer; the letter follows."""

WEAK = re.compile(
    rf"""
      {_WORD}(?:only|just)\s+(?={_BARE}\s+(?:matches|satisfies|fits|works|agrees|is\s+consistent|has|gives|remains))
    | {_WORD}(?:matches|match|corresponds?\s+to|consistent\s+with|agrees?\s+with|closest\s+to|equals|gives|yields
        |points?\s+to|favou?rs?|supports?)
        (?:\s+(?:with|to))?\s+(?:the\s+)?(?=(?:answer\s+)?(?:option|choice|answer)\b)
    | {_WORD}(?:therefore|thus|hence|so|consequently)[,:]?\s+(?:it(?:'s|\s+is|\s+must\s+be)\s+)?
        (?=(?:answer\s+)?{_BARE}\s*(?:[.!]|\n|$))
    | {_WORD}(?:it(?:'s|\s+is)|(?:must|should|would|has\s+to)\s+be|(?:that|this|which)(?:'s|\s+is))\s+
        (?=(?:option|choice|answer)\s+\(?[A-D]\)?|\(?[A-D]\)?\s*(?:[.!]\s|[.!]?\s*$|\n))
    | (?:因此|所以|故|∴|⇒|→|=>)\s*[,，:：]?\s*(?=\(?[A-D]\)?\s*(?:[.。!]|\n|$))
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What concludes without the word "answer"; it counts where nothing stronger is said."""

REVERSED = re.compile(
    r"""
      (?<![A-Za-z0-9_\\^=+/\-'])(?P<option>(?:option|choice|answer|statement)\s+)?
        (?:\(\s*(?P<p>[A-Za-z])\s*\)|(?P<l>[A-Z]))(?![A-Za-z0-9_^'=+/])
        (?:\s*[:,.]?\s*\([^()\n]{1,60}\)|\s*,[^,.\n]{1,60},)?\s*
        (?:is|being|seems|appears|would\s+be|must\s+be|should\s+be|looks)\s+
        (?:(?:indeed|clearly|therefore|thus|then|definitely|the|most|likely|to\s+be|our|my|only)\s+)*
        (?P<verdict>(?:not\s+|in)?(?:correct|right|best|true|answer|valid|accurate|one\s+that)
        (?=\s*(?:(?:final\s+)?(?:answer|option|choice|one|statement|match)\b|[.,;:!\n)]|$
            |because|since|as\b|here|and\b|by\b|for\b|but\b|while)))
    | (?:option|choice)\s+\(?(?P<y>[A-D])\)?\s+as\s+(?:the|our|my)\s+(?:[a-z]+\s+)?(?:answer|choice|option)
    | (?:option\s+|choice\s+|(?:^|\n)\s*[-*]?\s*)\(?(?P<x>[A-D])\)?\s*[:.)–-]+\s*(?P<xv>(?:in|not\s+)?correct)\b
    | \(?(?P<z>[A-D])\)?\s*(?:选?项)?(?:是|为)?(?P<zv>(?:不|错误|不是)?正确(?:答案|选项|的)?)
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""The letter first: "Option B is correct", "B选项正确"; the verdict may be negative."""
