"""The names nearest to one that does not exist, for error messages."""

import difflib
from collections.abc import Iterable


def nearest_sentence(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """ "Did you mean ...?" where something is near, else the list of what there is.

    A key's last part is what users remember: of dotted keys, those that end alike come first, of these those that begin
    alike.  likeness: 0..1, from what on a name counts as near (difflib's ratio); short names need less.
    """
    names = list(known)
    first, last = name.split(".")[0], name.rsplit(".", 1)[-1]
    alike = [key for key in names if "." in key and key.rsplit(".", 1)[-1] == last]
    near = sorted(alike, key=lambda key: key.split(".")[0] != first)[:3]
    near = near or difflib.get_close_matches(name, names, n=3, cutoff=likeness)
    if not near:
        tails = {key.rsplit(".", 1)[-1]: key for key in names}
        near = [tails[tail] for tail in difflib.get_close_matches(last, tails, n=3, cutoff=likeness)]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"There are: {', '.join(names) or 'none'}."
