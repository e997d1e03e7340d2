"""What `rewatch replay` and `rewatch backtest` refuse before they ask any server."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import build

SPAN = ("--camera", "a", "--from", "2026-01-31T08:00", "--to", "2026-01-31T08:05")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("replay", *SPAN, "--speed", "fast"), "neither max nor a multiple"),
        (("replay", *SPAN, "--speed", "0x"), "neither max nor a multiple"),
        (("replay", *SPAN, "--speed=-1x"), "neither max nor a multiple"),
        (("replay", *SPAN, "--model", "a b"), "Expected `str` matching regex"),
        (("replay", *SPAN, "--rules", "nowhere.yml"), "No such file"),
        (("replay", *SPAN, "--rules", "list.yml"), "wants a mapping"),
        (("backtest", *SPAN), "a backtest wants --model or --rules"),
        (("backtest", *SPAN, "--rules", "typo.yml"), "unknown field `rule`"),
    ],
    ids=str,
)
def test_options_that_cannot_be(
    words: tuple[str, ...], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.yml").write_text("- kind: line\n")
    (tmp_path / "typo.yml").write_text("rule: []\n")
    done = CliRunner().invoke(build(words[0]), words, env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 2, done.output
    assert why in done.output
