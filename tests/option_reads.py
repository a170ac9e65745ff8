"""Which options of the configuration the program's source reads, followed through names and calls."""

import ast
from collections.abc import Iterable
from pathlib import Path


def unread_options(fields: Iterable[tuple[str, str]], files: Iterable[Path]) -> list[str]:
    """Options `section.field` that no code reads.

    A read is `<anything>.section.field`, or `name.field` where the name stands for the section: assigned from
    `<anything>.section`, or the parameter of a function (or of a class's __init__) that is called with one. A section
    that is handed to getattr is read through every string of that file.
    """
    fields = list(fields)
    sections = {section for section, _ in fields}
    scopes = [_Scope(node, text) for path in files for node, text in _functions(path)]
    by_name: dict[str, list[_Scope]] = {}
    for scope in scopes:
        by_name.setdefault(scope.name, []).append(scope)
    while any([scope.bind(sections, by_name) for scope in scopes]):  # a list: every scope, not the first
        pass
    read = set().union(*(scope.reads(sections) for scope in scopes))
    return [f"{section}.{field}" for section, field in fields if (section, field) not in read]


class _Scope:
    """A function or a module's top level, and the sections its names stand for."""

    def __init__(self, node: ast.AST, strings: set[str]):
        self.node, self.strings, self.stands = node, strings, set()  # of (name, section)
        self.name = getattr(node, "scope_name", "")
        arguments = getattr(node, "args", None)
        names = [] if arguments is None else [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        self.parameters = names[1:] if names[:1] in (["self"], ["cls"]) else names
        self.nodes = list(_own(node))

    def bind(self, sections: set[str], by_name: dict[str, list["_Scope"]]) -> bool:
        """Follows assignments and calls once; whether anything new was found."""
        before = len(self.stands)
        changed = False
        for node in self.nodes:
            if isinstance(node, ast.Assign):
                for target, value in _pairs(node):
                    self.stands |= {(target, section) for section in self.sections_of(value, sections)}
            elif isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                for scope in by_name.get(called, []):
                    given = [*zip(scope.parameters, node.args, strict=False)]
                    given += [(keyword.arg, keyword.value) for keyword in node.keywords]
                    found = {(name, s) for name, value in given for s in self.sections_of(value, sections)}
                    changed |= not found <= scope.stands
                    scope.stands |= found
        return changed or len(self.stands) > before

    def sections_of(self, value: ast.AST, sections: set[str]) -> set[str]:
        """The sections that an expression stands for."""
        if isinstance(value, ast.Attribute) and value.attr in sections:
            return {value.attr}
        return {section for name, section in self.stands if isinstance(value, ast.Name) and value.id == name}

    def reads(self, sections: set[str]) -> set[tuple[str, str]]:
        """(section, field) pairs that this scope reads."""
        found = set()
        for node in self.nodes:
            if isinstance(node, ast.Attribute):
                found |= {(section, node.attr) for section in self.sections_of(node.value, sections)}
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
                found |= {(s, text) for s in self.sections_of(node.args[0], sections) for text in self.strings}
        return found


def _functions(path: Path) -> Iterable[tuple[ast.AST, set[str]]]:
    """Every function of a file by the name it is called by, and the file itself; each with the file's strings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    strings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    for parent in ast.walk(tree):
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.FunctionDef):
                made = isinstance(parent, ast.ClassDef) and node.name == "__init__"
                node.scope_name = parent.name if made else node.name
                yield node, strings
    yield tree, strings


def _own(scope: ast.AST) -> Iterable[ast.AST]:
    """Nodes of a scope; nested functions see its names, so they belong to it, but not a module's or a class's."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(scope, (ast.Module, ast.ClassDef)) and isinstance(node, ast.FunctionDef):
            continue
        yield node
        yield from _own(node)


def _pairs(node: ast.Assign) -> Iterable[tuple[str, ast.AST]]:
    """Names and the values they are given, one by one in `a, b = x, y`."""
    for target in node.targets:
        if isinstance(target, ast.Name):
            yield target.id, node.value
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for name, value in zip(target.elts, node.value.elts, strict=False):
                if isinstance(name, ast.Name):
                    yield name.id, value
