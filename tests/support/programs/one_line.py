"""Form of every refusal of a program."""

from configs import flags


def one_line(program, argv, capsys) -> str:
    """Runs a program as its script does; it must fail with one line, which is returned."""
    assert flags.run(lambda: program([str(argument) for argument in argv]), "") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    return line


def is_empty_but_for(folder, *paths) -> bool:
    return {path for path in folder.rglob("*") if path.is_file()} <= set(paths)
