"""Messages of exceptions in one line."""

from lib.errors import UserError, one_line


def test_a_message_is_one_line_and_never_empty():
    assert one_line(UserError("a\n  b\tc ")) == "a b c"
    assert one_line(ValueError("x" * 9), 4) == "xxxx"
    assert one_line(KeyError()) == "KeyError"
    assert one_line("text") == "text"
