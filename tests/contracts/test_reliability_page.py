from tests.contracts import reliability


def test_every_promise_has_a_test() -> None:
    rows = [number for section in reliability.PROMISES.values() for number in section]

    assert [number for number in rows if not reliability.tests_of(number)] == []


def test_the_page_says_what_the_tests_prove() -> None:
    assert reliability.PAGE.read_text("utf-8") == reliability.page()
