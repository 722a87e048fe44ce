"""The parameters of every connection to Postgres, in one place: for consumers, ingresses and commands."""

from itertools import zip_longest
from typing import Any
from urllib.parse import quote

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


def place_of(url: str) -> str:
    """The URL as it may be shown: without the password, and without parameters, which may hold one too."""
    found = conninfo_to_dict(url)
    user = quote(str(found["user"])) + "@" if "user" in found else ""
    hosts = [f"[{host}]" if ":" in host else host for host in str(found.get("host", "")).split(",")]
    ports = [f":{port}" if port else "" for port in str(found.get("port", "")).split(",")]
    places = ",".join(host + port for host, port in zip_longest(hosts, ports, fillvalue=""))
    return f"postgresql://{user}{places}/{found.get('dbname', '')}"


def conninfo(url: str, application_name: str, **ours: Any) -> str:
    """What to connect with. A parameter of the URL wins over ours, such as options=-csearch_path%3Dshop.

    Only the encoding is fixed, whatever PGCLIENTENCODING says, because an order may hold any character.
    """
    given = conninfo_to_dict(url)
    merged = {"application_name": application_name, **_DEFAULTS, **ours, **given, "client_encoding": "UTF8"}
    return make_conninfo("", **merged)
