"""Lays the site out like the repository, so that the pages' relative links hold in both and no page is copied."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "NOTICE", "data/README.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Gives every file of docs/ its path in the repository, and adds the pages that are elsewhere."""
    moved = Files([file for file in files if not file.src_uri.endswith((".md", ".jpg", ".py"))])
    paths = [ROOT / name for name in NAMES]
    paths += sorted(path for path in Path(config.docs_dir).rglob("*") if path.suffix in (".md", ".jpg"))
    for path in paths:
        moved.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return moved
