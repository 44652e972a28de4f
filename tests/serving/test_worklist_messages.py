"""What the worklist says where the service does not do what was asked: nothing goes wrong without a word."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Served
from .people import Person


@pytest.fixture
def person(browser: Any, served: Served) -> Iterator[Person]:
    """Logged in; whoever asks them whether they are sure is told yes."""
    somebody = Person(browser, served)
    somebody.log_in(served.token)
    somebody.page.wait_for_selector("#work:visible")
    somebody.page.on("dialog", lambda dialog: dialog.accept())
    yield somebody
    pages_own = [said for said in somebody.complaints if not said.startswith("Failed to load resource")]
    assert pages_own == []  # no promise that nobody catches
    somebody.context.close()


def until(person: Person, name: str, words: str) -> None:
    """Until an element says so."""
    person.page.wait_for_selector(f"#{name}:has-text('{words}')")


def test_an_answer_of_a_proxy_is_said_and_the_service_asked_again(person: Person, served: Served, studies: Path):
    job = served.sent(studies / "healthy.nii.gz")
    person.page.wait_for_selector(f"#studies tr[data-study='{job}']")
    person.page.route("**/jobs", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    until(person, "away", "answered 502")
    person.page.unroute("**/jobs")
    person.page.wait_for_selector("#away", state="hidden")
    served.http.delete(f"/studies/{job}")
    person.page.wait_for_selector(f"#studies tr[data-study='{job}']", state="detached")


def test_a_service_that_is_back_is_no_longer_said_to_be_away(person: Person):
    person.context.set_offline(True)
    until(person, "away", "does not answer")
    person.context.set_offline(False)
    person.page.wait_for_selector("#away", state="hidden")


def press_delete(person: Person, job: str) -> None:
    person.page.click(f"#studies tr[data-study='{job}'] >> text=Delete")


def test_a_session_that_is_over_is_said_and_what_was_not_done(person: Person, served: Served, studies: Path):
    job = served.sent(studies / "healthy.nii.gz")
    person.page.wait_for_selector(f"#studies tr[data-study='{job}']")
    for act, words in (
        (lambda: press_delete(person, job), "The study was not deleted."),
        (lambda: person.drop(studies / "flagged.nii.gz"), "The study was not sent; send it anew."),
    ):
        person.context.clear_cookies()
        act()
        until(person, "login-wrong", f"The session has ended: log in again. {words}")
        person.log_in(served.token)
        person.page.wait_for_selector(f"#studies tr[data-study='{job}']")
        assert person.page.inner_text("#send-wrong") == ""
        assert person.page.locator("#login-wrong").text_content() == ""
        assert person.page.locator("#queue li").count() == 0


def test_what_a_stopped_service_cannot_do_is_said(browser: Any, serve: Callable[..., Served], studies: Path):
    served = serve()
    person = Person(browser, served)
    person.page.on("dialog", lambda dialog: dialog.accept())
    person.log_in(served.token)
    job = served.sent(studies / "healthy.nii.gz")
    person.page.wait_for_selector(f"#studies tr[data-study='{job}']")
    failed = served.sent(studies / "noise.nii.gz")
    person.page.wait_for_selector("#queue >> text=Try again")
    person.complaints.clear()
    served.kill()
    press_delete(person, job)
    until(person, "send-wrong", "The service does not answer. The study was not deleted.")
    person.page.click(f"#item-{failed} >> text=Try again")
    until(person, "send-wrong", "The service does not answer. The study is not tried again.")
    person.page.click("#logout")
    until(person, "send-wrong", "The service does not answer. You are not logged out")
    assert [said for said in person.complaints if not said.startswith("Failed to load resource")] == []


def test_only_files_that_there_are_are_offered(person: Person, served: Served, studies: Path):
    job = served.sent(studies / "flagged.nii.gz")
    row = f"#studies tr[data-study='{job}']"
    person.page.wait_for_selector(row)
    links = person.page.locator(f"{row} td.files a")
    assert links.all_inner_texts() == ["map", "JSON"]
    for link in links.all():
        answer = person.context.request.get(person.address + link.get_attribute("href"))
        assert answer.status == 200
    with person.page.expect_download() as kept:
        links.last.click()
    assert kept.value.suggested_filename == f"{job}.json"
    assert person.page.locator("#work").is_visible()


def test_the_focus_stays_where_it_is_while_the_list_is_asked_for(person: Person, served: Served, studies: Path):
    job = served.sent(studies / "noise.nii.gz")
    button = person.page.locator(f"#item-{job}").get_by_text("Try again")
    button.focus()
    for _ in range(2):  # and when another study joins the list
        with person.page.expect_response("**/jobs"):
            pass
        person.page.wait_for_timeout(200)
        assert button.evaluate("each => each === document.activeElement")
        served.wait(served.sent(studies / "noise.nii.gz"))


def test_a_telephone_shows_the_worklist_without_scrolling_sideways(browser: Any, served: Served, studies: Path):
    person = Person(browser, served, width=390)
    person.log_in(served.token)
    job = served.sent(studies / "flagged.nii.gz")
    person.page.wait_for_selector(f"#studies tr[data-study='{job}']")
    assert person.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts_the_page_says_what_it_needs(browser: Any, served: Served):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(str(served.http.base_url))
    assert page.locator("noscript p").is_visible()  # words in it are passed over by the search for texts
