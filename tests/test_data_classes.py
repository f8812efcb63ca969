"""The page of data classes is the one that the table gives."""

from data_classes import PAGE
from lib.data_classes import page


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
