"""What others wrote is shown to a person as it stands: it neither draws, hides nor turns a line."""

from __future__ import annotations

import pytest

from relay.cli.output import Output, print_record, print_records, say

CLEARS_THE_SCREEN = "\x1b[2J\x1b[31mPAID"
TURNS_THE_LINE = "\u202e0001 RUE"


@pytest.mark.parametrize("text", [CLEARS_THE_SCREEN, TURNS_THE_LINE, "two\rone", "\x9b2J", "a\nb"])
def test_no_value_of_a_ledger_commands_the_terminal(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name or a quality is chosen by whoever reports it, and read by somebody else."""
    print_record({"quality": text, "list": [text]}, Output.TABLE)
    print_records([{"quality": text}], Output.TABLE, columns=["quality"])
    shown = capsys.readouterr().out
    assert all(line.isprintable() for line in shown.split("\n"))
    assert len(shown.split("\n")) == 5


@pytest.mark.parametrize("text", ["[bold]S235", "[/nothing]", "[link=x]S235[/link]", ":smile:"])
def test_a_value_is_text_and_never_markup(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_record({"quality": text}, Output.TABLE)
    print_records([{"quality": text}], Output.TABLE, columns=["quality"])
    assert capsys.readouterr().out.count(text) == 2


def test_what_is_said_of_a_refusal_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"NOT_FOUND: there is no {CLEARS_THE_SCREEN}\nTry another.")
    assert capsys.readouterr().err == (
        "NOT_FOUND: there is no \\x1b[2J\\x1b[31mPAID\nTry another.\n"
    )
