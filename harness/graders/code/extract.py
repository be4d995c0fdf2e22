"""The program in a response.

Two rules: ``last_block`` is LiveCodeBench's own; ``function_program`` serves benchmarks that ask for one function
(HumanEval, HumanEval+, MBPP+), where base models continue the prompt and chat models answer with a code block.
"""

import ast
import re
import textwrap

MAX_PARSED_CHARS = 400_000


def after_thinking(response: str) -> str | None:
    """The answer behind the last ``</think>``; the whole response without tags; None: thinking was never closed."""
    _, closed, answer = response.rpartition("</think>")
    if closed:
        return answer
    return None if "<think>" in response else response


def last_block(text: str) -> str:
    """The lines between the last two that hold three backticks; empty without two of them.

    The rule of LiveCodeBench's ``extract_code`` (lcb_runner/utils/extraction_utils.py), whatever the language tag says.
    """
    lines = text.split("\n")
    fences = [number for number, line in enumerate(lines) if "```" in line]
    return "\n".join(lines[fences[-2] + 1 : fences[-1]]) if len(fences) >= 2 else ""


def function_program(text: str, prompt: str, entry_point: str) -> str | None:
    """A whole program that defines ``entry_point``, out of a continuation of ``prompt`` or a chat answer.

    What a model adds to show its function off (asserts, prints, calls, ``if __name__``, a next example) is left out:
    it is not what was asked for and would decide the verdict.

    Args:
        text: Response without its thinking.
        prompt: What a base model was given: imports, helpers, signature and docstring; or only a docstring (MBPP).
        entry_point: Function that will be called.

    Returns:
        The program, or None where the text holds nothing that could be one.
    """
    blocks = _blocks(text)
    defining = [block for block in blocks if _defines(block, entry_point)]
    code = (defining or blocks or [text.replace("\r\n", "\n")])[-1]
    if not code.strip():
        return None
    if code.startswith(prompt):
        code = code[len(prompt) :]
    body_first = code.lstrip("\n")[:1] in (" ", "\t")
    if _defines(code, entry_point) and not body_first:
        program = code if blocks else _unfenced(code)
        return _join(_preamble(prompt, entry_point), _without_show(program))
    if _defines(prompt, entry_point):
        return _continuation(code, prompt, demand=not blocks and not body_first)
    return _without_show(code) if blocks or parses(code) else None


def parses(code: str) -> bool:
    """Whether it is Python without a ``return`` outside a function; never more than a bounded text is parsed."""
    tree = _tree(code)
    if tree is None:
        return False
    nodes: list[ast.AST] = list(tree.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Return):
            return False
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            nodes.extend(ast.iter_child_nodes(node))
    return True


def _tree(code: str) -> ast.Module | None:
    if len(code) > MAX_PARSED_CHARS:
        return None
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _blocks(text: str) -> list[str]:
    """Contents of the fenced blocks, without common indentation; the last one may be unclosed."""
    blocks: list[str] = []
    lines: list[str] | None = None
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.lstrip().startswith("```"):
            if lines is None:
                lines = []
            else:
                blocks.append("\n".join(lines))
                lines = None
        elif lines is not None:
            lines.append(line)
    if lines:
        blocks.append(_without_tail(lines, ""))
    return [textwrap.dedent(block) for block in blocks if block.strip()]


def _defines(code: str, entry_point: str) -> bool:
    name = re.escape(entry_point)
    pattern = rf"^[ \t]*(?:(?:async[ ]+)?def[ ]+{name}[ ]*\(|{name}[ ]*=[^=])"
    return re.search(pattern, code, re.MULTILINE) is not None


def _preamble(prompt: str, entry_point: str) -> str:
    """What stands before the function in the prompt: imports and helpers that an answer may rely on."""
    match = re.search(rf"^def[ ]+{re.escape(entry_point)}[ ]*\(", prompt, re.MULTILINE)
    return prompt[: match.start()] if match else ""


def _join(preamble: str, code: str) -> str:
    """Puts imports and helpers first; ``from __future__`` must stay the first statement of a program."""
    if not preamble.strip():
        return code
    future = "".join(line + "\n" for line in code.split("\n") if line.startswith("from __future__ "))
    rest = "\n".join(line for line in code.split("\n") if not line.startswith("from __future__ "))
    return f"{future}{preamble.rstrip()}\n\n{rest}"


_CODE_LINE = re.compile(
    r"from\s+\S+\s+import\b|import\s+\w|(?:async\s+)?def\s+\w+\s*\(|class\s+\w+\s*[(:]|@\w|\w+\s*=[^=]"
)


def _unfenced(code: str) -> str:
    """The program in a text without fences: from its first line of code, without what follows it."""
    lines = textwrap.dedent(code).split("\n")
    first = next((number for number, line in enumerate(lines) if _CODE_LINE.match(line)), 0)
    return _without_tail(lines[first:], "")


def _continuation(code: str, prompt: str, demand: bool) -> str | None:
    """Prompt and function body; the body's first line, or all its lines, may have lost their indentation.

    ``demand``: the text is not known to be code, so it has to parse to count.
    """
    base = prompt if prompt.endswith("\n") else prompt + "\n"
    shifted = [textwrap.indent(textwrap.dedent(code), "    "), "    " + code.lstrip()]
    for candidate in [code, *shifted] if code.lstrip("\n")[:1].isspace() else [*shifted, code]:
        body = _without_tail(candidate.split("\n"), base)
        if parses(base + body):
            return base + body
    return None if demand else base + code


# What may stand at the top level after a function that is still being written; anything else begins the model's next
# example, a test, or prose.
_STAYS = re.compile(r"def |class |import |from |@|async def |[#)\]}]|\"\"\"|'''")
_CUTS_TRIED = 50


def _without_tail(lines: list[str], base: str) -> str:
    """Cuts at the first top-level line that is neither a definition nor an import, then unfinished definitions.

    ``base`` is the text before ``lines`` that is needed to parse them.
    """
    tops = [number for number, line in enumerate(lines) if number and line and not line[0].isspace()]
    kept = lines
    for number in [number for number in tops if not _STAYS.match(lines[number])][:_CUTS_TRIED]:
        if parses(base + "\n".join(lines[:number])):
            kept = lines[:number]
            break
    if not parses(base + "\n".join(kept)):
        for number in [number for number in tops if number < len(kept)][: -_CUTS_TRIED - 1 : -1]:
            if parses(base + "\n".join(kept[:number])):
                return "\n".join(kept[:number])
    return "\n".join(kept)


def _without_show(program: str) -> str:
    """Blanks top-level asserts, calls by plain name and ``if __name__`` blocks; all other lines stay as they are."""
    tree = _tree(program)
    if tree is None:
        return program
    lines = program.split("\n")
    kept = {line for node in tree.body if not _is_show(node) for line in _lines_of(node)}
    shown = {line for node in tree.body if _is_show(node) for line in _lines_of(node)} - kept
    return "\n".join("" if number in shown else line for number, line in enumerate(lines, 1))


def _lines_of(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _is_show(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assert):
        return True
    if isinstance(node, ast.If):
        return any(isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        function = node.value.func
        return isinstance(function, ast.Name) or ast.unparse(function) in ("doctest.testmod", "unittest.main")
    return False
