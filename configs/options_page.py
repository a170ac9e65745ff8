"""Generates docs/reference/options.md from the schema: every option with its default, bounds and meaning.

python -m configs.options_page > docs/reference/options.md
"""

import dataclasses
from typing import Any

from configs import flags, schema

HEAD = """# Every option

<!-- Generated: python -m configs.options_page > docs/reference/options.md. Edit the sections in configs/ instead. -->

Set an option with `section.key=value` on the command line or in a file given by `--config`
([precedence](command_line.md)). The third column shows the value in `configs/paper.yaml` where it differs.
"""


def page() -> str:
    """The page as Markdown."""
    default, paper = schema.load(), schema.load(schema.REPOSITORY / "configs" / "paper.yaml")
    flag_of = {option: flag for flag, option in flags.OPTIONS.items()}
    lines = [HEAD]
    for section in dataclasses.fields(schema.Config):
        block, other = getattr(default, section.name), getattr(paper, section.name)
        lines += [f"## {section.name}", "", block.summary(), ""]
        lines += ["| option | default | paper | allowed | meaning |", "|---|---|---|---|---|"]
        for field in dataclasses.fields(block):
            value, published = getattr(block, field.name), getattr(other, field.name)
            flag = flag_of.get(f"{section.name}.{field.name}")
            name = f"`{field.name}`" + (f" (`--{flag}`)" if flag else "")
            shown = "" if published == value else _value(published)
            meaning = field.metadata["doc"].replace("<", "&lt;")
            cells = (name, _value(value), shown, _allowed(field.metadata), meaning)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _value(value: Any) -> str:
    """A value as written in a configuration file."""
    if value == "":
        return "empty"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _allowed(bounds: Any) -> str:
    """The bounds of an option as text; empty if it has none."""
    if bounds["choices"]:
        return ", ".join(f"`{choice}`" for choice in bounds["choices"])
    limits = (("from", bounds["low"]), ("above", bounds["above"]), ("to", bounds["high"]))
    return " ".join(f"{word} {limit:.10g}" for word, limit in limits if limit is not None)


if __name__ == "__main__":
    print(page(), end="")
