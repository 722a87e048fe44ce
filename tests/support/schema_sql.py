"""consumer/postgres/schema.sql: what all migrations together give, with their comments. Written by `make schema`."""

import re
import subprocess
import tempfile
from pathlib import Path

from consumer.postgres.migrate import migrate
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer, binaries
from support.waiting import HANG_S

FOLDER = Path(__file__).parents[2] / "consumer" / "postgres"
SCHEMA = FOLDER / "schema.sql"
_HEAD = "-- The tables as all migrations together make them. Written by `make schema`; a test holds it equal.\n"
_NOISE = re.compile(r"^(--.*|SET .*|SELECT pg_catalog\..*|\\.*)\n", re.MULTILINE)
_TABLE = re.compile(r"((?:^--[^\n]*\n)*)^CREATE TABLE (\w+) \(\n(.*?)^\)", re.MULTILINE | re.DOTALL)
_ADDED = re.compile(r"^ALTER TABLE (\w+) ADD COLUMN (\w+).*;\s*-- (.*)$", re.MULTILINE)
_COLUMN = re.compile(r"^ +(\w+) .*?-- (.*)$", re.MULTILINE)


def schema_of(url: str) -> str:
    """The text for a migrated database, made from pg_dump."""
    command: list[str | Path] = [binaries() / "pg_dump", "--schema-only", "--no-owner", "--no-privileges", url]
    dump = subprocess.run(command, check=True, capture_output=True, text=True, timeout=HANG_S).stdout
    bare = _NOISE.sub("", dump).replace("public.", "").replace("pg_catalog.", "")
    return _HEAD + re.sub(r"\n{2,}", "\n\n", _with_comments(bare))


def _with_comments(dump: str) -> str:
    above: dict[str, str] = {}
    beside: dict[tuple[str, str], str] = {}
    for file in sorted((FOLDER / "migrations").glob("*.sql")):
        text = file.read_text()
        for comment, table, body in _TABLE.findall(text):
            above[table] = comment
            beside.update({(table, column): about for column, about in _COLUMN.findall(body)})
        beside.update({(table, column): about for table, column, about in _ADDED.findall(text)})

    def commented(match: re.Match[str]) -> str:
        _, table, body = match.groups()
        lines = []
        for line in body.splitlines():
            name = line.split()[0]
            about = beside.get((table, name))
            lines.append(f"{line}  -- {about}" if about else line)
        return f"{above.get(table, '')}CREATE TABLE {table} (\n" + "\n".join(lines) + "\n)"

    return _TABLE.sub(commented, dump)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="orders-schema-") as folder:
        server = PostgresServer(Path(folder), free_port())
        server.start()
        try:
            migrate(server.url())
            SCHEMA.write_text(schema_of(server.url()))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
