import numpy as np
import pytest

from lib.images.contact_sheet import LINE, caption_line, contact_sheet


def tile(value: int, caption: str = "") -> tuple[str, np.ndarray]:
    return caption, np.full((20, 30, 3), value, np.uint8)


def test_pictures_stand_in_rows_and_white_is_left_where_a_row_is_short():
    sheet = np.asarray(contact_sheet([[tile(1), tile(2)], [tile(3)]]))
    assert sheet.shape == (40, 60, 3)
    assert [sheet[:20, :30], sheet[:20, 30:], sheet[20:, :30], sheet[20:, 30:]] == [
        pytest.approx(np.full((20, 30, 3), value)) for value in (1, 2, 3, 255)
    ]


def test_captions_stand_over_their_pictures():
    sheet = np.asarray(contact_sheet([[tile(1, "a"), tile(2)], [tile(3), tile(4, "b")]], gap=2))
    assert sheet.shape == (2 + 2 * (LINE + 20 + 2), 2 + 2 * 32, 3)
    for row, column, value in ((0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 1, 4)):
        top, left = 2 + row * (LINE + 22), 2 + column * 32
        assert (sheet[top + LINE : top + LINE + 20, left : left + 30] == value).all()
        drawn = (sheet[top : top + LINE, left : left + 30] < 128).any()
        assert drawn == (row == column), (row, column)
    assert (sheet[:, [0, 1, -2, -1]] == 255).all()


def test_a_long_caption_keeps_its_end():
    ends = caption_line("a name that is much too long for this tile 0042", 100)
    assert (ends < 128).any(axis=(0, 2))[90:].any()
    np.testing.assert_array_equal(ends, caption_line("another name that is too long for this tile 0042", 100))
    assert not np.array_equal(ends, caption_line("another name that is too long for this tile 0043", 100))


@pytest.mark.parametrize(("one", "other"), [("张伟", "李娜"), ("Иван", "Елена"), ("محمد", "فاطمة"), ("山田", "김철")])
def test_names_of_any_script_differ(one, other):
    # What a font lacks, it shows as the same sign.
    assert not np.array_equal(caption_line(one, 100), caption_line(other, 100))
    assert not np.array_equal(caption_line(one, 100), caption_line("?" * len(one), 100))


def test_a_name_that_is_no_text_is_drawn_too():
    assert (caption_line("bad\udcff\n", 100) < 128).any()
