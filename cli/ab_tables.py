"""What `rewatch ab` has found, for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from cli.table import table
from experiments.shares import Shares
from experiments.significance import Effect
from replay.shadow import Shadow


def show_shadow(found: Shadow) -> None:
    console = Console()
    a, b = found.a, found.b
    shown = table("", f"a: {a.model} {a.version}", f"b: {b.model} {b.version}")
    for kind in sorted({*a.events_per_hour, *b.events_per_hour}):
        shown.add_row(f"{kind} per hour", *(_number(arm.events_per_hour.get(kind, 0.0)) for arm in (a, b)))
    shown.add_row("precision", _number(a.precision, 3), _number(b.precision, 3))
    shown.add_row("recall", _number(a.recall, 3), _number(b.recall, 3))
    shown.add_row("Triton, ms per frame", _number(a.milliseconds), _number(b.milliseconds))
    shown.add_row("frames that only it has", str(found.only_a), str(found.only_b))
    console.print(shown)
    agreed = f"boxes {_number(found.box_agreement, 3)}, events {_number(found.event_agreement, 3)}"
    console.print(f"{found.frames} frames seen by both; agreement: {agreed}", highlight=False)
    for camera, why in found.failed.items():
        console.print(f"[red]{camera}: {escape(why)}", highlight=False)
    console.print(f"{found.judged_by}: {_said(found.effect)}", highlight=False)
    where = f"{found.windows} windows of {found.window_seconds:g} s, seed {found.seed}"
    console.print(f"b: [bold]{found.verdict}[/]  ({where}{_missing([found.effect])})", highlight=False)


def show_shares(found: Shares) -> None:
    console = Console()
    cameras = table("camera", "arm", "windows", "events per hour")
    for each in found.cameras:
        rates = ", ".join(f"{kind} {rate:.1f}" for kind, rate in each.events_per_hour.items())
        cameras.add_row(each.camera, each.arm, str(each.windows), rates)
    console.print(cameras)
    kinds = table("events per hour", f"a: {found.a}", f"b: {found.b}", "difference", "p", "b has")
    for kind in found.kinds:
        effect = kind.effect
        kinds.add_row(
            kind.kind, _number(effect.mean_a), _number(effect.mean_b), _interval(effect), _number(kind.p_of_many, 4),
            kind.verdict,
        )  # fmt: skip
    console.print(kinds)
    counts = " and ".join(f"{count} of {arm}" for arm, count in found.windows.items())
    missing = _missing([kind.effect for kind in found.kinds])
    console.print(f"windows of {found.window_seconds:g} s: {counts}; seed {found.seed}{missing}", highlight=False)


def _said(effect: Effect) -> str:
    means = f"a {_number(effect.mean_a)}, b {_number(effect.mean_b)}"
    return f"{means}, difference {_interval(effect)}, p {_number(effect.p, 4)}"


def _interval(effect: Effect) -> str:
    if effect.difference is None:
        return "-"
    if effect.low is None or effect.high is None:
        return f"{effect.difference:+.2f}"
    return f"{effect.difference:+.2f} ({effect.low:+.2f} to {effect.high:+.2f})"


def _missing(effects: Sequence[Effect]) -> str:
    found = dict.fromkeys(effect.missing for effect in effects if effect.missing)
    return "".join(f"; {missing}" for missing in found)


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
