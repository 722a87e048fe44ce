"""The parameters of every connection to Postgres, in one place: for consumers, ingresses and commands."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

CONNECT_TIMEOUT_S = 5
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    # A server that fell off the network is noticed after about 10 s, in the middle of a wait too.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def conninfo(url: str, application_name: str, **ours: Any) -> str:
    """What to connect with. A parameter of the URL wins over ours, such as options=-csearch_path%3Dshop.

    Only the encoding is fixed, whatever PGCLIENTENCODING says, because an order may hold any character.
    """
    given = conninfo_to_dict(url)
    merged = {"application_name": application_name, **_DEFAULTS, **ours, **given, "client_encoding": "UTF8"}
    return make_conninfo("", **merged)
