"""What an address says is what is shown, and an address may say anything."""

import pytest

from dist_alexnet.dashboard.address import MOST_PICKED, View

VIEWS = [
    View(),
    View(runs=("a", "%3Cb%3E"), x="epoch", sort="name", filter="a & b=c, #\u00e9%", page=3),
    View(runs=("%FF",), zoom=(10.0, 20.5)),
]


@pytest.mark.parametrize("view", VIEWS)
def test_an_address_is_read_back(view: View) -> None:
    assert View.parse(view.search()) == view
    assert view.search().isascii()


@pytest.mark.parametrize(
    "said", [None, "", "?", "?runs=", "?page=x&x=y", "?page=-1", "?page=\u00b2", "?zoom=1", "?zoom=2,1", "?zoom=nan,inf", "?a=b=c&&", 7]
)
def test_what_makes_no_sense_is_left_out(said: object) -> None:
    assert View.parse(said).search() in ("?",)


def test_names_are_keys_however_they_are_typed() -> None:
    assert View.parse("?runs=a b,<c>,a%20b,%3cc%3e").runs == ("a%20b", "%3Cc%3E")


def test_picking_again_takes_back_and_there_are_no_more_than_colours() -> None:
    view = View()
    for number in range(MOST_PICKED + 3):
        view = view.toggled(str(number))
    assert len(view.runs) == MOST_PICKED
    assert view.runs[-1] == str(MOST_PICKED + 2)
    assert view.toggled(view.runs[0]).runs == view.runs[1:]


def test_a_heading_sorts_down_and_then_up() -> None:
    down = View(page=4).sorted_by("loss")
    assert (down.sort, down.page, down.sorted_by("loss").sort) == ("-loss", 1, "loss")
