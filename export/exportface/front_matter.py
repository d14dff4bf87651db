"""What a model card tells the Hugging Face Hub before its text begins, and how a stranger's words get into either."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

# What weights and pictures are published under, of huggingface.co/docs/hub/repositories-licenses.
# fmt: off
_IDENTIFIERS = {
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "isc", "zlib", "unlicense", "mpl-2.0",
    "gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "openrail", "openrail++", "bigscience-openrail-m",
    "creativeml-openrail-m", "bigcode-openrail-m",
    "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0",
    "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
    "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "odc-by", "odbl", "pddl", "c-uda", "etalab-2.0",
    "unknown",
}
# fmt: on
_OTHER_WORDS = {
    "apache-license-2.0": "apache-2.0",
    "apache-license-version-2.0": "apache-2.0",
    "mit-license": "mit",
    "the-mit-license": "mit",
    "cc0": "cc0-1.0",
    "cc0-1.0-universal": "cc0-1.0",
}
_NOTE = re.compile(r"\s*\([^()]*\)\s*$")
# What begins something in CommonMark or in GitHub's dialect of it. Other signs do so at the beginning of a line only,
# where no stranger's text is put.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|&~$@]")
_LINK = re.compile(r"(?=://)|(?<=www)(?=\.)", re.IGNORECASE)


def front_matter(fields: Mapping[str, str | Sequence[str]]) -> str:
    """The fields as YAML between two lines `---`; texts are quoted as in JSON, which YAML takes as they are meant."""
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in fields.items()), "---"])


def hub_licence(text: str) -> dict[str, str]:
    """The Hub's fields for a licence in free words: its identifier, or `other` and a name.

    Only the whole text counts, less a note in brackets at its end: `CC BY-NC 4.0 (AFHQ)` is `cc-by-nc-4.0`, but
    `Apache 2.0 for the code` is no licence that the Hub knows.
    """
    name = _slug(_NOTE.sub("", text))
    identifier = _OTHER_WORDS.get(name, name)
    if identifier in _IDENTIFIERS:
        return {"license": identifier}
    if name.startswith("unknown"):
        return {"license": "unknown"}
    full = _slug(text)
    return {"license": "other", "license_name": full} if full else {"license": "other"}


def plain(text: str) -> str:
    """Text for one line of Markdown that shows as itself: no markup, no link, no line break, no invisible sign."""
    shown = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
    return _LINK.sub(r"\\", _MARKUP.sub(r"\\\g<0>", shown))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.+]+", "-", text.lower()).strip("-.")
