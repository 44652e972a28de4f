"""The web page in a real browser: drop a study, watch it finish, open the finding, log out; two people at once."""

from pathlib import Path
from typing import Any

from .conftest import Served
from .people import Person


def test_drop_a_study_watch_it_finish_open_the_finding_log_out(browser, served: Served, studies: Path):
    one, other = Person(browser, served), Person(browser, served, "dark")
    one.log_in("a wrong token of some length")
    one.page.wait_for_selector("text=That is not the token of this service.")
    one.log_in(served.token)
    other.log_in(served.token)
    for person in (one, other):
        person.page.wait_for_selector("#work:visible")
        person.complaints.clear()  # a browser notes each 401 itself
    one.drop(studies / "healthy.nii.gz")
    one.page.wait_for_selector("#queue li:has-text('healthy.nii.gz') progress")
    other.drop(studies / "noise.nii.gz")
    one.drop(studies / "flagged.nii.gz")
    for person in (one, other):  # flagged first, though it came last; the other person sees it too
        person.page.wait_for_selector("#studies tr.clear")
        person.page.wait_for_selector("#studies tr.flagged")
        rows = person.page.locator("#studies tr .mark").all_inner_texts()
        assert rows == ["Flagged", "Not flagged"]
        person.page.wait_for_selector("#queue li:has-text('failed') >> text=Try again")
    assert "flagged.nii.gz" in one.page.inner_text("#studies")
    assert "nii.gz" not in other.page.inner_text("#studies td.study")  # a name stays with who sent it
    backgrounds = [
        p.page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") for p in (one, other)
    ]
    assert backgrounds[0] != backgrounds[1]
    one.page.click("#studies tr.flagged td.study a")
    one.page.wait_for_selector("text=Findings")
    assert one.page.url.endswith("/page")
    assert (one.complaints, one.outside, other.complaints, other.outside) == ([], [], [], [])
    one.page.click("text=Worklist")
    one.page.click("#logout")
    one.page.wait_for_selector("#token:visible")
    assert one.page.inner_text("#studies") == ""
    assert one.page.goto(f"{one.address}/jobs").status == 401
    assert other.page.goto(f"{other.address}/jobs").status == 200


def test_a_list_that_arrives_after_the_log_out_is_not_shown(browser, served: Served, studies: Path):
    person = Person(browser, served)
    person.log_in(served.token)
    job = served.sent(studies / "healthy.nii.gz")
    person.page.wait_for_selector(f"#studies tr[data-study='{job}']")
    late: list[Any] = []
    person.page.route("**/jobs", lambda route: late.append((route, route.fetch())))
    person.page.evaluate("document.getElementById('studies').replaceChildren()")
    while not late:
        person.page.wait_for_timeout(50)
    person.page.click("#logout")
    person.page.wait_for_selector("#token:visible")
    for route, answer in late:
        assert answer.status == 200
        assert job in answer.text()
        route.fulfill(response=answer)
    person.page.wait_for_timeout(300)
    assert person.page.inner_text("#studies") == ""
    assert person.page.locator("#token").is_visible()


def test_a_study_is_deleted_from_the_page(browser, served: Served, studies: Path):
    person = Person(browser, served)
    person.log_in(served.token)
    job = served.sent(studies / "healthy.nii.gz")
    row = f"#studies tr[data-study='{job}']"
    person.page.wait_for_selector(row)
    person.page.on("dialog", lambda dialog: dialog.accept())
    person.page.click(f"{row} >> text=Delete")
    person.page.wait_for_selector(row, state="detached")
    assert served.http.get(f"/jobs/{job}").status_code == 404
