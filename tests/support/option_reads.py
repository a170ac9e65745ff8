"""Options of the configuration that the program's source reads, followed through names and calls."""

import ast
from collections.abc import Iterable
from pathlib import Path


def unread_options(fields: Iterable[tuple[str, str]], files: Iterable[Path]) -> list[str]:
    """Options `section.field` that no code reads.

    A read is `<anything>.section.field`, or `name.field` where the name (or the class's `self.name`) stands for the
    section: assigned from `<anything>.section`, or the parameter of a function (or of a class's __init__) that is
    called with one. A section that is handed to getattr is read through every string of that file.
    """
    fields = list(fields)
    sections = {section for section, _ in fields}
    scopes = [_Scope(*found) for path in files for found in _functions(path)]
    by_name: dict[str, list[_Scope]] = {}
    for scope in scopes:
        by_name.setdefault(scope.name, []).append(scope)
    while sum(scope.bind(sections, by_name) for scope in scopes):
        pass
    read = set().union(*(scope.reads(sections) for scope in scopes))
    return [f"{section}.{field}" for section, field in fields if (section, field) not in read]


class _Scope:
    """A function or a module's top level, and the sections its names stand for."""

    def __init__(self, node: ast.AST, strings: set[str], attributes: set[tuple[str, str]]):
        self.strings, self.attributes, self.stands = strings, attributes, set()  # the last two of (name, section)
        self.name = getattr(node, "scope_name", "")
        arguments = getattr(node, "args", None)
        names = [] if arguments is None else [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        self.parameters = names[1:] if names[:1] in (["self"], ["cls"]) else names
        self.nodes = [each for each in _own(node) if isinstance(each, (ast.Assign, ast.Call, ast.Attribute))]

    def bind(self, sections: set[str], by_name: dict[str, list["_Scope"]]) -> bool:
        """Follows assignments and calls once; whether anything new was found."""
        before = len(self.stands), len(self.attributes)
        changed = False
        for node in self.nodes:
            if isinstance(node, ast.Assign):
                for target, value in _pairs(node):
                    names = self.attributes if isinstance(target, ast.Attribute) else self.stands
                    name = target.attr if isinstance(target, ast.Attribute) else target.id
                    names |= {(name, section) for section in self.sections_of(value, sections)}
            elif isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                for scope in by_name.get(called, []):
                    given = [*zip(scope.parameters, node.args, strict=False)]
                    given += [(keyword.arg, keyword.value) for keyword in node.keywords]
                    found = {(name, s) for name, value in given for s in self.sections_of(value, sections)}
                    changed |= not found <= scope.stands
                    scope.stands |= found
        return changed or (len(self.stands), len(self.attributes)) != before

    def sections_of(self, value: ast.AST, sections: set[str]) -> set[str]:
        """The sections that an expression stands for."""
        if isinstance(value, ast.Attribute) and value.attr in sections:
            return {value.attr}
        if isinstance(value, ast.Attribute) and getattr(value.value, "id", "") == "self":
            return {section for name, section in self.attributes if value.attr == name}
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


def _functions(path: Path) -> Iterable[tuple[ast.AST, set[str], set[tuple[str, str]]]]:
    """Every function of a file by the name it is called by, and the file itself.

    Each with the file's strings, and a set for what its class's attributes stand for, shared by the class's methods.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    strings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    for parent in ast.walk(tree):
        attributes: set[tuple[str, str]] = set()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.FunctionDef):
                made = isinstance(parent, ast.ClassDef) and node.name == "__init__"
                node.scope_name = parent.name if made else node.name
                yield node, strings, attributes
    yield tree, strings, set()


def _own(scope: ast.AST) -> Iterable[ast.AST]:
    """Nodes of a scope; nested functions see its names, so they belong to it, but not a module's or a class's."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(scope, (ast.Module, ast.ClassDef)) and isinstance(node, ast.FunctionDef):
            continue
        yield node
        yield from _own(node)


def _pairs(node: ast.Assign) -> Iterable[tuple[ast.Name | ast.Attribute, ast.AST]]:
    """Names or attributes and the values they are given, one by one in `a, self.b = x, y`."""
    for target in node.targets:
        one_by_one = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
        pairs = zip(target.elts, node.value.elts, strict=False) if one_by_one else [(target, node.value)]
        yield from ((name, value) for name, value in pairs if isinstance(name, (ast.Name, ast.Attribute)))
