"""What LeetCode's Python environment offers: names that need no import, and its list and tree nodes."""

from collections import deque
from typing import Any

_MODULES = [
    "bisect",
    "collections",
    "copy",
    "functools",
    "heapq",
    "itertools",
    "math",
    "operator",
    "random",
    "re",
    "string",
    "sys",
    "typing",
]
_STARS = ("typing", "collections", "functools", "itertools", "heapq", "bisect", "math", "operator")
_MAX_NODES = 1_000_000


class ListNode:
    """Singly linked list."""

    def __init__(self, val: Any = 0, next: "ListNode | None" = None) -> None:
        self.val = val
        self.next = next


class TreeNode:
    """Binary tree."""

    def __init__(self, val: Any = 0, left: "TreeNode | None" = None, right: "TreeNode | None" = None) -> None:
        self.val = val
        self.left = left
        self.right = right


def namespace() -> dict[str, Any]:
    """The names that a program finds."""
    found: dict[str, Any] = {}
    for name in _STARS:
        module = __import__(name)
        public = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
        found.update((n, getattr(module, n)) for n in public)
    found.update((name, __import__(name)) for name in _MODULES)
    found.update(ListNode=ListNode, TreeNode=TreeNode, pow=pow)
    return found


def build(kind: str, value: Any, classes: dict[str, Any]) -> Any:
    """Turns a list into the nodes that ``kind`` names (``ListNode``, ``TreeNode``, ``list[...]``); else unchanged."""
    if value is None:
        return None
    if _is_list_of(kind) and isinstance(value, list):
        return [build(_inner(kind), item, classes) for item in value]
    if "ListNode" in kind and isinstance(value, list):
        return _build_list(value, classes["ListNode"])
    if "TreeNode" in kind and isinstance(value, list):
        return _build_tree(value, classes["TreeNode"])
    return value


def _is_list_of(kind: str) -> bool:
    return "Node" in kind and kind.removeprefix("typing.").removeprefix("Optional[").lower().startswith("list[")


def _inner(kind: str) -> str:
    return kind[kind.index("[") + 1 :].removesuffix("]")


def _build_list(values: list[Any], node: Any) -> Any:
    head = None
    for value in reversed(values):
        made = node(value)
        made.next = head
        head = made
    return head


def _build_tree(values: list[Any], node: Any) -> Any:
    if not values or values[0] is None:
        return None
    root = node(values[0])
    parents, at = deque([root]), 1
    while parents and at < len(values):
        parent = parents.popleft()
        for side in ("left", "right"):
            if at < len(values) and values[at] is not None:
                child = node(values[at])
                setattr(parent, side, child)
                parents.append(child)
            at += 1
    return root


def flatten(value: Any, kind: str = "") -> Any:
    """Turns nodes back into lists, also inside lists and tuples; ``kind`` says what None stands for."""
    if value is None:
        return [] if "Node" in kind and not _is_list_of(kind) else None
    name = type(value).__name__
    if name == "ListNode" and hasattr(value, "next"):
        return _flatten_list(value)
    if name == "TreeNode" and hasattr(value, "left"):
        return _flatten_tree(value)
    if type(value) in (list, tuple) and value and not isinstance(value[0], (int, str, float)):
        return type(value)(flatten(item, _inner(kind) if _is_list_of(kind) else "") for item in value)
    return value


def _flatten_list(node: Any) -> list[Any]:
    values: list[Any] = []
    while node is not None:
        values.append(node.val)
        if len(values) > _MAX_NODES:
            raise ValueError("the returned linked list has a cycle or too many nodes")
        node = node.next
    return values


def _flatten_tree(root: Any) -> list[Any]:
    values: list[Any] = []
    waiting = deque([root])
    while waiting:
        node = waiting.popleft()
        values.append(None if node is None else node.val)
        if node is not None:
            waiting += (node.left, node.right)
        if len(values) > _MAX_NODES:
            raise ValueError("the returned tree has a cycle or too many nodes")
    while values and values[-1] is None:
        values.pop()
    return values
