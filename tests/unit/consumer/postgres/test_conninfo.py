import pytest

from consumer.postgres.conninfo import place_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:SECRET@h:5432/d", "postgresql://u@h:5432/d"),
        ("postgresql://u:SEC%40RET%2F@h/d?sslpassword=SECRET", "postgresql://u@h/d"),
        ("postgresql://h/d?user=u&password=SECRET", "postgresql://u@h/d"),
        ("postgresql://u:SECRET@[::1]:5/d", "postgresql://u@[::1]:5/d"),
        ("postgresql://u%40x:SECRET@a,b:5/d", "postgresql://u%40x@a,b:5/d"),
        ("postgresql:///d?host=/run/pg", "postgresql:///run/pg/d"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert place_of(url) == shown
