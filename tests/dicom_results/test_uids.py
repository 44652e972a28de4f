"""Derived UIDs: valid, the same again, and below the root that was given."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID

from anomae.dicom_results.uids import UUID_ROOT, checked_root, derived_uid
from anomae.errors import UserError

ROOTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, [1, *parts])))


@settings(max_examples=30)
@given(ROOTS, st.lists(st.text(max_size=9), max_size=4))
def test_a_uid_is_valid_and_the_same_again(root: str, names: list[str]) -> None:
    uid = derived_uid(checked_root(root), *names)
    assert UID(uid).is_valid
    assert uid.startswith(f"{root}.")
    assert uid == derived_uid(root, *names)
    assert uid != derived_uid(root, *names, "more")


def test_names_do_not_run_into_one_another() -> None:
    assert derived_uid(UUID_ROOT, "a", "bc") != derived_uid(UUID_ROOT, "ab", "c")


@pytest.mark.parametrize("root", ["", "1", "1.", ".1", "1.02", "3.1", "1.2.a", "1.2\n", f"1.{'9' * 43}", "²"])
def test_what_is_no_root_is_refused(root: str) -> None:
    with pytest.raises(UserError, match="--uid-root"):
        checked_root(root)
