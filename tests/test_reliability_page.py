from tests import promises


def test_every_promise_has_a_test() -> None:
    rows = [number for section in promises.PROMISES.values() for number in section]

    assert [number for number in rows if not promises.tests_of(number)] == []


def test_the_page_says_what_the_tests_prove() -> None:
    assert promises.PAGE.read_text("utf-8") == promises.page()
