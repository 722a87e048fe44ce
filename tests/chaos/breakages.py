BREAKAGES: dict[str, str] = {}


def programs_of(name: str | None) -> dict[str, list[str]]:
    return {}
