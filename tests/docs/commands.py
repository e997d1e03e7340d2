"""Commands that documents tell people to type."""

import re
import shlex
from pathlib import Path

from msgspec import Struct

from tests.rules.repository import files, text


class Command(Struct, frozen=True):
    document: Path
    argv: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document.name}: {' '.join(self.argv)}"


def commands(*programs: str) -> list[Command]:
    """Lines of shell blocks, and spans in the text, that begin with one of the programs."""
    found = []
    for document in (path for path in files() if path.suffix == ".md"):
        content = text(document).replace("\\\n", " ")
        lines = [line for block in re.findall(r"```sh\n(.*?)```", content, re.DOTALL) for line in block.splitlines()]
        lines += re.findall(r"^ {4}(\S.*)$", content, re.MULTILINE)
        lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", content, flags=re.DOTALL))
        for line in lines:
            try:
                words = shlex.split(line, comments=True)
            except ValueError:
                continue
            if words and words[0].removeprefix(".venv/bin/") in programs:
                found.append(Command(document, (words[0].removeprefix(".venv/bin/"), *words[1:])))
    return sorted(set(found), key=str)
