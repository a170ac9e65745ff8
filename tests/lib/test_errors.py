"""Messages of exceptions in one line."""

import pickle

from lib.errors import DiskFull, UserError, one_line


def test_a_message_is_one_line_and_never_empty():
    assert one_line(UserError("a\n  b\tc ")) == "a b c"
    assert one_line(ValueError("x" * 9), 4) == "xxxx"
    assert one_line(KeyError()) == "KeyError"
    assert one_line("text") == "text"


def test_a_full_disk_in_another_process_keeps_its_message():
    """It comes from there pickled."""
    error = pickle.loads(pickle.dumps(DiskFull("a.png: must fit", "free space; go on with --restore")))
    assert str(error) == "a.png: must fit (free space; go on with --restore)"
    assert str(DiskFull(error.fact)).endswith("(free space or choose another folder, then run the same command again)")
