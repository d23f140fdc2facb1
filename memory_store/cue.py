"""When two cues are the same cue.

Same means equal after NFKC, case and space folding: the wording decides, never nearness of
addresses, for "The badge number of agent 0001 is" and "... 0002 is" are .98 alike and two facts.
The digest of the folded cue indexes a tenant's rows, so no cue is stored in a key of Redis.
"""

from __future__ import annotations

import hashlib
import unicodedata


def fold(cue: str) -> str:
    """NFKC, case folded, runs of white space made one space, ends stripped.

    Case folding can undo the normal form ("ΐ"), so the form is restored after it.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cue).casefold())
    return " ".join(folded.split())


def digest(cue: str) -> str:
    """128 bits of BLAKE2b of the folded cue, as 32 hexadecimal digits."""
    data = fold(cue).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def default_id(cue: str) -> str:
    """The id of a fact that was sent without one: the same cue has the same id."""
    return f"f-{digest(cue)}"
